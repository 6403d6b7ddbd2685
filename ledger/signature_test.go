package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSignatures(t *testing.T) {
	t.Parallel()
	a, b, stranger := testKey(t, 1), testKey(t, 2), testKey(t, 3)
	author := AuthorIDOf([]byte("x"))
	r := testRelease()
	release := &r
	for name, tc := range map[string]struct {
		by   []Key
		keys KeyState
		want error
	}{
		"one of one":             {[]Key{a}, keyState(1, a), nil},
		"one of two":             {[]Key{b}, keyState(1, a, b), nil},
		"two of two":             {[]Key{a, b}, keyState(2, a, b), nil},
		"too few":                {[]Key{a}, keyState(2, a, b), ErrBadSignature},
		"a stranger":             {[]Key{stranger}, keyState(1, a), ErrBadSignature},
		"a stranger in addition": {[]Key{a, stranger}, keyState(1, a), ErrBadSignature},
		"no threshold":           {[]Key{a}, keyState(0, a), ErrBadSignature},
	} {
		leaf, err := Encode(Place{Author: author, Index: 1}, release, tc.by...)
		if err != nil {
			t.Fatal(err)
		}
		e, err := DecodeEntry(author, 1, leaf)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.VerifySignatures(tc.keys); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	// n signatures by one key: the second makes the envelope malformed.
	leaf, err := Encode(Place{Author: author, Index: 1}, release, a, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeEntry(author, 1, leaf); !errors.Is(err, ErrBadEntry) {
		t.Errorf("one key twice: %v, want ErrBadEntry", err)
	}
}

// TestSignatureMalleability: adding the group order to S gives another spelling
// of the same Ed25519 signature, which must not be accepted.
func TestSignatureMalleability(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	author, leaf := mustEncode(t, k, testRelease())
	env, err := decodeEnvelope(leaf)
	if err != nil {
		t.Fatal(err)
	}
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}
	sig := slices.Clone(env.signatures[0].sig)
	carry := 0
	for i, o := range order {
		sum := int(sig[32+i]) + int(o) + carry
		sig[32+i], carry = byte(sum), sum>>8
	}
	env.signatures[0].sig = sig
	e, err := DecodeEntry(author, 1, env.encode())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.VerifySignatures(keyState(1, k)); !errors.Is(err, ErrBadSignature) {
		t.Errorf("S + L: %v, want ErrBadSignature", err)
	}
}

func TestUnknownTypes(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	author := AuthorIDOf([]byte("x"))
	head := fmt.Sprintf(`{"author":"%s","seq":4,"state":"%s"`, author, strings.Repeat("A", 43)+"=")
	for predicate, ok := range map[string]bool{
		head + `}`: true,
		head + `,"why":{"deep":[1,{"x":"y\n"}]},"z":null,"a":true}`: true,
		head + `,"why":1,"why":1}`:                                  false,
		head + `,"author":"x"}`:                                     false,
		head + `,"seq":4}`:                                          false,
		head + `,}`:                                                 false,
		head + `} `:                                                 false,
		strings.Replace(head, `,"state"`, `,"x":1,"state"`, 1) + `}`: false,
		strings.Replace(head, `=`, ``, 1) + `}`:                      false,
		`{"seq":4}`:                                                  false,
		`{}`:                                                         false,
		`[]`:                                                         false,
		strings.Replace(head, `"seq":4`, `"seq":5`, 1) + `}`: false,
	} {
		leaf, err := signEnvelope(statement([]byte(`[{"name":"x"}]`), "https://example.com/x/v1", []byte(predicate)), k)
		if err != nil {
			t.Fatal(err)
		}
		e, err := DecodeEntry(author, 4, leaf)
		if (err == nil) != ok {
			t.Errorf("%s: %v, want ok %v", predicate, err, ok)
		}
		if err == nil && (e.Type != "https://example.com/x/v1" || e.Release != nil || e.Inception != nil) {
			t.Errorf("%s: decoded as %+v", predicate, e)
		}
	}
	for _, subject := range []string{`[]`, `{}`, `["x"]`, `[1]`, `null`, `[{}`} {
		leaf, err := signEnvelope(statement([]byte(subject), "https://example.com/x/v1", []byte(head+"}")), k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeEntry(author, 4, leaf); !errors.Is(err, ErrBadEntry) {
			t.Errorf("subject %s: %v, want ErrBadEntry", subject, err)
		}
	}
}

// FuzzDecodeEntry: no leaf panics, and an accepted one re-encodes to the same
// bytes.
func FuzzDecodeEntry(f *testing.F) {
	k := testKey(f, 1)
	author, release := mustEncode(f, k, testRelease())
	inception, err := EncodeInception(testInception(k), k)
	if err != nil {
		f.Fatal(err)
	}
	leaves := [][]byte{release, inception}
	for _, s := range said(f) {
		leaf, err := Encode(Place{Author: author, Index: 1}, s, k)
		if err != nil {
			f.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	for _, leaf := range leaves {
		env, err := decodeEnvelope(leaf)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(leaf, env.payload)
	}
	f.Fuzz(func(t *testing.T, leaf, payload []byte) {
		if env, err := decodeEnvelope(leaf); err == nil && !bytes.Equal(env.encode(), leaf) {
			t.Errorf("envelope %q re-encodes to %q", leaf, env.encode())
		}
		signed, err := signEnvelope(payload, k)
		if err != nil {
			return
		}
		for index, id := range []AuthorID{AuthorIDOf(signed), author} {
			e, err := DecodeEntry(id, uint64(index), signed)
			switch {
			case err != nil:
			case !json.Valid(payload):
				t.Errorf("%q is no JSON", payload)
			case e.Statement != nil:
				again, err := Encode(Place{id, e.Index, e.State}, e.Statement, k)
				if err != nil || !bytes.Equal(again, signed) {
					t.Errorf("%s %q re-encodes to %q, %v", e.Type, payload, again, err)
				}
			case e.Inception != nil:
				if again := statement(e.Inception.subject(), typeInception, e.Inception.predicate()); !bytes.Equal(again, payload) {
					t.Errorf("inception %q re-encodes to %q", payload, again)
				}
			}
		}
	})
}
