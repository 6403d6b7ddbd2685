package note_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"filippo.io/mldsa"
	fnote "github.com/transparency-dev/formats/note"
	xnote "golang.org/x/mod/sumdb/note"

	"github.com/dockchains/dockchain/ledger/note"
)

// quantumKey is the n-th ML-DSA-44 key, the same one every time.
func quantumKey(t testing.TB, n byte, name string) (note.Key, func([]byte) []byte) {
	t.Helper()
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{n}, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return note.Key{Name: name, Alg: note.MLDSA44, MLDSA: string(private.PublicKey().Bytes())}, func(msg []byte) []byte {
		sig, err := private.SignDeterministic(msg, nil)
		if err != nil {
			t.Error(err)
		}
		return sig
	}
}

func quantumCosign(t testing.TB, n byte, name, text string, at int64) (note.Key, note.Sig) {
	t.Helper()
	k, sign := quantumKey(t, n, name)
	s, err := note.Cosign(k, text, at, sign)
	if err != nil {
		t.Fatal(err)
	}
	return k, s
}

// TestOthersReadOurSubtreeCosignature: transparency-dev verifies what we sign
// with ML-DSA-44, and reads the same time and the same key.
func TestOthersReadOurSubtreeCosignature(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{0, 1679315147, math.MaxInt64} {
		k, s := quantumCosign(t, 1, "witness.example/w", text, at)
		if again, err := note.ParseKey(k.String()); err != nil || again != k {
			t.Errorf("the key re-reads as %v, %v", again, err)
		}
		v, err := fnote.NewVerifierForCosignatureV1(k.String())
		if err != nil {
			t.Fatal(err)
		}
		opened, err := xnote.Open(note.Note{Text: text, Sigs: []note.Sig{s}}.Encode(), xnote.VerifierList(v))
		if err != nil {
			t.Fatalf("time %d: %v", at, err)
		}
		if theirs, err := fnote.CoSigV1Timestamp(opened.Sigs[0]); err != nil || theirs.Unix() != at {
			t.Errorf("transparency-dev reads %v, %v of %d", theirs, err, at)
		}
	}
}

func TestWeReadOthersSubtreeCosignature(t *testing.T) {
	t.Parallel()
	k, _ := quantumKey(t, 1, "witness.example/w")
	seed := append([]byte{byte(note.MLDSA44)}, bytes.Repeat([]byte{1}, mldsa.PrivateKeySize)...)
	signer, err := fnote.NewMLDSASigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", k.Name, k.ID(), base64.StdEncoding.EncodeToString(seed)))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{text, text + "an extension\n"} {
		raw, err := xnote.Sign(&xnote.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		s, ok, err := n.Find(k)
		if at, timed := note.Time(s); !ok || err != nil || !timed || at < 1_700_000_000 {
			t.Errorf("found %v, %v, made at %d", ok, err, at)
		}
	}
	// What is no whole tree is no cosignature of a checkpoint.
	hash, _ := base64.StdEncoding.DecodeString("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
	raw, err := signer.SignSubtree(0, "example.com/behind-the-sofa", 16777216, 20852163, hash)
	if err != nil {
		t.Fatal(err)
	}
	if k.Verify(text, note.Sig{Name: k.Name, ID: k.ID(), Raw: raw}) {
		t.Error("the cosignature of a part passes for that of the whole")
	}
}

// TestSubtreeCosignatureIsOfOneTree: nothing that it says can be changed.
func TestSubtreeCosignatureIsOfOneTree(t *testing.T) {
	t.Parallel()
	k, s := quantumCosign(t, 1, "w", text, 7)
	if !k.Verify(text, s) {
		t.Fatal("a good one is refused")
	}
	later := note.Sig{Name: s.Name, ID: s.ID, Raw: bytes.Clone(s.Raw)}
	later.Raw[7]++
	beyond := note.Sig{Name: s.Name, ID: s.ID, Raw: bytes.Clone(s.Raw)}
	beyond.Raw[0] = 0x80
	other, _ := quantumKey(t, 2, "w")
	renamed := k
	renamed.Name = "v"
	for name, tc := range map[string]struct {
		key  note.Key
		text string
		sig  note.Sig
	}{
		"another time":      {k, text, later},
		"time beyond 2^63":  {k, text, beyond},
		"another origin":    {k, "x" + text, s},
		"another size":      {k, strings.Replace(text, "20852163", "20852164", 1), s},
		"size with a zero":  {k, strings.Replace(text, "20852163", "020852163", 1), s},
		"another root":      {k, strings.Replace(text, "CsUY", "CsUZ", 1), s},
		"no checkpoint":     {k, "w\n", s},
		"origin too long":   {k, strings.Repeat("x", 256) + text, s},
		"another key":       {other, text, note.Sig{Name: s.Name, ID: other.ID(), Raw: s.Raw}},
		"another name":      {renamed, text, note.Sig{Name: "v", ID: renamed.ID(), Raw: s.Raw}},
		"short":             {k, text, note.Sig{Name: s.Name, ID: s.ID, Raw: s.Raw[:len(s.Raw)-1]}},
		"of Ed25519's size": {k, text, note.Sig{Name: s.Name, ID: s.ID, Raw: s.Raw[:72]}},
	} {
		if tc.key.Verify(tc.text, tc.sig) {
			t.Errorf("%s: verifies", name)
		}
	}
	if _, err := note.Cosign(k, "w\n", 7, func([]byte) []byte { return nil }); !errors.Is(err, note.ErrMalformed) {
		t.Errorf("what is no checkpoint: %v, want ErrMalformed", err)
	}
	long := k
	long.Name = strings.Repeat("w", 256)
	if _, err := note.ParseKey(long.String()); !errors.Is(err, note.ErrBadKey) {
		t.Errorf("a name of 256 bytes: %v, want ErrBadKey", err)
	}
}

// FuzzCosignature: no signature but one of the key verifies, whatever its bytes
// and the text are, and what is read of it re-encodes to the same bytes.
func FuzzCosignature(f *testing.F) {
	k, s := cosign(f, 1, "w", text, 7)
	q, qs := quantumCosign(f, 1, "w", text, 7)
	made := map[string]bool{text + string(s.Raw): true, text + string(qs.Raw): true}
	f.Add(text, s.Raw)
	f.Add(text, qs.Raw)
	f.Add("a\n1\n\n", []byte{1})
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		for _, key := range []note.Key{k, q} {
			sig := note.Sig{Name: key.Name, ID: key.ID(), Raw: raw}
			at, timed := note.Time(sig)
			if key.Verify(text, sig) && (!made[text+string(raw)] || !timed || at != 7) {
				if key.Alg != note.MLDSA44 || !strings.HasPrefix(text, "example.com/behind-the-sofa\n20852163\nCsUY") {
					t.Errorf("%q verifies for %q", raw, text)
				}
			}
			lines := note.EncodeSigs([]note.Sig{sig})
			again, err := note.ParseSigs(lines)
			if len(raw) > 0 && len(lines) <= note.MaxSize && (err != nil || !bytes.Equal(note.EncodeSigs(again), lines)) {
				t.Errorf("%q: %v", lines, err)
			}
		}
	})
}
