package note_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	fnote "github.com/transparency-dev/formats/note"
	xnote "golang.org/x/mod/sumdb/note"

	"github.com/dockchains/dockchain/ledger/note"
)

// example is that of https://c2sp.org/tlog-cosignature.
const example = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" +
	"— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n" +
	"— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"

const text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

func testKey(n byte, name string, alg note.Alg) (note.Key, func([]byte) []byte) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	k := note.Key{Name: name, Alg: alg}
	copy(k.Public[:], private.Public().(ed25519.PublicKey))
	return k, func(msg []byte) []byte { return ed25519.Sign(private, msg) }
}

func cosign(t testing.TB, n byte, name, text string, at int64) (note.Key, note.Sig) {
	t.Helper()
	k, sign := testKey(n, name, note.CosignatureV1)
	s, err := note.Cosign(k, text, at, sign)
	if err != nil {
		t.Fatal(err)
	}
	return k, s
}

func TestExampleOfSpecification(t *testing.T) {
	t.Parallel()
	n, err := note.Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if string(n.Encode()) != example || n.Text != text || len(n.Sigs) != 2 {
		t.Errorf("read as %+v", n)
	}
	if at, ok := note.Time(n.Sigs[1]); !ok || at != 1679315147 {
		t.Errorf("cosigned at %d, %v; the specification says 1679315147", at, ok)
	}
	if _, ok := note.Time(n.Sigs[0]); ok {
		t.Error("the signature of the log has a time")
	}
}

// TestOthersReadOurCosignature: transparency-dev verifies what we sign, and
// reads the same time out of it.
func TestOthersReadOurCosignature(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{0, 1, 1679315147, math.MaxInt64} {
		k, s := cosign(t, 1, "witness.example/w", text, at)
		v, err := fnote.NewVerifierForCosignatureV1(k.String())
		if err != nil {
			t.Fatal(err)
		}
		raw := note.Note{Text: text, Sigs: []note.Sig{s}}.Encode()
		opened, err := xnote.Open(raw, xnote.VerifierList(v))
		if err != nil {
			t.Fatalf("time %d: %v", at, err)
		}
		if theirs, err := fnote.CoSigV1Timestamp(opened.Sigs[0]); err != nil || theirs.Unix() != at {
			t.Errorf("transparency-dev reads %v, %v of %d", theirs, err, at)
		}
	}
}

