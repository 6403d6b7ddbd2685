package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/statemap"
)

// part is some entries of a log with the proof of how it grows from there.
type part struct {
	leaves [][]byte
	growth []tlog.Hash
}

// parts cuts a log from an index on into parts of so many entries.
func (f *forgery) parts(t testing.TB, from int, sizes func() int) []part {
	t.Helper()
	c, reader := f.tree(t)
	var out []part
	for from < len(f.leaves) {
		to := min(from+sizes(), len(f.leaves))
		p := part{leaves: f.leaves[from:to]}
		if to < len(f.leaves) {
			var err error
			if p.growth, err = tlog.ProveTree(int64(c.Size), int64(to), reader); err != nil {
				t.Fatal(err)
			}
		}
		out, from = append(out, p), to
	}
	return out
}

func some(n int) func() int { return func() int { return n } }

// target proves the last entry, with the key events given.
func (f *forgery) target(t testing.TB, events ...int) *ledger.Proved {
	t.Helper()
	p := f.prove(t, len(f.leaves)-1)
	_, reader := f.tree(t)
	for _, index := range events {
		proof, err := tlog.ProveRecord(int64(len(f.leaves)), int64(index), reader)
		if err != nil {
			t.Fatal(err)
		}
		p.KeyEvents = append(p.KeyEvents, ledger.KeyEvent{Index: uint64(index), Entry: f.leaves[index], Proof: proof})
	}
	return p
}

func approach(t testing.TB, l *ledger.Ledger, to *ledger.Proved) *ledger.Approach {
	t.Helper()
	a, err := l.Approach(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// longForgery is a log with a rotation and a recovery in it.
func longForgery(t testing.TB) (f *forgery, events []int) {
	t.Helper()
	f = rotatingForgery(t)
	for i := range 10 {
		f = f.release(t, fmt.Sprint(i))
	}
	k2, k3, k4 := ledgertest.Key(2), ledgertest.Key(3), ledgertest.Key(4)
	events = append(events, len(f.leaves))
	f = f.say(t, f.here(), &ledger.Rotate{KeySet: set(k3, k2)}, k2).with(k2)
	for i := range 10 {
		f = f.release(t, fmt.Sprint(i, "b"))
	}
	events = append(events, len(f.leaves))
	f = f.say(t, f.here(), &ledger.Recover{KeySet: set(k4, k3), VoidFrom: uint64(len(f.leaves) - 3)}, k3).with(k3)
	for i := range 9 {
		f = f.release(t, fmt.Sprint(i, "c"))
	}
	return f, events
}

// A log that came in parts is the log that came at once, wherever the parts
// begin and end, whether it begins here or goes on, and however often the
// process ended in between.
func TestApproach(t *testing.T) {
	t.Parallel()
	f, events := longForgery(t)
	whole := ledger.NewMem()
	if _, err := ledger.New(whole, "public").Extend(t.Context(), f.author, 0, f.leaves, f.checkpoint(t)); err != nil {
		t.Fatal(err)
	}
	want := states(t, whole, f.author)
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range 30 {
		store := ledger.NewMem()
		l := ledger.New(store, "public")
		from := 0
		if round%2 == 1 {
			from = 1 + rnd.IntN(9)
			short := *f
			short.leaves, short.key = f.leaves[:from], ledgertest.Key(1)
			if _, err := l.Extend(t.Context(), f.author, 0, short.leaves, short.checkpoint(t)); err != nil {
				t.Fatal(err)
			}
		}
		a := approach(t, l, f.target(t, events...))
		parts := f.parts(t, from, func() int { return 1 + rnd.IntN(8) })
		reached := uint64(from)
		for i, p := range parts {
			if rnd.IntN(3) == 0 { // the process ends
				l = ledger.New(store, "public")
				a = approach(t, l, f.target(t, events...))
			}
			if size, _, err := l.Reached(t.Context(), f.author); err != nil || size != reached {
				t.Fatalf("reached %d, %v, want %d", size, err, reached)
			}
			if head, err := l.Head(f.author); err == nil && head.Size != uint64(from) {
				t.Fatalf("the head moved to %d", head.Size)
			}
			done, err := a.Add(t.Context(), p.leaves, p.growth)
			if err != nil || done != (i == len(parts)-1) {
				t.Fatalf("part %d of %d: done %v, %v", i, len(parts), done, err)
			}
			reached += uint64(len(p.leaves))
		}
		mustBeSound(t, l, f.author)
		if got := states(t, store, f.author); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the state is another one than that of the log at once")
		}
		if _, err := l.Staged(f.author); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("something is staged still: %v", err)
		}
		more := f.release(t, "more")
		if _, err := l.Extend(t.Context(), f.author, uint64(len(f.leaves)), more.leaves[len(f.leaves):], more.checkpoint(t)); err != nil {
			t.Errorf("the log does not go on: %v", err)
		}
	}
}

