package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// said is one statement of every kind and shape.
func said(t testing.TB) map[string]Statement {
	a, b, c := testKey(t, 1).Public(), testKey(t, 2).Public(), testKey(t, 3).Public()
	other, d := AuthorIDOf([]byte("other")), digest.FromString("x")
	r := testRelease()
	return map[string]Statement{
		"release":        &r,
		"rotate":         &Rotate{KeySet{[]PublicKey{a, b}, 2, []string{c.Fingerprint()}, 1}},
		"rotate-last":    &Rotate{KeySet{Keys: []PublicKey{a}, Threshold: 1}},
		"recover":        &Recover{KeySet{[]PublicKey{a}, 1, []string{c.Fingerprint(), b.Fingerprint()}, 2}, 7},
		"retire":         &Retire{KeySet{Keys: []PublicKey{a}, Threshold: 1}},
		"revoke-digest":  &Revoke{Digest: d, LastValid: 3, Reason: "it was bad"},
		"revoke-tag":     &Revoke{Repo: "team/app", Tag: "1.0"},
		"revoke-key":     &Revoke{Key: a.Fingerprint(), LastValid: 3},
		"endorse":        &Endorse{Author: other, Repo: "app", Digest: d},
		"endorse-full":   &Endorse{Author: other, Repo: "app", Digest: d, Role: "security-review", Comment: "read every line"},
		"attest":         &Attest{Name: "app", Subject: d, PredicateType: "https://slsa.dev/provenance/v1", Predicate: []byte(`{"a":[1.5e3,"\u00e4\n"],"b":{},"c":null}`)},
		"attest-content": &Attest{Subject: d, PredicateType: "https://spdx.dev/Document", Content: &Descriptor{"application/spdx+json", d, 99999}},
		"transfer":       &Transfer{Repo: "app", To: other},
		"accept":         &Accept{Repo: "app", From: other, Transfer: 12},
		"vouch":          &Vouch{For: other, Expires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)},
	}
}

