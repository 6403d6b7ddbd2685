package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// TestRecover: a thief releases, revokes and gives away; the author takes it
// back and all is as before.
func TestRecover(t *testing.T) {
	t.Parallel()
	stolen := ledgertest.Key(1)
	store := ledger.NewMem()
	l := ledger.New(store, "public")
	author := rotating(t, l)
	good := ledgertest.Append(t, l, author, stolen, "app", "1", 0)
	mustAppend(t, l, author, stolen, &ledger.Revoke{Repo: "old", Tag: "1", LastValid: 0})
	state := states(t, store, author)

	evil := ledgertest.Append(t, l, author, stolen, "app", "1", 666)
	mustAppend(t, l, author, stolen, &ledger.Revoke{Digest: ledgertest.Release("app", "1", 0).Image.Digest})
	mustAppend(t, l, author, stolen, &ledger.Revoke{Repo: "old", Tag: "1", LastValid: 2})
	mustAppend(t, l, author, stolen, &ledger.Transfer{Repo: "app", To: ledger.AuthorIDOf([]byte("thief"))})
	ledgertest.Append(t, l, author, stolen, "other", "1", 0)
	if v := l.Verdict(t.Context(), ledger.Claim{Proved: good}); v.Accepted {
		t.Errorf("the thief's revocation does nothing: %+v", v)
	}
	for _, from := range []uint64{0, 9, 10} {
		if _, err := l.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(2)}, set(ledgertest.Key(3), ledgertest.Key(2)), from); !errors.Is(err, ledger.ErrBadEntry) {
			t.Errorf("taking back from %d: %v, want ErrBadEntry", from, err)
		}
	}
	if _, err := l.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(2)}, set(ledgertest.Key(3), ledgertest.Key(2)), 3); err != nil {
		t.Fatal(err)
	}
	after := states(t, store, author)
	delete(state, "keys")
	delete(after, "keys")
	if fmt.Sprint(state) != fmt.Sprint(after) {
		t.Errorf("the state is %v, want that before the theft %v", after, state)
	}
	wantRule(t, l, good, ledger.RuleUnrevoked, true, "")
	wantRule(t, l, evil, ledger.RuleUnrevoked, false, "other hands")
	if p, err := l.ProveLatest(t.Context(), author, "app", "1"); err != nil || p.Release.Index != good.Index {
		t.Errorf("the latest is %+v, %v", p, err)
	}
	ledgertest.Append(t, l, author, ledgertest.Key(2), "app", "2", 0)
	if _, err := l.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(3)}, set(ledgertest.Key(4), ledgertest.Key(3)), 3); !errors.Is(err, ledger.ErrBadEntry) {
		t.Errorf("taking back what is before the last key event: %v, want ErrBadEntry", err)
	}
	if _, err := l.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(3)}, set(ledgertest.Key(4), ledgertest.Key(3)), 9); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ProveLatest(t.Context(), author, "app", "2"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("the latest of what was taken back: %v, want ErrNotFound", err)
	}
	mustBeSound(t, l, author)
	// A stranger who has nothing but the proof sees it too.
	stranger := ledger.New(ledger.NewMem(), "public")
	wantRule(t, stranger, prove(t, l, author, evil.Index), ledger.RuleUnrevoked, false, "other hands")
	wantRule(t, stranger, prove(t, l, author, good.Index), ledger.RuleUnrevoked, true, "no copy")
}

func states(t testing.TB, s ledger.Store, author ledger.AuthorID) map[string]string {
	t.Helper()
	items, err := s.States(author)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, it := range items {
		out[it.Key] = string(it.Value)
	}
	return out
}

// TestManyRecoveries: there is an end to what others must read again.
func TestManyRecoveries(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	for n := uint64(2); ; n++ {
		ledgertest.Append(t, l, author, ledgertest.Key(n-1), "app", "1", int(n))
		at := size(t, l, author)
		to := set(ledgertest.Key(n+1), ledgertest.Key(n))
		_, err := l.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(n)}, to, at-1)
		if errors.Is(err, ledger.ErrTooLarge) && n == 18 {
			mustRotate(t, l, author, to, ledgertest.Key(n))
			break
		}
		if err != nil {
			t.Fatalf("recovery %d: %v", n-1, err)
		}
	}
	mustBeSound(t, l, author)
}
