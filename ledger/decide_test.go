package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// branch is a copy of a log as it was at a size.
func branch(t *testing.T, of *ledger.Ledger, author ledger.AuthorID) *ledger.Ledger {
	t.Helper()
	l := ledger.New(ledger.NewMem(), "public")
	follow(t, l, of, author)
	return l
}

func pull(l, of *ledger.Ledger, t *testing.T, author ledger.AuthorID) ([]*ledger.Entry, error) {
	t.Helper()
	head, err := of.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := of.Leaves(author, 0, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	return l.Extend(t.Context(), author, 0, leaves, head.Checkpoint)
}

func follow(t *testing.T, l, of *ledger.Ledger, author ledger.AuthorID) {
	t.Helper()
	if _, err := pull(l, of, t, author); err != nil {
		t.Fatal(err)
	}
}

func sameHead(t *testing.T, author ledger.AuthorID, logs ...*ledger.Ledger) {
	t.Helper()
	want, err := logs[0].Head(author)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range logs {
		if got, err := l.Head(author); err != nil || got.Root != want.Root || got.Size != want.Size {
			t.Errorf("log %d: %d entries, want %d (%v)", i, got.Size, want.Size, err)
		}
		if f, err := l.Fault(author); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("log %d is frozen: %+v, %v", i, f, err)
		}
		mustBeSound(t, l, author)
	}
}

// forked is a log of the keys 1, then 2, of which a thief and the owner sign
// different entries from common on; every copy of both is frozen there.
func forked(t *testing.T, common, ours, theirs int) (author ledger.AuthorID, owner, thief *ledger.Ledger) {
	t.Helper()
	owner = ledger.New(ledger.NewMem(), "public")
	author = rotating(t, owner)
	key := ledgertest.Key(1)
	for i := size(t, owner, author); i < uint64(common); i++ {
		ledgertest.Append(t, owner, author, key, "app", fmt.Sprint(i), int(i))
	}
	thief = branch(t, owner, author)
	for i := range ours {
		ledgertest.Append(t, owner, author, key, "app", "ours", i)
	}
	for i := range theirs {
		ledgertest.Append(t, thief, author, key, "app", "theirs", 100+i)
	}
	for _, l := range []*ledger.Ledger{owner, thief} {
		if _, err := l.Freeze(t.Context(), author, ledger.Fault{Kind: ledger.FaultFork, Common: uint64(common), Evidence: []byte("proof")}); err != nil {
			t.Fatal(err)
		}
	}
	return author, owner, thief
}

// TestFrozenAboveTheCommonSize: what both histories have stands, and nothing else.
func TestFrozenAboveTheCommonSize(t *testing.T) {
	t.Parallel()
	const common = 4
	author, owner, thief := forked(t, common, 2, 3)
	for name, l := range map[string]*ledger.Ledger{"owner": owner, "thief": thief} {
		if n, err := l.StandingSize(author); err != nil || n != common {
			t.Errorf("%s: %d entries stand, want %d (%v)", name, n, common, err)
		}
		for i := uint64(1); i < size(t, l, author); i++ {
			p, err := l.Prove(t.Context(), author, i)
			if err != nil {
				t.Fatal(err)
			}
			if e, _, err := p.Verify(); err != nil || e.Release == nil {
				continue
			}
			for _, judge := range []*ledger.Ledger{owner, thief} {
				if v := judge.Verdict(t.Context(), ledger.Claim{Proved: p}); v.Accepted != (i < common) {
					t.Errorf("%s, entry %d: accepted %v: %+v", name, i, v.Accepted, v.Reasons)
				}
			}
		}
		for _, tag := range []string{"ours", "theirs"} {
			if _, err := l.ProveLatest(t.Context(), author, "app", tag); err == nil {
				t.Errorf("%s proves app:%s", name, tag)
			}
		}
		if _, err := l.AppendRelease(t.Context(), author, ledgertest.Key(1), *release("x")); !errors.Is(err, ledger.ErrFrozen) {
			t.Errorf("%s signs: %v", name, err)
		}
	}
	// Less is proven to be in common; more changes nothing.
	for _, f := range []struct{ common, want uint64 }{{3, 3}, {4, 3}, {2, 2}} {
		if _, err := owner.Freeze(t.Context(), author, ledger.Fault{Kind: ledger.FaultFork, Common: f.common, Evidence: []byte("another")}); err != nil {
			t.Fatal(err)
		}
		if n, err := owner.StandingSize(author); err != nil || n != f.want {
			t.Errorf("%d entries stand, want %d (%v)", n, f.want, err)
		}
	}
}

