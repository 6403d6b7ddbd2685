package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// set is a KeySet of some keys, one of which must sign, and one next key.
func set(next ledger.Key, keys ...ledger.Key) ledger.KeySet {
	s := ledger.KeySet{Threshold: 1, Next: []string{next.Public().Fingerprint()}, NextThreshold: 1}
	for _, k := range keys {
		s.Keys = append(s.Keys, k.Public())
	}
	return s
}

// rotating starts a log whose key is 1 and whose next key is 2.
func rotating(t testing.TB, l *ledger.Ledger) ledger.AuthorID {
	t.Helper()
	s := set(ledgertest.Key(2), ledgertest.Key(1))
	in := ledger.Inception{Network: l.Network(), Keys: s.Keys, Threshold: 1, Next: s.Next, NextThreshold: 1}
	author, err := l.Incept(t.Context(), in, ledgertest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	return author
}

// rotatingForgery is the same log, to be made up by hand.
func rotatingForgery(t testing.TB) *forgery {
	t.Helper()
	s := set(ledgertest.Key(2), ledgertest.Key(1))
	in := ledger.Inception{Network: "public", Keys: s.Keys, Threshold: 1, Next: s.Next, NextThreshold: 1}
	leaf, err := ledger.EncodeInception(in, ledgertest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	return &forgery{network: "public", author: ledger.AuthorIDOf(leaf), key: ledgertest.Key(1), leaves: [][]byte{leaf}}
}

// here is the place after what f has.
func (f *forgery) here() ledger.Place {
	return ledger.Place{Author: f.author, Index: uint64(len(f.leaves))}
}

// with returns f in the hands of another key.
func (f *forgery) with(key ledger.Key) *forgery {
	next := *f
	next.key = key
	return &next
}

func mustAppend(t testing.TB, l *ledger.Ledger, author ledger.AuthorID, k ledger.Key, s ledger.Statement) *ledger.Proved {
	t.Helper()
	p, err := l.Append(t.Context(), author, []ledger.Key{k}, s)
	if err != nil {
		t.Fatalf("appending %s: %v", s.Type(), err)
	}
	if e, _, err := p.Verify(); err != nil || e.Type != s.Type() {
		t.Fatalf("%s is not proven: %v", s.Type(), err)
	}
	return p
}

func mustRotate(t testing.TB, l *ledger.Ledger, author ledger.AuthorID, to ledger.KeySet, by ...ledger.Key) *ledger.Proved {
	t.Helper()
	p, err := l.Rotate(t.Context(), author, by, to)
	if err != nil {
		t.Fatalf("rotating: %v", err)
	}
	return p
}

func TestRotate(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	before := ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
	p := mustRotate(t, l, author, set(ledgertest.Key(3), ledgertest.Key(2)), ledgertest.Key(2))
	if e, _, err := p.Verify(); err != nil || e.Type != ledger.TypeRotate || len(p.KeyEvents) != 0 {
		t.Errorf("the rotation: %+v, %v", e, err)
	}
	if _, err := l.AppendRelease(t.Context(), author, ledgertest.Key(1), ledgertest.Release("app", "2", 0)); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("release by the key that was replaced: %v, want ErrBadSignature", err)
	}
	after := ledgertest.Append(t, l, author, ledgertest.Key(2), "app", "2", 0)
	for i := range 5 {
		next := ledgertest.Key(uint64(i + 3))
		mustRotate(t, l, author, set(ledgertest.Key(uint64(i+4)), next), next)
		ledgertest.Append(t, l, author, next, "app", fmt.Sprint(i), 0)
	}
	if leaves := mustBeSound(t, l, author); len(leaves) != 14 {
		t.Errorf("the log has %d entries", len(leaves))
	}
	for name, p := range map[string]*ledger.Proved{"before": before, "after": after} {
		if _, err := l.Check(p); err != nil {
			t.Errorf("a proof of %s the first rotation: %v", name, err)
		}
	}
	keys, err := l.Keys(author)
	if err != nil || len(keys.Keys) != 1 || keys.Keys[0] != ledgertest.Key(7).Public() || keys.Next[0] != ledgertest.Key(8).Public().Fingerprint() {
		t.Errorf("the keys are %+v, %v", keys, err)
	}
	p = prove(t, l, author, 0)
	if e, follows, err := ledger.FollowKeys(p.Inception, p.KeyEvents); err != nil || e.Author != author || fmt.Sprint(follows) != fmt.Sprint(keys) {
		t.Errorf("following the key events: %+v, %v", follows, err)
	}
	if _, err := l.Keys(ledger.AuthorIDOf(nil)); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("the keys of nobody: %v", err)
	}
	if p := prove(t, l, author, 3); len(p.KeyEvents) != 6 {
		t.Errorf("%d key events come with a proof, want 6", len(p.KeyEvents))
	}
}

