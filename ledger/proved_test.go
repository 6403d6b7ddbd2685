package ledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// newLog returns a ledger with one log of an inception and n releases.
func newLog(t testing.TB, k ledger.Key, n int) (*ledger.Ledger, ledger.AuthorID) {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	author := ledgertest.Author(t, l, k)
	for i := range n {
		ledgertest.Append(t, l, author, k, "app", "1.0", i)
	}
	return l, author
}

func prove(t testing.TB, l *ledger.Ledger, author ledger.AuthorID, index uint64) *ledger.Proved {
	t.Helper()
	p, err := l.Prove(t.Context(), author, index)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProvedRoundTrip(t *testing.T) {
	t.Parallel()
	l, author := newLog(t, ledgertest.Key(1), 9)
	for index := range uint64(10) {
		p := prove(t, l, author, index)
		back, err := ledger.DecodeProved(p.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, back); diff != "" {
			t.Errorf("entry %d (-want +got):\n%s", index, diff)
		}
		e, c, err := back.Verify()
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		if e.Index != index || e.Author != author || back.Author() != author || c.Size != 10 || c.Origin != ledger.Origin("public", author) {
			t.Errorf("entry %d: %+v under %+v", index, e, c)
		}
		if !json.Valid(p.Encode()) {
			t.Errorf("entry %d encodes to no JSON", index)
		}
	}
}

// TestThreatForgedRelease: whatever bit of a proved entry is changed, it is refused. In short
// tests, and for the inception, only every 11th bit is tried.
func TestThreatForgedRelease(t *testing.T) {
	t.Parallel()
	l, author := newLog(t, ledgertest.Key(1), 6)
	for index, stride := range map[uint64]int{0: 11, 4: 1} {
		if testing.Short() {
			stride = 11
		}
		good := prove(t, l, author, index).Encode()
		if !isProven(good) {
			t.Fatalf("entry %d is not proven to begin with", index)
		}
		for i := 0; i < len(good)*8; i += stride {
			bad := bytes.Clone(good)
			bad[i/8] ^= 1 << (i % 8)
			if isProven(bad) {
				t.Errorf("entry %d: bit %d of byte %d changed, near %q, and nobody noticed", index, i%8, i/8, bad[max(0, i/8-20):i/8+1])
			}
		}
	}
}

func isProven(b []byte) bool {
	p, err := ledger.DecodeProved(b)
	if err != nil {
		return false
	}
	_, _, err = p.Verify()
	return err == nil
}

// TestProvedEveryCut: every proper prefix, and any trailing data, is refused.
func TestProvedEveryCut(t *testing.T) {
	t.Parallel()
	l, author := newLog(t, ledgertest.Key(1), 3)
	good := prove(t, l, author, 2).Encode()
	for i := range good {
		if _, err := ledger.DecodeProved(good[:i]); !errors.Is(err, ledger.ErrBadEntry) {
			t.Fatalf("cut at %d: %v, want ErrBadEntry", i, err)
		}
	}
	for _, tail := range []string{" ", "\n", "{}", "\x00", "x"} {
		if _, err := ledger.DecodeProved(append(bytes.Clone(good), tail...)); !errors.Is(err, ledger.ErrBadEntry) {
			t.Errorf("followed by %q: %v, want ErrBadEntry", tail, err)
		}
	}
}

// TestProvedSwaps: parts of sound proofs, put together wrongly.
func TestProvedSwaps(t *testing.T) {
	t.Parallel()
	la, a := newLog(t, ledgertest.Key(1), 6)
	lb, b := newLog(t, ledgertest.Key(2), 6)
	early := prove(t, la, a, 3)
	ledgertest.Append(t, la, a, ledgertest.Key(1), "app", "2.0", 99)
	testnet := ledger.New(ledger.NewMem(), "test")
	elsewhere := ledgertest.Author(t, testnet, ledgertest.Key(1))
	ledgertest.Append(t, testnet, elsewhere, ledgertest.Key(1), "app", "1.0", 0)
	other := prove(t, lb, b, 3)
	test := prove(t, testnet, elsewhere, 1)
	for name, tc := range map[string]struct {
		change func(p *ledger.Proved)
		want   error
	}{
		"nothing":                       {func(*ledger.Proved) {}, nil},
		"another author's inception":    {func(p *ledger.Proved) { p.Inception = other.Inception }, ledger.ErrWrongAuthor},
		"another author's entry":        {func(p *ledger.Proved) { p.Entry = other.Entry }, ledger.ErrWrongAuthor},
		"another author's checkpoint":   {func(p *ledger.Proved) { p.Checkpoint = other.Checkpoint }, ledger.ErrBadCheckpoint},
		"another author's proof":        {func(p *ledger.Proved) { p.Proof = other.Proof }, ledger.ErrBadProof},
		"same keys, another network":    {func(p *ledger.Proved) { p.Inception = test.Inception }, ledger.ErrWrongAuthor},
		"an older checkpoint":           {func(p *ledger.Proved) { p.Checkpoint = early.Checkpoint }, ledger.ErrBadProof},
		"an older proof":                {func(p *ledger.Proved) { p.Proof = early.Proof }, ledger.ErrBadProof},
		"no proof":                      {func(p *ledger.Proved) { p.Proof = nil }, ledger.ErrBadProof},
		"another index":                 {func(p *ledger.Proved) { p.Index = 4 }, ledger.ErrBadEntry},
		"index of the inception":        {func(p *ledger.Proved) { p.Index = 0 }, ledger.ErrBadProof},
		"entry for the inception":       {func(p *ledger.Proved) { p.Inception = p.Entry }, ledger.ErrBadEntry},
		"inception for the entry":       {func(p *ledger.Proved) { p.Entry = p.Inception }, ledger.ErrBadEntry},
		"index beyond all logs":         {func(p *ledger.Proved) { p.Index = 1 << 63 }, ledger.ErrTooLarge},
		"garbage for the inception":     {func(p *ledger.Proved) { p.Inception = []byte("garbage") }, ledger.ErrBadEntry},
		"nothing for the inception":     {func(p *ledger.Proved) { p.Inception = nil }, ledger.ErrBadEntry},
		"garbage for the entry":         {func(p *ledger.Proved) { p.Entry = []byte("garbage") }, ledger.ErrBadEntry},
		"1 MB for the entry":            {func(p *ledger.Proved) { p.Entry = make([]byte, 1<<20) }, ledger.ErrTooLarge},
		"garbage for the checkpoint":    {func(p *ledger.Proved) { p.Checkpoint = []byte("garbage") }, ledger.ErrBadCheckpoint},
		"1 MB for the checkpoint":       {func(p *ledger.Proved) { p.Checkpoint = make([]byte, 1<<20) }, ledger.ErrTooLarge},
		"signature cut from checkpoint": {func(p *ledger.Proved) { p.Checkpoint = p.Checkpoint[:len(p.Checkpoint)-60] }, ledger.ErrBadCheckpoint},
	} {
		p := prove(t, la, a, 3)
		tc.change(p)
		if _, _, err := p.Verify(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestDecodeProvedRefuses(t *testing.T) {
	t.Parallel()
	l, author := newLog(t, ledgertest.Key(1), 6)
	good := string(prove(t, l, author, 4).Encode())
	hash := good[strings.Index(good, `"proof":["`)+9:][:46]
	for name, in := range map[string]string{
		"empty":             "",
		"null":              "null",
		"garbage":           strings.Repeat("\x00\xff", 500),
		"deep":              strings.Repeat("[", 200_000),
		"space":             " " + good,
		"unknown member":    good[:len(good)-1] + `,"x":1}`,
		"member twice":      good[:len(good)-1] + `,"index":4}`,
		"index with zero":   strings.Replace(good, `"index":4`, `"index":04`, 1),
		"index with sign":   strings.Replace(good, `"index":4`, `"index":-4`, 1),
		"huge index":        strings.Replace(good, `"index":4`, `"index":18446744073709551615`, 1),
		"null proof":        good[:strings.Index(good, `"proof":`)] + `"proof":null}`,
		"short hash":        strings.Replace(good, hash, `"QUJD"`, 1),
		"hash spare bits":   strings.Replace(good, hash, hash[:43]+"9=\"", 1),
		"too many hashes":   strings.Replace(good, hash, strings.Repeat(hash+",", 64)+hash, 1),
		"escaped newline":   strings.Replace(good, `\n`, `\u000a`, 1),
		"bare newline":      strings.Replace(good, `\n`, "\n", 1),
		"entry as a string": strings.Replace(good, `"entry":{`, `"entry":"{`, 1),
	} {
		if _, err := ledger.DecodeProved([]byte(in)); !errors.Is(err, ledger.ErrBadEntry) || in == good {
			t.Errorf("%s: %v, want ErrBadEntry", name, err)
		}
	}
	for _, size := range []int{ledger.MaxProved + 1, 4 << 20} {
		in := good + strings.Repeat(" ", size-len(good))
		if _, err := ledger.DecodeProved([]byte(in)); !errors.Is(err, ledger.ErrTooLarge) {
			t.Errorf("%d bytes: %v, want ErrTooLarge", size, err)
		}
	}
}

// TestLargestProvedFits: what may be logged may be gossiped.
func TestLargestProvedFits(t *testing.T) {
	t.Parallel()
	line := "— " + strings.Repeat("w", 1013) + "\n"
	p := &ledger.Proved{
		Inception:  make([]byte, ledger.MaxLeaf),
		Entry:      make([]byte, ledger.MaxLeaf),
		Index:      1 << 40,
		Checkpoint: []byte(strings.Repeat(line, ledger.MaxNote/len(line))),
		Proof:      make([]tlog.Hash, 64),
	}
	if size := len(p.Encode()); size > ledger.MaxProved {
		t.Errorf("the largest proved entry is %d bytes, %d are allowed", size, ledger.MaxProved)
	}
}

func FuzzDecodeProved(f *testing.F) {
	l, author := newLog(f, ledgertest.Key(1), 3)
	for index := range uint64(4) {
		f.Add(prove(f, l, author, index).Encode())
	}
	f.Add([]byte(`{"inception":{},"entry":{},"index":0,"checkpoint":"","proof":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ledger.DecodeProved(in)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, p.Encode())
		}
		if e, _, err := p.Verify(); err == nil && e.Author != author {
			t.Errorf("%q was forged", in)
		}
	})
}

// TestProvedByHostileAuthor: proofs whose every hash is right, made by somebody
// who holds the author's key.
func TestProvedByHostileAuthor(t *testing.T) {
	t.Parallel()
	k, other := ledgertest.Key(1), ledgertest.Key(2)
	in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{k.Public()}, Threshold: 1}
	leaf, err := ledger.EncodeInception(in, other)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := (&forgery{network: "public", author: ledger.AuthorIDOf(leaf), key: k, leaves: [][]byte{leaf}}).release(t, "1")
	for index := range 2 {
		if _, _, err := unsigned.prove(t, index).Verify(); !errors.Is(err, ledger.ErrBadSignature) {
			t.Errorf("entry %d after an inception that another key signed: %v, want ErrBadSignature", index, err)
		}
	}
	good := newForgery(t, "public", k)
	headless := *good
	headless.leaves = [][]byte{good.release(t, "1").leaves[1]}
	p := headless.prove(t, 0)
	p.Inception = good.leaves[0]
	if _, _, err := p.Verify(); !errors.Is(err, ledger.ErrBadProof) {
		t.Errorf("a log that does not begin with its inception: %v, want ErrBadProof", err)
	}
}
