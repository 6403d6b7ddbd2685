package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

func say(t testing.TB, l *ledger.Ledger, author ledger.AuthorID, k ledger.Key, s ledger.Statement) uint64 {
	t.Helper()
	return mustAppend(t, l, author, k, s).Index
}

// TestOwnershipFollowsTransfers hands a repository from one author to the next
// and back.
func TestOwnershipFollowsTransfers(t *testing.T) {
	t.Parallel()
	ka, kb := ledgertest.Key(1), ledgertest.Key(2)
	l := ledger.New(ledger.NewMem(), "public")
	a, b := ledgertest.Author(t, l, ka), ledgertest.Author(t, l, kb)
	ledgertest.Append(t, l, a, ka, "app", "1.0", 0)

	first := say(t, l, a, ka, &ledger.Transfer{Repo: "app", To: b})
	if _, err := l.Accepted(b, "app", a, first); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("accepted before it was: %v", err)
	}
	accepted := say(t, l, b, kb, &ledger.Accept{Repo: "app", From: a, Transfer: first})
	if o, err := l.Ownership(a, "app"); err != nil || o.Owned || o.Transferred != b || o.Index != first {
		t.Errorf("the giver's: %+v, %v", o, err)
	}
	if o, err := l.Ownership(b, "app"); err != nil || !o.Owned || o.Accepted != a || o.Transfer != first || o.Index != accepted {
		t.Errorf("the receiver's: %+v, %v", o, err)
	}
	back := say(t, l, b, kb, &ledger.Transfer{Repo: "app", To: a})
	say(t, l, a, ka, &ledger.Accept{Repo: "app", From: b, Transfer: back})
	again := say(t, l, a, ka, &ledger.Transfer{Repo: "app", To: b})
	say(t, l, b, kb, &ledger.Accept{Repo: "app", From: a, Transfer: again})
	for _, transfer := range []uint64{first, again} {
		_, err := l.Accepted(b, "app", a, transfer)
		if current := transfer == again; (err == nil) != current {
			t.Errorf("transfer %d: %v", transfer, err) // what came again is owned by the newest acceptance
		}
	}
	say(t, l, b, kb, &ledger.Transfer{Repo: "app", To: a})
	for _, transfer := range []uint64{first, again} { // and who gave it on had it by both
		if _, err := l.Accepted(b, "app", a, transfer); err != nil {
			t.Errorf("transfer %d: %v", transfer, err)
		}
	}
	if o, err := l.Ownership(a, "nothing"); err != nil || o != (ledger.Ownership{}) {
		t.Errorf("an unknown repository: %+v, %v", o, err)
	}
}

// TestSecondTransferChangesNothing: the first index wins, even where the author
// signs a second one by hand.
func TestSecondTransferChangesNothing(t *testing.T) {
	t.Parallel()
	ka := ledgertest.Key(1)
	l := ledger.New(ledger.NewMem(), "public")
	a := ledgertest.Author(t, l, ka)
	b, c := ledgertest.Author(t, l, ledgertest.Key(2)), ledgertest.Author(t, l, ledgertest.Key(3))
	ledgertest.Append(t, l, a, ka, "app", "1.0", 0)
	first := say(t, l, a, ka, &ledger.Transfer{Repo: "app", To: b})
	for _, st := range []ledger.Statement{&ledger.Transfer{Repo: "app", To: c}, released(ledgertest.Release("app", "1.0", 1)), &ledger.Transfer{Repo: "other", To: c}} {
		if _, err := l.Append(t.Context(), a, []ledger.Key{ka}, st); !errors.Is(err, ledger.ErrTransferred) {
			t.Errorf("%s: %v, want ErrTransferred", st.Type(), err)
		}
	}
	// A program that signs them all the same: the log takes them, and they say nothing.
	head, err := l.Head(a)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := l.Leaves(a, 0, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	f := &forgery{network: "public", author: a, key: ka, leaves: leaves}
	f = f.say(t, f.here(), &ledger.Transfer{Repo: "app", To: c}, ka).release(t, "1.0").release(t, "new")
	leaves = f.leaves
	copied := known(t, f)
	if o, err := copied.Ownership(a, "app"); err != nil || o.Transferred != b || o.Index != first {
		t.Errorf("after a second transfer: %+v, %v", o, err)
	}
	for index, accepted := range map[uint64]bool{1: true, uint64(len(leaves)) - 2: false, uint64(len(leaves)) - 1: false} {
		p := prove(t, copied, a, index)
		if v := copied.Verdict(t.Context(), ledger.Claim{Proved: p}); v.Accepted != accepted {
			t.Errorf("release in entry %d: %+v", index, v)
		} else if !accepted && !strings.Contains(v.Reasons[4].Text, "went to") {
			t.Errorf("release in entry %d: %+v", index, v.Reasons)
		}
	}
}

func released(r ledger.Release) ledger.Statement { return &r }

// TestStands: what an author says counts until it, or its key, takes it back.
func TestStands(t *testing.T) {
	t.Parallel()
	old, next := ledgertest.Key(1), ledgertest.Key(2)
	l := ledger.New(ledger.NewMem(), "public")
	in := ledger.Inception{
		Network: "public", Keys: []ledger.PublicKey{old.Public()}, Threshold: 1,
		Next: []string{next.Public().Fingerprint()}, NextThreshold: 1,
	}
	a, err := l.Incept(t.Context(), in, old)
	if err != nil {
		t.Fatal(err)
	}
	x, y := digest.FromString("x"), digest.FromString("y")
	endorseX := say(t, l, a, old, &ledger.Endorse{Author: a, Repo: "app", Digest: x})
	attestY := say(t, l, a, old, &ledger.Attest{Subject: y, PredicateType: "https://example.test/v1", Predicate: []byte("{}")})
	endorseY := say(t, l, a, old, &ledger.Endorse{Author: a, Repo: "app", Digest: y})
	stands := func(index uint64) bool {
		t.Helper()
		leaf, err := l.Leaves(a, index, index+1)
		if err != nil {
			t.Fatal(err)
		}
		e, err := ledger.DecodeEntry(a, index, leaf[0])
		if err != nil {
			t.Fatal(err)
		}
		why, err := l.Stands(e)
		if err != nil {
			t.Fatal(err)
		}
		return why == ""
	}
	want := func(what string, expected ...bool) {
		t.Helper()
		for i, index := range []uint64{endorseX, attestY, endorseY} {
			if stands(index) != expected[i] {
				t.Errorf("%s: entry %d stands: %v", what, index, !expected[i])
			}
		}
	}
	want("at first", true, true, true)
	say(t, l, a, old, &ledger.Revoke{Digest: y, LastValid: attestY})
	want("y taken back after the attestation", true, true, false)
	if _, err := l.Rotate(t.Context(), a, []ledger.Key{next}, ledger.KeySet{Keys: []ledger.PublicKey{next.Public()}, Threshold: 1}); err != nil {
		t.Fatal(err)
	}
	want("after a rotation", true, true, false)
	say(t, l, a, next, &ledger.Revoke{Key: old.Public().Fingerprint(), LastValid: endorseX})
	want("the old key revoked", true, false, false)
}