func TestWeReadOthersCosignature(t *testing.T) {
	t.Parallel()
	k, _ := testKey(1, "witness.example/w", note.CosignatureV1)
	seed := append([]byte{byte(note.CosignatureV1)}, bytes.Repeat([]byte{1}, ed25519.SeedSize)...)
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", k.Name, k.ID(), base64.StdEncoding.EncodeToString(seed))
	signer, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := xnote.Sign(&xnote.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := n.Find(k); !ok || err != nil {
		t.Errorf("found %v, %v", ok, err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	k, good := cosign(t, 1, "w", text, 7)
	_, other := cosign(t, 2, "w", text, 7)
	log, sign := testKey(1, "w", note.Ed25519)
	plain := note.Sig{Name: "w", ID: log.ID(), Raw: sign([]byte(text))}
	later := note.Sig{Name: good.Name, ID: good.ID, Raw: bytes.Clone(good.Raw)}
	later.Raw[7]++ // the time is signed too
	short := note.Sig{Name: good.Name, ID: good.ID, Raw: good.Raw[:71]}
	early := note.Sig{Name: good.Name, ID: good.ID, Raw: bytes.Clone(good.Raw)}
	early.Raw[0] = 0x80 // beyond 2^63-1
	for name, tc := range map[string]struct {
		key  note.Key
		sigs []note.Sig
		ok   bool
		want error
	}{
		"good":                    {k, []note.Sig{good}, true, nil},
		"among others":            {k, []note.Sig{other, plain, good}, true, nil},
		"plain":                   {log, []note.Sig{good, plain}, true, nil},
		"none":                    {k, []note.Sig{other}, false, nil},
		"other time":              {k, []note.Sig{later}, false, note.ErrBadSignature},
		"good and other time":     {k, []note.Sig{good, later}, false, note.ErrBadSignature},
		"short":                   {k, []note.Sig{short}, false, note.ErrBadSignature},
		"time beyond 2^63-1":      {k, []note.Sig{early}, false, note.ErrBadSignature},
		"plain under cosigner id": {k, []note.Sig{{Name: "w", ID: k.ID(), Raw: plain.Raw}}, false, note.ErrBadSignature},
		"cosig under plain id":    {log, []note.Sig{{Name: "w", ID: log.ID(), Raw: good.Raw}}, false, note.ErrBadSignature},
		"under another name":      {k, []note.Sig{{Name: "v", ID: good.ID, Raw: good.Raw}}, false, nil},
	} {
		s, ok, err := note.Note{Text: text, Sigs: tc.sigs}.Find(tc.key)
		if ok != tc.ok || !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, %v, want %v, %v", name, ok, err, tc.ok, tc.want)
		}
		if ok && !tc.key.Verify(text, s) {
			t.Errorf("%s: what was found does not verify", name)
		}
	}
}

func TestCosignRefuses(t *testing.T) {
	t.Parallel()
	cosigner, sign := testKey(1, "w", note.CosignatureV1)
	plain, _ := testKey(1, "w", note.Ed25519)
	nameless, _ := testKey(1, "a b", note.CosignatureV1)
	for name, tc := range map[string]struct {
		key note.Key
		at  int64
	}{"before 1970": {cosigner, -1}, "another type": {plain, 1}, "bad name": {nameless, 1}} {
		if _, err := note.Cosign(tc.key, text, tc.at, sign); !errors.Is(err, note.ErrBadKey) {
			t.Errorf("%s: %v, want ErrBadKey", name, err)
		}
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	_, a := cosign(t, 1, "a", text, 7)
	_, newer := cosign(t, 1, "a", text, 8)
	_, b := cosign(t, 2, "b", text, 7)
	n := note.Note{Text: text, Sigs: []note.Sig{a}}
	got, err := n.With(b, newer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]note.Sig{newer, b}, got.Sigs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]note.Sig{a}, n.Sigs); diff != "" {
		t.Errorf("the original was written to: %s", diff)
	}
	var many []note.Sig
	for i := range note.MaxSigs {
		many = append(many, note.Sig{Name: fmt.Sprint("w", i), Raw: []byte{1}})
	}
	if _, err := n.With(many...); !errors.Is(err, note.ErrTooLarge) {
		t.Errorf("%d more: %v, want ErrTooLarge", len(many), err)
	}
	if _, err := n.With(note.Sig{Name: "w", Raw: make([]byte, note.MaxSize)}); !errors.Is(err, note.ErrTooLarge) {
		t.Errorf("a large one: %v, want ErrTooLarge", err)
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	const good = "sigsum.org+e4ade967+AZuUY6B08pW3QVHu8uvsrxWPcAv9nykap2Nb4oxCee+r"
	k, _ := testKey(1, "w", note.CosignatureV1)
	b64 := func(b ...byte) string { return base64.StdEncoding.EncodeToString(b) }
	for in, want := range map[string]error{
		good:       nil,
		k.String(): nil,
		"remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2": nil,
		"": note.ErrBadKey,
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX": note.ErrBadKey, // one bit
		strings.Replace(good, "e4ade967", "e4ade968", 1):                     note.ErrBadKey,
		strings.Replace(good, "e4ade967", "E4ADE967", 1):                     note.ErrBadKey,
		strings.Replace(good, "sigsum.org", "sigsum.com", 1):                 note.ErrBadKey,
		strings.Replace(good, "sigsum.org", "sigsum org", 1):                 note.ErrBadKey,
		strings.Replace(good, "sigsum.org", "", 1):                           note.ErrBadKey,
		good + "\n":                         note.ErrBadKey,
		good[:len(good)-1]:                  note.ErrBadKey,
		"w+00000000+" + b64(1):              note.ErrBadKey,
		"w+00000000+" + b64(1, 2, 3):        note.ErrBadKey,
		"w+00000000+" + b64(6, 2, 3):        note.ErrBadKey,
		"w+00000000+" + b64(7, 2, 3):        note.ErrUnsupported,
		strings.Repeat("w", 5000) + good:    note.ErrBadKey,
		"w+00000000":                        note.ErrBadKey,
		good[:30] + "\n" + good[30:]:        note.ErrBadKey,
		strings.Replace(good, "+", "++", 1): note.ErrBadKey,
	} {
		got, err := note.ParseKey(in)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
		if err == nil && got.String() != in {
			t.Errorf("%q re-encodes to %q", in, got)
		}
	}
}

func TestParseSigs(t *testing.T) {
	t.Parallel()
	_, s := cosign(t, 1, "w", text, 7)
	lines := string(note.EncodeSigs([]note.Sig{s, s}))
	got, err := note.ParseSigs([]byte(lines))
	if err != nil || string(note.EncodeSigs(got)) != lines {
		t.Errorf("%+v, %v", got, err)
	}
	for _, in := range []string{"", "\n", lines[:len(lines)-1], lines + "\n", "\n" + lines, "x\n", lines + "x\n", strings.Repeat(lines, 40)} {
		if _, err := note.ParseSigs([]byte(in)); !errors.Is(err, note.ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", in, err)
		}
	}
	if _, err := note.ParseSigs(make([]byte, note.MaxSize+1)); !errors.Is(err, note.ErrTooLarge) {
		t.Errorf("large: %v", err)
	}
}

// FuzzParse: what is accepted re-encodes to the same bytes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("a\n\n— a AAAAAAEC\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if n, err := note.Parse(in); err == nil && !bytes.Equal(n.Encode(), in) {
			t.Errorf("%q re-encodes to %q", in, n.Encode())
		}
		if sigs, err := note.ParseSigs(in); err == nil && !bytes.Equal(note.EncodeSigs(sigs), in) {
			t.Errorf("%q re-encodes to %q", in, note.EncodeSigs(sigs))
		}
	})
}