// TestThreatStolenSigningKeyCannotRotate: nor recover, retire, or bring its own
// checkpoint. (Threat table: stolen signing key.)
func TestThreatStolenSigningKeyCannotRotate(t *testing.T) {
	t.Parallel()
	stolen, mine := ledgertest.Key(1), ledgertest.Key(66)
	base := rotatingForgery(t).release(t, "1").release(t, "2")
	for name, s := range map[string]ledger.Statement{
		"rotate":              &ledger.Rotate{KeySet: set(mine, mine)},
		"rotate, keeping it":  &ledger.Rotate{KeySet: set(mine, stolen)},
		"rotate to both":      &ledger.Rotate{KeySet: set(mine, stolen, mine)},
		"rotate to true next": &ledger.Rotate{KeySet: set(mine, mine, ledgertest.Key(2))},
		"recover":             &ledger.Recover{KeySet: set(mine, mine), VoidFrom: 1},
		"retire":              &ledger.Retire{KeySet: ledger.KeySet{Keys: []ledger.PublicKey{stolen.Public()}, Threshold: 1}},
	} {
		for _, by := range []ledger.Key{stolen, mine} {
			l := known(t, base)
			if _, err := l.Append(t.Context(), base.author, []ledger.Key{by}, s); !errors.Is(err, ledger.ErrBadSignature) {
				t.Errorf("%s: signing it: %v, want ErrBadSignature", name, err)
			}
			bad := base.say(t, base.here(), s, by)
			if _, err := l.Extend(t.Context(), base.author, 3, bad.leaves[3:], bad.checkpointBy(t, by)); !errors.Is(err, ledger.ErrBadSignature) {
				t.Errorf("%s: extending with it: %v, want ErrBadSignature", name, err)
			}
			if _, _, err := bad.with(by).prove(t, 3).Verify(); !errors.Is(err, ledger.ErrBadSignature) {
				t.Errorf("%s: proving it: %v, want ErrBadSignature", name, err)
			}
			after := bad.here()
			after.State[0] = 1 // nobody gets so far as to look at it
			more := bad.say(t, after, release("evil"), mine)
			p := more.with(mine).prove(t, 4)
			p.KeyEvents = []ledger.KeyEvent{{Index: 3, Entry: bad.leaves[3], Proof: more.prove(t, 3).Proof}}
			if _, _, err := p.Verify(); !errors.Is(err, ledger.ErrBadSignature) {
				t.Errorf("%s: proving what comes after it: %v, want ErrBadSignature", name, err)
			}
			// And the author can still do it.
			if _, err := l.Rotate(t.Context(), base.author, []ledger.Key{ledgertest.Key(2)}, set(ledgertest.Key(3), ledgertest.Key(2))); err != nil {
				t.Errorf("%s: then the author: %v", name, err)
			}
			mustBeSound(t, l, base.author)
		}
	}
}

func release(tag string) *ledger.Release {
	r := ledgertest.Release("app", tag, 0)
	return &r
}