// What peers make up leaves nothing, and what was kept before stays.
func TestApproachHostile(t *testing.T) {
	t.Parallel()
	f, events := longForgery(t)
	other := f.release(t, "other")
	parts := f.parts(t, 0, some(4))
	flipped := append([][]byte{}, parts[1].leaves...)
	flipped[2] = append([]byte{}, flipped[2]...)
	flipped[2][100] ^= 1
	swapped := append([][]byte{}, parts[1].leaves...)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	l := ledger.New(ledger.NewMem(), "public")
	a := approach(t, l, f.target(t, events...))
	if _, err := a.Add(t.Context(), parts[0].leaves, parts[0].growth); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]part{
		"no entries":           {nil, parts[1].growth},
		"a changed entry":      {flipped, parts[1].growth},
		"entries in disorder":  {swapped, parts[1].growth},
		"entries left out":     {parts[2].leaves, parts[2].growth},
		"entries again":        parts[0],
		"too many":             {append(f.leaves[4:len(f.leaves):len(f.leaves)], f.leaves[1]), nil},
		"the end without some": {f.leaves[5:], nil},
		"no proof":             {parts[1].leaves, nil},
		"another proof":        {parts[1].leaves, parts[2].growth},
		"half a proof":         {parts[1].leaves, parts[1].growth[1:]},
		"of a longer log":      {parts[1].leaves, other.parts(t, 4, some(4))[0].growth},
		"of no possible size":  {[][]byte{make([]byte, ledger.MaxLeaf+1)}, parts[1].growth},
	} {
		if _, err := a.Add(t.Context(), p.leaves, p.growth); !errors.Is(err, ledger.ErrBadRange) && !errors.Is(err, ledger.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrBadRange", name, err)
		}
		if size, _, err := l.Reached(t.Context(), f.author); err != nil || size != 4 {
			t.Fatalf("%s: reached %d, %v", name, size, err)
		}
	}
	if _, err := l.Approach(t.Context(), f.with(ledgertest.Key(66)).target(t, events...)); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("a checkpoint that another signed: %v, want ErrBadSignature", err)
	}
	// Somebody else has more of it meanwhile: one may go on to there.
	a = approach(t, l, other.target(t, events...))
	for _, p := range other.parts(t, 4, some(7)) {
		if _, err := a.Add(t.Context(), p.leaves, p.growth); err != nil {
			t.Fatal(err)
		}
	}
	mustBeSound(t, l, f.author)
	if _, err := l.Approach(t.Context(), f.target(t, events...)); !errors.Is(err, ledger.ErrShrunk) {
		t.Errorf("approaching what is here: %v, want ErrShrunk", err)
	}
}

