package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/statemap"
)

// wantRule wants what a verdict says under a rule.
func wantRule(t testing.TB, l *ledger.Ledger, p *ledger.Proved, rule string, ok bool, says string) {
	t.Helper()
	for _, r := range l.Verdict(t.Context(), ledger.Claim{Proved: p}).Reasons {
		if r.Rule == rule {
			if r.OK != ok || !strings.Contains(r.Text, says) {
				t.Errorf("rule %s of entry %d: %v, %s; want %v, %s", rule, p.Index, r.OK, r.Text, ok, says)
			}
			return
		}
	}
	t.Errorf("no rule %s", rule)
}

func TestRetire(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	good := ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
	p, err := l.Retire(t.Context(), author, []ledger.Key{ledgertest.Key(2)})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []uint64{1, 2} {
		if _, err := l.AppendRelease(t.Context(), author, ledgertest.Key(k), *release("2")); err == nil {
			t.Errorf("key %d appends after the end", k)
		}
	}
	if _, err := l.AppendRelease(t.Context(), author, ledgertest.Key(2), *release("2")); !errors.Is(err, ledger.ErrRetired) {
		t.Errorf("%v, want ErrRetired", err)
	}
	leaves := mustBeSound(t, l, author)
	if _, _, err := p.Verify(); err != nil {
		t.Error(err)
	}
	wantRule(t, l, good, ledger.RuleGrown, true, "")
	if _, err := l.ProveLatest(t.Context(), author, "app", "1"); err != nil {
		t.Errorf("the latest of a retired author: %v", err)
	}
	f := &forgery{network: "public", author: author, key: ledgertest.Key(2), leaves: leaves}
	more := f.say(t, ledger.Place{Author: author, Index: 3, State: statemap.Hash{1}}, release("2"), f.key)
	if _, err := l.Extend(t.Context(), author, 3, more.leaves[3:], more.checkpoint(t)); !errors.Is(err, ledger.ErrRetired) {
		t.Errorf("extending: %v, want ErrRetired", err)
	}
	late := more.prove(t, 3)
	late.KeyEvents = []ledger.KeyEvent{{Index: 2, Entry: leaves[2], Proof: more.prove(t, 2).Proof}}
	if _, _, err := late.Verify(); !errors.Is(err, ledger.ErrRetired) {
		t.Errorf("an entry after the end: %v, want ErrRetired", err)
	}
	late = more.prove(t, 1)
	late.KeyEvents = []ledger.KeyEvent{{Index: 2, Entry: leaves[2], Proof: more.prove(t, 2).Proof}}
	if _, _, err := late.Verify(); !errors.Is(err, ledger.ErrRetired) {
		t.Errorf("a checkpoint after the end: %v, want ErrRetired", err)
	}
}

// TestKeyEventsOfProved: the chain cannot be cut, reordered or filled up.
func TestKeyEventsOfProved(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	for i := range uint64(4) {
		ledgertest.Append(t, l, author, ledgertest.Key(i+1), "app", "1", int(i))
		mustRotate(t, l, author, set(ledgertest.Key(i+3), ledgertest.Key(i+2)), ledgertest.Key(i+2))
	}
	good := prove(t, l, author, 5)
	other := prove(t, l, author, 3)
	back, err := ledger.DecodeProved(good.Encode())
	if err != nil || len(good.KeyEvents) != 4 {
		t.Fatal(err)
	}
	if _, _, err := back.Verify(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]ledger.KeyEvent) []ledger.KeyEvent{
		"none":          func([]ledger.KeyEvent) []ledger.KeyEvent { return nil },
		"first missing": func(e []ledger.KeyEvent) []ledger.KeyEvent { return e[1:] },
		"last missing":  func(e []ledger.KeyEvent) []ledger.KeyEvent { return e[:3] },
		"one missing":   func(e []ledger.KeyEvent) []ledger.KeyEvent { return slices.Delete(e, 1, 2) },
		"one twice":     func(e []ledger.KeyEvent) []ledger.KeyEvent { return slices.Insert(e, 1, e[0]) },
		"swapped":       func(e []ledger.KeyEvent) []ledger.KeyEvent { e[1], e[2] = e[2], e[1]; return e },
		"no event": func(e []ledger.KeyEvent) []ledger.KeyEvent {
			e[1].Index, e[1].Entry, e[1].Proof = 3, other.Entry, other.Proof
			return e
		},
		"other index": func(e []ledger.KeyEvent) []ledger.KeyEvent { e[1].Index++; return e },
		"no proof":    func(e []ledger.KeyEvent) []ledger.KeyEvent { e[1].Proof = nil; return e },
		"empty":       func(e []ledger.KeyEvent) []ledger.KeyEvent { e[1].Entry = nil; return e },
	} {
		bad := *good
		bad.KeyEvents = change(slices.Clone(good.KeyEvents))
		if _, _, err := bad.Verify(); err == nil {
			t.Errorf("%s: nobody noticed", name)
		}
	}
}