// TestReplacedKeyCannotSignOn: whoever has the old key makes up a log that goes
// on without the rotation. A node that read the rotation is not fooled.
func TestReplacedKeyCannotSignOn(t *testing.T) {
	t.Parallel()
	base := rotatingForgery(t).release(t, "1")
	honest := base.say(t, base.here(), &ledger.Rotate{KeySet: set(ledgertest.Key(3), ledgertest.Key(2))}, ledgertest.Key(2))
	l := ledger.New(ledger.NewMem(), "public")
	if _, err := l.Extend(t.Context(), base.author, 0, honest.leaves, honest.checkpointBy(t, ledgertest.Key(2))); err != nil {
		t.Fatal(err)
	}
	thief := honest.release(t, "evil") // signed by key 1, after the rotation
	if _, err := l.Extend(t.Context(), base.author, 3, thief.leaves[3:], thief.checkpoint(t)); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("extending: %v, want ErrBadSignature", err)
	}
	if _, err := l.Extend(t.Context(), base.author, 3, thief.leaves[3:], thief.checkpointBy(t, ledgertest.Key(2))); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("extending, somehow with a good checkpoint: %v, want ErrBadSignature", err)
	}
	for name, p := range map[string]*ledger.Proved{
		"after the rotation":      thief.prove(t, 3),
		"instead of the rotation": base.release(t, "evil").release(t, "evil-too").prove(t, 3),
		"what is true, signed by": honest.prove(t, 1),
	} {
		if _, _, err := p.Verify(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := l.Check(p); !errors.Is(err, ledger.ErrBadSignature) {
			t.Errorf("%s: %v, want ErrBadSignature", name, err)
		}
		if v := l.Verdict(t.Context(), ledger.Claim{Proved: p}); v.Accepted {
			t.Errorf("%s: accepted: %+v", name, v)
		}
	}
	if _, err := l.Check(base.prove(t, 1)); err != nil {
		t.Errorf("what the key signed while it was in use: %v", err)
	}
}

// TestOneKeyCountedOnce: many signatures of one key are one. (Threat table.)
func TestOneKeyCountedOnce(t *testing.T) {
	t.Parallel()
	a, b, c, d := ledgertest.Key(1), ledgertest.Key(2), ledgertest.Key(3), ledgertest.Key(4)
	in := ledger.Inception{
		Network: "public", Keys: []ledger.PublicKey{a.Public(), b.Public()}, Threshold: 2,
		Next: []string{c.Public().Fingerprint(), d.Public().Fingerprint()}, NextThreshold: 2,
	}
	leaf, err := ledger.EncodeInception(in, a, b)
	if err != nil {
		t.Fatal(err)
	}
	f := &forgery{network: "public", author: ledger.AuthorIDOf(leaf), key: a, leaves: [][]byte{leaf}}
	cp, _ := f.tree(t)
	both, err := ledger.SignCheckpoint(cp, a, b)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := ledger.SignCheckpoint(cp, a, a)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.NewMem(), "public")
	if _, err := l.Extend(t.Context(), f.author, 0, f.leaves, twice); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("a checkpoint signed twice by one: %v, want ErrBadSignature", err)
	}
	if _, err := l.Extend(t.Context(), f.author, 0, f.leaves, both); err != nil {
		t.Fatal(err)
	}
	two := ledger.KeySet{Keys: []ledger.PublicKey{c.Public(), d.Public()}, Threshold: 1}
	for name, tc := range map[string]struct {
		s    ledger.Statement
		keys []ledger.Key
		want error
	}{
		"release, one key":        {release("1"), []ledger.Key{a}, ledger.ErrBadSignature},
		"release, one key twice":  {release("1"), []ledger.Key{a, a}, ledger.ErrBadSignature},
		"release, key and thief":  {release("1"), []ledger.Key{a, c}, ledger.ErrBadSignature},
		"release, both":           {release("1"), []ledger.Key{b, a}, nil},
		"rotate, one next":        {&ledger.Rotate{KeySet: two}, []ledger.Key{c}, ledger.ErrBadSignature},
		"rotate, one next twice":  {&ledger.Rotate{KeySet: two}, []ledger.Key{d, d}, ledger.ErrBadSignature},
		"rotate, next and old":    {&ledger.Rotate{KeySet: two}, []ledger.Key{c, a}, ledger.ErrBadSignature},
		"rotate, both of them":    {&ledger.Rotate{KeySet: two}, []ledger.Key{c, d}, nil},
		"rotate, one that is new": {&ledger.Rotate{KeySet: ledger.KeySet{Keys: []ledger.PublicKey{a.Public(), c.Public()}, Threshold: 1}}, []ledger.Key{a, c}, ledger.ErrBadSignature},
	} {
		mine := ledger.New(ledger.NewMem(), "public")
		if _, err := mine.Extend(t.Context(), f.author, 0, f.leaves, both); err != nil {
			t.Fatal(err)
		}
		if _, err := mine.Append(t.Context(), f.author, tc.keys, tc.s); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		mustBeSound(t, mine, f.author)
	}
}