// An author who signs what no log may have gets no room for it.
func TestApproachBadAuthor(t *testing.T) {
	t.Parallel()
	base := rotatingForgery(t).release(t, "1").release(t, "2").release(t, "3")
	lie := base.here()
	lie.State = statemap.Hash{1, 2, 3}
	for name, bad := range map[string]*forgery{
		"wrong state":  base.say(t, lie, release("4"), base.key),
		"stranger":     base.say(t, base.here(), release("4"), ledgertest.Key(66)),
		"no entry":     base.raw([]byte("{}")),
		"wrong number": base.releaseBy(t, base.author, 9, "4", base.key),
	} {
		bad = bad.release(t, "5").release(t, "6")
		for _, known := range []int{0, 2} {
			store := ledger.NewMem()
			l := ledger.New(store, "public")
			if known > 0 {
				short := *base
				short.leaves = base.leaves[:known]
				if _, err := l.Extend(t.Context(), base.author, 0, short.leaves, short.checkpoint(t)); err != nil {
					t.Fatal(err)
				}
			}
			a := approach(t, l, bad.target(t))
			var err error
			for _, p := range bad.parts(t, known, some(1)) {
				if _, err = a.Add(t.Context(), p.leaves, p.growth); err != nil {
					break
				}
			}
			if err == nil {
				t.Errorf("%s, %d known: it was taken", name, known)
			}
			if st, err := l.Staged(base.author); !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("%s, %d known: %d entries are kept, %v", name, known, st.Size, err)
			}
			f, ferr := l.Fault(base.author)
			if frozen := ferr == nil; frozen != (name == "wrong state" && known > 0) {
				t.Errorf("%s, %d known: frozen %v", name, known, frozen)
			}
			if ferr != nil {
				continue
			}
			if !errors.Is(err, ledger.ErrWrongState) {
				t.Errorf("%s: %v, want ErrWrongState", name, err)
			}
			p, err := ledger.DecodeProved(f.Evidence)
			if err != nil {
				t.Fatal(err)
			}
			stranger := ledger.New(ledger.NewMem(), "public")
			if _, err := stranger.Extend(t.Context(), base.author, 0, base.leaves, base.checkpoint(t)); err != nil {
				t.Fatal(err)
			}
			if err := stranger.Accuse(t.Context(), p); err != nil {
				t.Errorf("the evidence convinces no stranger: %v", err)
			}
		}
	}
}

// Whatever write fails, whether or not it took place, what is here is part of
// the log, and the rest can be had afterwards.
func TestApproachFaults(t *testing.T) {
	t.Parallel()
	f, events := longForgery(t)
	broken := errors.New("the disk is gone")
	for _, applied := range []bool{false, true} {
		for fail := range 9 {
			mem := ledger.NewMem()
			n := 0
			fault := func(ledger.AuthorID, uint64, int) (bool, error) {
				if n++; n == fail {
					return applied, broken
				}
				return true, nil
			}
			l := ledger.New(&ledgertest.Faulty{Store: mem, OnStage: fault, OnCommit: fault}, "public")
			for tries := 0; ; tries++ {
				a, err := l.Approach(t.Context(), f.target(t, events...))
				if errors.Is(err, ledger.ErrShrunk) {
					break // the commit took place
				}
				if err != nil || tries > 2 {
					t.Fatalf("write %d, applied %v: %v after %d tries", fail, applied, err, tries)
				}
				reached, _, err := l.Reached(t.Context(), f.author)
				if err != nil {
					t.Fatal(err)
				}
				if err := addAll(t.Context(), a, f.parts(t, int(reached), some(5))); err == nil {
					break
				} else if !errors.Is(err, broken) {
					t.Fatalf("write %d, applied %v: %v", fail, applied, err)
				}
			}
			mustBeSound(t, ledger.New(mem, "public"), f.author)
		}
	}
}

func addAll(ctx context.Context, a *ledger.Approach, parts []part) error {
	for _, p := range parts {
		if _, err := a.Add(ctx, p.leaves, p.growth); err != nil {
			return err
		}
	}
	return nil
}