// TestRecoverThaws: the keys that were committed to decide which history stands,
// wherever they do so, and every copy has it then, whichever it had before.
func TestRecoverThaws(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ ours, theirs int }{
		"behind ours": {2, 3}, "of more than theirs": {4, 1}, "at the common size": {0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const common = 4
			author, owner, thief := forked(t, common, tc.ours, tc.theirs)
			before := branch(t, thief, author) // has heard of no fork
			next := set(ledgertest.Key(3), ledgertest.Key(2))
			next.Keys = []ledger.PublicKey{ledgertest.Key(2).Public()}
			next.Next, next.NextThreshold = []string{ledgertest.Key(3).Public().Fingerprint()}, 1
			p, err := owner.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(2)}, next, common)
			if err != nil {
				t.Fatal(err)
			}
			var behind *ledger.Behind
			if _, err := thief.Check(p); !errors.As(err, &behind) || !behind.Keys {
				t.Errorf("checking the recovery: %v", err)
			}
			late := branch(t, owner, author)
			follow(t, thief, owner, author)
			follow(t, before, owner, author)
			sameHead(t, author, owner, thief, before, late)
			for i := range tc.ours {
				q, err := late.Prove(t.Context(), author, uint64(common+i))
				if err != nil {
					t.Fatal(err)
				}
				if v := late.Verdict(t.Context(), ledger.Claim{Proved: q}); v.Accepted {
					t.Errorf("entry %d stands", common+i)
				}
			}
			ledgertest.Append(t, owner, author, ledgertest.Key(2), "app", "after", 7)
			for _, l := range []*ledger.Ledger{thief, before, late} {
				follow(t, l, owner, author)
			}
			sameHead(t, author, owner, thief, before, late)

			// The thief goes on, and the old fork is proven again: nothing comes of it.
			_, _, dead := forked(t, common, 0, 9)
			if _, err := pull(late, dead, t, author); !errors.Is(err, ledger.ErrSuperseded) {
				t.Errorf("the thief's history: %v, want ErrSuperseded", err)
			}
			if _, err := late.Freeze(t.Context(), author, ledger.Fault{Kind: ledger.FaultFork, Common: common, Evidence: []byte("proof")}); !errors.Is(err, ledger.ErrSuperseded) {
				t.Errorf("freezing it again: %v, want ErrSuperseded", err)
			}
			sameHead(t, author, owner, late)
		})
	}
}

// TestTwoRecoveries: of two decisions by the same keys neither stands, and there
// is no third one.
func TestTwoRecoveries(t *testing.T) {
	t.Parallel()
	const common = 4
	author, a, b := forked(t, common, 2, 3)
	to := ledger.KeySet{Keys: []ledger.PublicKey{ledgertest.Key(2).Public()}, Threshold: 1, Next: []string{ledgertest.Key(3).Public().Fingerprint()}, NextThreshold: 1}
	for _, l := range []*ledger.Ledger{a, b} {
		if _, err := l.Recover(t.Context(), author, []ledger.Key{ledgertest.Key(2)}, to, common); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pull(a, b, t, author); !errors.Is(err, ledger.ErrFork) {
		t.Fatalf("%v, want ErrFork", err)
	}
	if _, err := a.Freeze(t.Context(), author, ledger.Fault{Kind: ledger.FaultKeys, Common: common, Evidence: []byte("proof")}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Rotate(t.Context(), author, []ledger.Key{ledgertest.Key(3)}, ledger.KeySet{Keys: []ledger.PublicKey{ledgertest.Key(3).Public()}, Threshold: 1}); !errors.Is(err, ledger.ErrFrozen) {
		t.Errorf("rotating: %v, want ErrFrozen", err)
	}
	p, err := a.Prove(t.Context(), author, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Verify(); err != nil {
		t.Errorf("what stands is not proven any more: %v", err)
	}
}
