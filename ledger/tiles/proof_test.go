package tiles_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	fproof "github.com/transparency-dev/formats/proof"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/tiles"
)

func mustProve(t testing.TB, l *plainLog, index uint64) *tiles.Proof {
	t.Helper()
	p, err := l.log().Prove(index)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProof(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 3, 300} {
		l := newPlainLog(t, "a", size)
		for _, i := range []uint64{0, uint64(size) / 2, uint64(size) - 1} {
			p := mustProve(t, l, i)
			for _, extra := range [][]byte{nil, []byte("extra")} {
				p.Extra = extra
				got, err := tiles.ParseProof(p.Encode())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(p, got, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
				var theirs fproof.TLogProof
				if err := theirs.Unmarshal(p.Encode()); err != nil || theirs.Index != i || !bytes.Equal(theirs.Marshal(), p.Encode()) {
					t.Errorf("transparency-dev: %+v, %v", theirs, err)
				}
				if c, err := got.Verify(l.leaves[i], l.verify()); err != nil || c.Size != uint64(size) {
					t.Errorf("entry %d of %d: %+v, %v", i, size, c, err)
				}
				if _, err := got.Verify([]byte("another"), l.verify()); !errors.Is(err, ledger.ErrBadProof) {
					t.Errorf("another entry: %v", err)
				}
			}
		}
		if _, err := l.log().Prove(uint64(size)); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("beyond the log: %v", err)
		}
	}
}

// TestProofEveryBit: no bit of a proof can be flipped without being noticed,
// but those of the extra data, which say so.
func TestProofEveryBit(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 5)
	good := mustProve(t, l, 3).Encode()
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(good)*8; i += step {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		p, err := tiles.ParseProof(bad)
		if err == nil {
			_, err = p.Verify(l.leaves[3], l.verify())
		}
		if err == nil {
			t.Errorf("bit %d of byte %d, %q", i%8, i/8, good[i/8])
		}
	}
}

func TestProofStrictness(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 5)
	p := mustProve(t, l, 3)
	good := string(p.Encode())
	hash := p.Hashes[0].String() + "\n"
	edit := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for name, in := range map[string]string{
		"empty":         "",
		"no header":     edit("c2sp.org/tlog-proof@v1\n", ""),
		"v2":            edit("@v1", "@v2"),
		"leading zeros": edit("index 3", "index 003"),
		"plus":          edit("index 3", "index +3"),
		"negative":      edit("index 3", "index -3"),
		"no index":      edit("index 3\n", ""),
		"index twice":   edit("index 3\n", "index 3\nindex 3\n"),
		"beyond 2^63-1": edit("index 3", "index 9223372036854775808"),
		"crlf":          strings.ReplaceAll(good, "\n", "\r\n"),
		"unclosed":      strings.TrimSuffix(good, "\n"),
		"no checkpoint": good[:strings.Index(good, "\n\n")+2],
		"unsigned":      good[:strings.Index(good, "— ")],
		"empty extra":   edit("index", "extra \nindex"),
		"extra twice":   edit("index", "extra YQ==\nextra YQ==\nindex"),
		"extra after":   edit("index 3\n", "index 3\nextra YQ==\n"),
		"extra bits":    edit("index", "extra YR==\nindex"),
		"url base64":    edit("index", "extra _-8=\nindex"),
		"short hash":    edit(hash, hash[4:]),
		"64 hashes":     edit(hash, strings.Repeat(hash, 64)),
		"no empty line": edit("\n\n", "\n"),
		"large":         edit("index", "extra "+strings.Repeat("YWFh", tiles.MaxExtra/3+1)+"\nindex"),
		"very large":    good + strings.Repeat("x", tiles.MaxProof),
	} {
		if got, err := tiles.ParseProof([]byte(in)); !errors.Is(err, tiles.ErrBadProof) {
			t.Errorf("%s: %+v, %v, want ErrBadProof", name, got, err)
		}
	}
	p.Extra = make([]byte, tiles.MaxExtra)
	if _, err := tiles.ParseProof(p.Encode()); err != nil {
		t.Errorf("as much extra as is allowed: %v", err)
	}
}

// FuzzParseProof: what is accepted re-encodes to the same bytes, and
// transparency-dev reads it as we do.
func FuzzParseProof(f *testing.F) {
	l := newPlainLog(f, "a", 5)
	p := mustProve(f, l, 3)
	f.Add(p.Encode())
	p.Extra = []byte("x")
	f.Add(p.Encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := tiles.ParseProof(in)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, p.Encode())
		}
		var theirs fproof.TLogProof
		if err := theirs.Unmarshal(in); err != nil || theirs.Index != p.Index || len(theirs.Hashes) != len(p.Hashes) ||
			!bytes.Equal(theirs.ExtraData, p.Extra) || !bytes.Equal(theirs.Checkpoint, p.Checkpoint) {
			t.Errorf("%q: transparency-dev reads %+v, %v", in, theirs, err)
		}
	})
}