// TestManyRotations: until the log may have no more, every proof can be
// gossiped.
func TestManyRotations(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	author := rotating(t, l)
	n := uint64(2)
	for {
		_, err := l.Rotate(t.Context(), author, []ledger.Key{ledgertest.Key(n)}, set(ledgertest.Key(n+1), ledgertest.Key(n)))
		if errors.Is(err, ledger.ErrTooLarge) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n-2 != 278 {
		t.Errorf("%d rotations, want 278", n-2)
	}
	ledgertest.Append(t, l, author, ledgertest.Key(n-1), "app", "1", 0)
	leaves, err := l.Leaves(author, 0, size(t, l, author))
	if err != nil {
		t.Fatal(err)
	}
	proof := prove(t, l, author, uint64(len(leaves)-1)).Encode()
	t.Logf("a proof after %d rotations is %d bytes", n-2, len(proof))
	if len(proof) > ledger.MaxProved*3/4 || !isProven(proof) {
		t.Errorf("a proof is %d bytes, and proven: %v", len(proof), isProven(proof))
	}
	latest, err := l.ProveLatest(t.Context(), author, "app", "1")
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ledger.DecodeLatest(latest.Encode()); err != nil {
		t.Error(err)
	} else if _, _, err := back.Verify(); err != nil {
		t.Error(err)
	}
	if _, err := ledger.New(ledger.NewMem(), "public").Extend(t.Context(), author, 0, leaves, latest.Last.Checkpoint); err != nil {
		t.Errorf("reading the whole log: %v", err)
	}
}

// TestRotateFaults stops at every commit, before and after it took place.
func TestRotateFaults(t *testing.T) {
	t.Parallel()
	for stop := range 8 {
		for _, apply := range []bool{false, true} {
			count := 0
			store := &ledgertest.Faulty{Store: ledger.NewMem()}
			store.OnCommit = func(ledger.AuthorID, uint64, int) (bool, error) {
				if count++; count-2 == stop { // the inception succeeds
					return apply, errDisk
				}
				return true, nil
			}
			l := ledger.New(store, "public")
			author := rotating(t, l)
			for i := range uint64(4) {
				next := ledgertest.Key(i + 2)
				s := ledger.Statement(&ledger.Rotate{KeySet: set(ledgertest.Key(i+3), next)})
				if i > 0 {
					s = &ledger.Recover{KeySet: set(ledgertest.Key(i+3), next), VoidFrom: size(t, l, author) - 1} // at least one release came
				}
				for range 2 { // the second time if the first failed
					_, err := l.Append(t.Context(), author, []ledger.Key{next}, s)
					if err == nil || !errors.Is(err, errDisk) && apply {
						break
					}
					if !errors.Is(err, errDisk) {
						t.Fatalf("stop %d, apply %v: %v", stop, apply, err)
					}
				}
				for tag := range 2 {
					_, err := l.AppendRelease(t.Context(), author, next, *release(fmt.Sprint(tag)))
					if err != nil && !errors.Is(err, errDisk) {
						t.Fatalf("stop %d, apply %v: %v", stop, apply, err)
					}
				}
				mustBeSound(t, l, author)
			}
			restarted := ledger.New(store, "public")
			ledgertest.Append(t, restarted, author, ledgertest.Key(5), "app", "2.0", 0)
			mustBeSound(t, restarted, author)
		}
	}
}

func size(t testing.TB, l *ledger.Ledger, author ledger.AuthorID) uint64 {
	t.Helper()
	head, err := l.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	return head.Size
}