// FuzzParseKey: what is accepted re-encodes to the same bytes, and others read
// it as we do.
func FuzzParseKey(f *testing.F) {
	f.Add("sigsum.org+e4ade967+AZuUY6B08pW3QVHu8uvsrxWPcAv9nykap2Nb4oxCee+r")
	f.Add("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2")
	quantum, _ := quantumKey(f, 1, "w")
	f.Add(quantum.String())
	f.Fuzz(func(t *testing.T, in string) {
		k, err := note.ParseKey(in)
		if err != nil {
			return
		}
		if k.String() != in {
			t.Errorf("%q re-encodes to %q", in, k)
		}
		v, err := fnote.NewVerifierForCosignatureV1(in)
		if err != nil {
			t.Fatalf("transparency-dev refuses %q: %v", in, err)
		}
		if k.Alg != note.Ed25519 && (v.KeyHash() != k.ID() || v.Name() != k.Name) {
			t.Errorf("transparency-dev reads %q as %s %08x", in, v.Name(), v.KeyHash())
		}
	})
}

// TestAdopt: of what strangers send, good signatures by known keys stay.
func TestAdopt(t *testing.T) {
	t.Parallel()
	a, a7 := cosign(t, 1, "a", text, 7)
	_, a8 := cosign(t, 1, "a", text, 8)
	b, b7 := cosign(t, 2, "b", text, 7)
	_, other := cosign(t, 1, "a", text+"x\n", 9)
	_, stranger := cosign(t, 3, "c", text, 9)
	log, sign := testKey(4, "log", note.Ed25519)
	plain := note.Sig{Name: "log", ID: log.ID(), Raw: sign([]byte(text))}
	for name, tc := range map[string]struct {
		have, sent, want []note.Sig
		fresh            bool
	}{
		"new":            {nil, []note.Sig{a7, b7, plain}, []note.Sig{a7, b7, plain}, true},
		"later":          {[]note.Sig{a7}, []note.Sig{a8}, []note.Sig{a8}, true},
		"earlier":        {[]note.Sig{a8}, []note.Sig{a7}, []note.Sig{a8}, false},
		"latest of many": {nil, []note.Sig{a7, a8, a7}, []note.Sig{a8}, true},
		"known":          {[]note.Sig{a7, plain}, []note.Sig{a7, plain}, []note.Sig{a7, plain}, false},
		"of other text":  {[]note.Sig{a7}, []note.Sig{other, b7}, []note.Sig{a7, b7}, true},
		"strangers":      {[]note.Sig{stranger}, []note.Sig{stranger}, []note.Sig{stranger}, false},
		"unknown":        {nil, []note.Sig{stranger}, nil, false},
	} {
		got, fresh, err := note.Note{Text: text, Sigs: tc.have}.Adopt(tc.sent, a, b, log)
		if diff := cmp.Diff(tc.want, got.Sigs); err != nil || diff != "" || fresh != tc.fresh {
			t.Errorf("%s: %v, %v: %s", name, fresh, err, diff)
		}
	}
	// What somebody added under the names of witnesses goes, and what fills the note.
	noise := []note.Sig{plain, other}
	for i := len(noise); i < note.MaxSigs; i++ {
		noise = append(noise, note.Sig{Name: fmt.Sprint("noise", i), Raw: []byte{1}})
	}
	origin, _, _ := strings.Cut(text, "\n")
	byLog, sign := testKey(5, origin, note.Ed25519)
	noise[2] = note.Sig{Name: origin, ID: byLog.ID(), Raw: sign([]byte(text))}
	got, fresh, err := note.Note{Text: text, Sigs: noise}.Adopt([]note.Sig{a7, b7}, a, b)
	if diff := cmp.Diff([]note.Sig{noise[2], a7, b7}, got.Sigs); err != nil || diff != "" || !fresh {
		t.Errorf("a note that was changed and filled: %v, %v: %s", fresh, err, diff)
	}
	got, fresh, err = note.Note{Text: text, Sigs: []note.Sig{other, plain}}.Adopt(nil, a, b)
	if diff := cmp.Diff([]note.Sig{plain}, got.Sigs); err != nil || diff != "" || !fresh {
		t.Errorf("a note that was changed: %v, %v: %s", fresh, err, diff)
	}
}
