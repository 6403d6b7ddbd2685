package ledger

import (
	"errors"
	"testing"
)

// Entries verified together are judged as each of them alone, whichever of
// them is wrong and however often its key signed.
func TestVerifyEntries(t *testing.T) {
	t.Parallel()
	a, b, stranger := testKey(t, 1), testKey(t, 2), testKey(t, 3)
	state := keyState(1, a, b)
	author := AuthorIDOf([]byte("x"))
	signers := []Key{a, a, b, a, stranger, b, stranger}
	for wrong := range signers {
		for count := range len(signers) + 1 {
			var entries []*Entry
			var keys []KeyState
			var want error
			for i, key := range signers[:count] {
				r := testRelease()
				leaf, err := Encode(Place{Author: author, Index: uint64(i) + 1}, &r, key)
				if err != nil {
					t.Fatal(err)
				}
				e, err := DecodeEntry(author, uint64(i)+1, leaf)
				if err != nil {
					t.Fatal(err)
				}
				if i == wrong {
					e.envelope.signatures[0].sig[40] ^= 1
				}
				if e.VerifySignatures(state) != nil {
					want = ErrBadSignature
				}
				entries, keys = append(entries, e), append(keys, state)
			}
			if err := verifyEntries(t.Context(), entries, keys); !errors.Is(err, want) {
				t.Errorf("%d entries, the signature of %d is wrong: %v, want %v", count, wrong, err, want)
			}
		}
	}
}

// A key that signed several entries, and speaks for the author at some of them
// only, counts at those.
func TestVerifyEntriesChangedKeys(t *testing.T) {
	t.Parallel()
	a, b := testKey(t, 1), testKey(t, 2)
	author := AuthorIDOf([]byte("x"))
	var entries []*Entry
	for i := range uint64(4) {
		r := testRelease()
		leaf, err := Encode(Place{Author: author, Index: i + 1}, &r, a)
		if err != nil {
			t.Fatal(err)
		}
		e, err := DecodeEntry(author, i+1, leaf)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	of := func(k ...Key) KeyState { return keyState(1, k...) }
	for _, tc := range []struct {
		keys []KeyState
		want error
	}{
		{[]KeyState{of(a), of(a, b), of(b, a), of(a)}, nil},
		{[]KeyState{of(a), of(a), of(b), of(a)}, ErrBadSignature},
		{[]KeyState{of(b), of(a), of(a), of(a)}, ErrBadSignature},
		{[]KeyState{of(a), of(a), of(a), of(b)}, ErrBadSignature},
	} {
		if err := verifyEntries(t.Context(), entries, tc.keys); !errors.Is(err, tc.want) {
			t.Errorf("%v: %v, want %v", tc.keys, err, tc.want)
		}
	}
}