// sayAt signs a statement for entry 9 of a log.
func sayAt(t testing.TB, s Statement) (AuthorID, []byte) {
	t.Helper()
	author := AuthorIDOf([]byte("x"))
	leaf, err := Encode(Place{Author: author, Index: 9}, s, testKey(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	return author, leaf
}

func TestSaid(t *testing.T) {
	t.Parallel()
	for name, s := range said(t) {
		author, leaf := sayAt(t, s)
		e, err := DecodeEntry(author, 9, leaf)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r, ok := s.(*Release); ok {
			r.Seq = 9
		}
		if diff := cmp.Diff(s, e.Statement); diff != "" || e.Type != s.Type() {
			t.Errorf("%s: type %s (-want +got):\n%s", name, e.Type, diff)
		}
		if again, err := Encode(Place{author, 9, e.State}, e.Statement, testKey(t, 1)); err != nil || !bytes.Equal(again, leaf) {
			t.Errorf("%s: does not re-encode to the same bytes: %v", name, err)
		}
		var subject struct {
			Subject []struct {
				Name   *string
				Digest map[string]string
			}
		}
		if err := json.Unmarshal(e.envelope.payload, &subject); err != nil || len(subject.Subject) == 0 || len(subject.Subject[0].Digest) != 1 {
			t.Errorf("%s: subject %+v, %v", name, subject, err)
		}
		for algorithm, hex := range subject.Subject[0].Digest {
			if !isDigest(digest.Digest(algorithm + ":" + hex)) {
				t.Errorf("%s: subject %+v", name, subject)
			}
		}
		golden(t, name+".payload.json", e.envelope.payload)
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", "said", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("%s: got\n%s\nwant\n%s\n%v", name, got, want, err)
	}
}

// TestSaidStrictness changes payloads and signs them properly.
func TestSaidStrictness(t *testing.T) {
	t.Parallel()
	other := string(AuthorIDOf([]byte("other")))
	fingerprint := testKey(t, 1).Public().Fingerprint()
	d := string(digest.FromString("x"))
	for _, tc := range []struct{ kind, old, replacement string }{
		{"rotate", `"threshold":2`, `"threshold":3`},
		{"rotate", `"threshold":2`, `"threshold":0`},
		{"rotate", `"nextThreshold":1`, `"nextThreshold":2`},
		{"rotate", `"nextThreshold":1`, `"nextThreshold":0`},
		{"rotate", `,"nextThreshold":1`, ``},
		{"rotate", `"nextThreshold":1`, `"nextThreshold":1,"voidFrom":1`},
		{"rotate", `"nextThreshold":1`, `"nextThreshold":1,"x":1`},
		{"rotate", `"name":"key/0"`, `"name":"key/1"`},
		{"rotate", `"sha256":"` + fingerprint, `"sha256":"` + strings.Repeat("0", 64)},
		{"rotate", `rotate/v1`, `recover/v1`},
		{"rotate", `rotate/v1`, `retire/v1`},
		{"rotate", `"state":"AAAA`, `"state":"AAA`},
		{"rotate", `AAA=","keys"`, `AAB=","keys"`},
		{"rotate", `"state":"` + strings.Repeat("A", 43) + `=",`, ``},
		{"recover", `"voidFrom":7`, `"voidFrom":0`},
		{"recover", `"voidFrom":7`, `"voidFrom":07`},
		{"recover", `,"voidFrom":7`, ``},
		{"retire", `"threshold":1`, `"threshold":1,"next":["` + fingerprint + `"],"nextThreshold":1`},
		{"revoke-digest", `"digest":"sha256:`, `"digest":"md5:`},
		{"revoke-digest", `,"lastValid"`, `,"key":"` + fingerprint + `","lastValid"`},
		{"revoke-digest", `"reason":"it was bad"`, `"reason":""`},
		{"revoke-digest", `it was bad`, "it was\x7fbad"},
		{"revoke-digest", `,"lastValid":3`, ``},
		{"revoke-tag", `"repo":"team/app"`, `"repo":"../app"`},
		{"revoke-tag", `,"tag":"1.0"`, ``},
		{"revoke-tag", `"tag":"1.0"`, `"tag":"1.1"`},
		{"revoke-key", fingerprint + `","lastValid"`, strings.ToUpper(fingerprint) + `","lastValid"`},
		{"endorse", `"of":"` + other, `"of":"` + other[:58]},
		{"endorse", `"of":"` + other, `"of":"` + string(AuthorIDOf([]byte("third")))},
		{"endorse", `"repo":"app"`, `"repo":""`},
		{"endorse-full", `"role":"security-review"`, `"role":""`},
		{"endorse-full", `"role":"security-review"`, `"role":"Review"`},
		{"endorse-full", `"role":"security-review"`, `"role":"a/b"`},
		{"endorse-full", `"comment":"read every line"`, `"comment":""`},
		{"endorse-full", `read every line`, "read\x7fline"},
		{"endorse-full", `"role":"security-review","comment":"read every line"`, `"comment":"read every line","role":"security-review"`},
		{"attest", `"predicateType":"https://slsa.dev/provenance/v1","predicate"`, `"predicateType":"slsa","predicate"`},
		{"attest", `"predicate":"{\"a\"`, `"predicate":"{ \"a\"`},
		{"attest", `"predicate":"{\"a\"`, `"predicate":"{\"a`},
		{"attest", `"predicate":"{`, `"predicate":"[{`},
		{"attest", `"name":"app",`, ``},
		{"attest-content", `"size":99999}`, `"size":99999},"predicate":"{}"`},
		{"attest-content", `"size":99999`, `"size":-1`},
		{"transfer", `"to":"` + other, `"to":"me`},
		{"transfer", `"to":"` + other + `"`, `"to":"` + other + `","x":1`},
		{"transfer", `"repo":"app","to"`, `"repo":"App","to"`},
		{"accept", `"transfer":12`, `"transfer":0`},
		{"accept", `"from":"` + other, `"from":"` + strings.ToUpper(other)},
		{"vouch", `2027-01-02T03:04:05Z`, `2027-01-02T03:04:05+00:00`},
		{"vouch", `2027-01-02`, `1927-01-02`},
		{"endorse", `"digest":"` + d, `"digest":"` + d[:70]},
	} {
		author, leaf := sayAt(t, said(t)[tc.kind])
		if _, err := DecodeEntry(author, 9, resign(t, testKey(t, 1), leaf, tc.old, tc.replacement)); !errors.Is(err, ErrBadEntry) {
			t.Errorf("%s, %s for %s: %v, want ErrBadEntry", tc.kind, tc.replacement, tc.old, err)
		}
	}
}

// TestSaidFits: whatever Check allows fits into an entry.
func TestSaidFits(t *testing.T) {
	t.Parallel()
	var keys []Key
	full := KeySet{Threshold: MaxKeys, NextThreshold: MaxKeys}
	for i := range byte(MaxKeys) {
		keys = append(keys, testKey(t, i))
		full.Keys = append(full.Keys, keys[i].Public())
		full.Next = append(full.Next, testKey(t, 100+i).Public().Fingerprint())
	}
	quotes := func(n int) *Attest {
		return &Attest{Subject: digest.SHA512.FromString("x"), Name: strings.Repeat(`"`, MaxTitle), PredicateType: "https://" + strings.Repeat("x", maxPredicateType-8),
			Predicate: []byte(`{"a":[` + strings.Repeat(`"",`, n) + `0]}`)}
	}
	most := sort.Search(MaxPredicate, func(n int) bool { return quotes(n).Check() != nil }) - 1
	for _, s := range []Statement{&Recover{full, maxLogSize}, quotes(most)} {
		leaf, err := Encode(Place{AuthorIDOf(nil), maxLogSize, [32]byte{}}, s, keys...)
		if err != nil {
			t.Errorf("the largest %s: %v", s.Type(), err)
		}
		if k, ok := s.(keyEvent); ok && len(leaf)+maxProof*48+100 > k.keySet().cost() {
			t.Errorf("%d bytes of a key event cost %d", len(leaf), k.keySet().cost())
		}
	}
	one := &Recover{KeySet{full.Keys[:1], 1, full.Next[:1], 1}, maxLogSize}
	leaf, err := Encode(Place{AuthorIDOf(nil), maxLogSize, [32]byte{}}, one, keys[0])
	if err != nil || len(leaf)+40*48+100 > one.cost() {
		t.Errorf("%d bytes of a key event cost %d, %v", len(leaf), one.cost(), err)
	}
}

// TestKeyEventsFit: as many key events as a log may have, with the largest
// entry and checkpoint, can be gossiped.
func TestKeyEventsFit(t *testing.T) {
	t.Parallel()
	if rest := MaxProved - maxKeyLog - MaxLeaf - MaxNote*33/32 - 40*48 - 200; rest < 9<<10 {
		t.Errorf("%d bytes are left for the inception", rest)
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	for _, s := range itemSeeds(t) {
		if !decodesToItself(t, []byte(s)) {
			t.Errorf("%s is not read", s)
		}
		for _, bad := range []string{"", " " + s, s + " ", s[:len(s)-1], strings.Replace(s, `,"`, `, "`, 1), strings.Replace(s, `":`, `":0`, 1), "," + s[1:]} {
			if bad != s && decodesToItself(t, []byte(bad)) {
				t.Errorf("%s is read", bad)
			}
		}
	}
}

func itemSeeds(t testing.TB) []string {
	other := AuthorIDOf([]byte("other"))
	set := KeySet{[]PublicKey{testKey(t, 1).Public()}, 1, []string{testKey(t, 2).Public().Fingerprint()}, 1}
	var out []string
	for _, b := range [][]byte{
		keyLog{KeyState: set.State(), events: []uint64{0}, spent: 7}.encode(),
		keyLog{KeyState: set.State(), events: []uint64{0, 5, 9}, void: []interval{{3, 5}, {6, 9}}, spent: 100}.encode(),
		tagged{digest.FromString("x"), strings.Repeat("0a", 20), 7}.encode(),
		ownership{is: isOwned, index: 3}.encode(),
		ownership{is: isTransferred, other: other, index: 3}.encode(),
		ownership{is: isAccepted, other: other, transfer: 9, index: 3}.encode(),
		revocation{5, 2}.encode(),
	} {
		out = append(out, string(b))
	}
	return out
}

// decodesToItself wants any decoder that takes b to write it as it was.
func decodesToItself(t *testing.T, b []byte) bool {
	t.Helper()
	var again []byte
	if k, err := decodeKeyLog(b); err == nil {
		again = k.encode()
	} else if v, err := decodeTagged(b); err == nil {
		again = v.encode()
	} else if v, err := decodeOwnership(b); err == nil {
		again = v.encode()
	} else if v, err := decodeRevocation(b); err == nil {
		again = v.encode()
	} else {
		return false
	}
	if !bytes.Equal(again, b) {
		t.Errorf("%q re-encodes to %q", b, again)
	}
	return true
}

func FuzzItems(f *testing.F) {
	for _, s := range itemSeeds(f) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { decodesToItself(t, b) })
}
