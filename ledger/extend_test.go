package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// known returns a ledger that has read the log of f.
func known(t testing.TB, f *forgery) *ledger.Ledger {
	t.Helper()
	l := ledger.New(ledger.NewMem(), f.network)
	if _, err := l.Extend(t.Context(), f.author, 0, f.leaves, f.checkpoint(t)); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestExtend(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	source := ledger.New(ledger.NewMem(), "public")
	author := ledgertest.Author(t, source, k)
	l := ledger.New(ledger.NewMem(), "public")
	have := uint64(0)
	for round, step := range []int{0, 1, 2, 13, 40, 1} {
		for i := range step {
			ledgertest.Append(t, source, author, k, "app", "1.0", round*100+i)
		}
		head, err := source.Head(author)
		if err != nil {
			t.Fatal(err)
		}
		first := have / uint64(round+1) // overlaps what is there, more and less
		leaves, err := source.Range(t.Context(), author, first, head.Size, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := l.Extend(t.Context(), author, first, leaves, head.Checkpoint)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if uint64(len(entries)) != head.Size-have {
			t.Errorf("round %d: %d entries were new, want %d", round, len(entries), head.Size-have)
		}
		for i, e := range entries {
			if e.Index != have+uint64(i) || !bytes.Equal(e.Leaf, leaves[e.Index-first]) {
				t.Errorf("round %d: entry %d came as number %d", round, e.Index, i)
			}
		}
		have = head.Size
		mustBeSound(t, l, author)
		again, err := l.Extend(t.Context(), author, first, leaves, head.Checkpoint)
		if err != nil || len(again) != 0 {
			t.Errorf("round %d again: %d entries, %v", round, len(again), err)
		}
	}
	// The extended copy serves as source, and the author can go on in it.
	ledgertest.Append(t, l, author, k, "app", "2.0", 0)
	mustBeSound(t, l, author)
}

// TestExtendHostile: what must not be taken, why, and that nothing of it is.
func TestExtendHostile(t *testing.T) {
	t.Parallel()
	k, other := ledgertest.Key(1), ledgertest.Key(2)
	base := newForgery(t, "public", k).release(t, "1").release(t, "2").release(t, "3")
	stranger := newForgery(t, "public", other).release(t, "1")
	elsewhere := newForgery(t, "test", k).release(t, "1")
	next := base.release(t, "4")
	far := next.release(t, "5").release(t, "6")
	rewritten := newForgery(t, "public", k).release(t, "1").release(t, "other").release(t, "3").release(t, "4")
	shrunk := &forgery{network: "public", author: base.author, key: k, leaves: base.leaves[:3]}
	garbage := []byte(strings.Repeat("\x00\xff garbage", 50))
	for name, tc := range map[string]struct {
		first      uint64
		leaves     [][]byte
		checkpoint []byte
		want       error
	}{
		"good":                           {4, next.leaves[4:], next.checkpoint(t), nil},
		"good with overlap":              {2, next.leaves[2:], next.checkpoint(t), nil},
		"same again":                     {4, nil, base.checkpoint(t), nil},
		"gap":                            {5, far.leaves[5:], far.checkpoint(t), ledger.ErrGap},
		"huge first":                     {1 << 63, far.leaves[5:], far.checkpoint(t), ledger.ErrGap},
		"too few entries":                {4, far.leaves[4:6], far.checkpoint(t), ledger.ErrBadRange},
		"too many entries":               {4, far.leaves[4:], next.checkpoint(t), ledger.ErrBadRange},
		"no entries":                     {4, nil, next.checkpoint(t), ledger.ErrBadRange},
		"entries swapped":                {4, [][]byte{far.leaves[5], far.leaves[4], far.leaves[6]}, far.checkpoint(t), ledger.ErrBadRange},
		"entries of elsewhere":           {4, base.release(t, "x").leaves[4:], next.checkpoint(t), ledger.ErrBadRange},
		"made-up overlap":                {3, [][]byte{garbage, next.leaves[4]}, next.checkpoint(t), ledger.ErrBadRange},
		"garbage frames":                 {4, [][]byte{garbage, garbage}, far.checkpoint(t), ledger.ErrBadRange},
		"garbage checkpoint":             {4, next.leaves[4:], garbage, ledger.ErrBadCheckpoint},
		"no checkpoint":                  {4, next.leaves[4:], nil, ledger.ErrBadCheckpoint},
		"checkpoint of another":          {4, next.leaves[4:], stranger.checkpoint(t), ledger.ErrBadCheckpoint},
		"checkpoint of another network":  {4, next.leaves[4:], elsewhere.checkpoint(t), ledger.ErrBadCheckpoint},
		"checkpoint by another key":      {4, next.leaves[4:], next.checkpointBy(t, other), ledger.ErrBadSignature},
		"logged garbage":                 {4, [][]byte{garbage}, base.raw(garbage).checkpoint(t), ledger.ErrBadEntry},
		"logged emptiness":               {4, [][]byte{{}}, base.raw([]byte{}).checkpoint(t), ledger.ErrBadEntry},
		"logged 1 MB":                    {4, [][]byte{make([]byte, 1<<20)}, base.raw(make([]byte, 1<<20)).checkpoint(t), ledger.ErrTooLarge},
		"logged entry by another key":    {4, base.releaseBy(t, base.author, 4, "4", other).leaves[4:], base.releaseBy(t, base.author, 4, "4", other).checkpoint(t), ledger.ErrBadSignature},
		"logged entry of another author": {4, base.releaseBy(t, stranger.author, 4, "4", k).leaves[4:], base.releaseBy(t, stranger.author, 4, "4", k).checkpoint(t), ledger.ErrWrongAuthor},
		"logged entry of another place":  {4, base.releaseBy(t, base.author, 3, "4", k).leaves[4:], base.releaseBy(t, base.author, 3, "4", k).checkpoint(t), ledger.ErrBadEntry},
		"logged entry twice":             {4, [][]byte{base.leaves[3]}, base.raw(base.leaves[3]).checkpoint(t), ledger.ErrBadEntry},
		"second inception":               {4, [][]byte{base.leaves[0]}, base.raw(base.leaves[0]).checkpoint(t), ledger.ErrBadEntry},
		"one bad of many":                {4, append(slices.Clone(far.leaves[4:]), garbage), far.raw(garbage).checkpoint(t), ledger.ErrBadEntry},
		"log that shrinks":               {0, shrunk.leaves, shrunk.checkpoint(t), ledger.ErrShrunk},
		"fork at the same size":          {0, rewritten.leaves[:4], (&forgery{network: "public", author: base.author, key: k, leaves: rewritten.leaves[:4]}).checkpoint(t), ledger.ErrFork},
		"fork at a smaller size":         {0, rewritten.leaves[:3], (&forgery{network: "public", author: base.author, key: k, leaves: rewritten.leaves[:3]}).checkpoint(t), ledger.ErrFork},
		"fork with another prefix":       {0, rewritten.leaves, rewritten.checkpoint(t), ledger.ErrFork},
		"fork, only its end":             {2, rewritten.leaves[2:], rewritten.checkpoint(t), ledger.ErrFork},
		"fork, only what is new":         {4, rewritten.leaves[4:], rewritten.checkpoint(t), ledger.ErrBadRange},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := known(t, base)
			entries, err := l.Extend(t.Context(), base.author, tc.first, tc.leaves, tc.checkpoint)
			if !errors.Is(err, tc.want) || err != nil && entries != nil {
				t.Errorf("%d entries, %v, want %v", len(entries), err, tc.want)
			}
			var fork *ledger.ForkError
			if errors.As(err, &fork) {
				wantForkProof(t, fork, base, tc.checkpoint)
			}
			leaves := mustBeSound(t, l, base.author)
			if err != nil && !slices.EqualFunc(leaves, base.leaves, bytes.Equal) {
				t.Errorf("%d entries are kept after a refusal, want %d", len(leaves), len(base.leaves))
			}
			// The honest continuation is taken as if nothing had been.
			if _, err := l.Extend(t.Context(), base.author, uint64(len(leaves)), next.leaves[len(leaves):], next.checkpoint(t)); err != nil {
				t.Errorf("then the honest author: %v", err)
			}
		})
	}
}

// wantForkProof: both checkpoints are there, and both are signed by the author.
func wantForkProof(t *testing.T, fork *ledger.ForkError, base *forgery, theirs []byte) {
	t.Helper()
	keys := ledger.KeyState{Keys: []ledger.PublicKey{base.key.Public()}, Threshold: 1}
	origin := ledger.Origin(base.network, base.author)
	ours, err := ledger.ParseCheckpoint(fork.Ours, origin, keys)
	if err != nil || ours.Size != uint64(len(base.leaves)) {
		t.Errorf("our checkpoint in the fork: %+v, %v", ours, err)
	}
	if _, err := ledger.ParseCheckpoint(fork.Theirs, origin, keys); err != nil || !bytes.Equal(fork.Theirs, theirs) {
		t.Errorf("their checkpoint in the fork: %v", err)
	}
	if fork.Author != base.author {
		t.Errorf("fork of %s, want %s", fork.Author, base.author)
	}
}

// TestExtendUnknownHostile: the same for the log of an author that is not known.
func TestExtendUnknownHostile(t *testing.T) {
	t.Parallel()
	k, other := ledgertest.Key(1), ledgertest.Key(2)
	good := newForgery(t, "public", k).release(t, "1").release(t, "2")
	elsewhere := newForgery(t, "test", k).release(t, "1")
	stranger := newForgery(t, "public", other).release(t, "1")
	in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{k.Public(), other.Public()}, Threshold: 2}
	half, err := ledger.EncodeInception(in, k)
	if err != nil {
		t.Fatal(err)
	}
	halfSigned := &forgery{network: "public", author: ledger.AuthorIDOf(half), key: k, leaves: [][]byte{half}}
	hc, _ := halfSigned.tree(t)
	bothSigned, err := ledger.SignCheckpoint(hc, k, other)
	if err != nil {
		t.Fatal(err)
	}
	garbage := []byte("garbage")
	for name, tc := range map[string]struct {
		author     ledger.AuthorID
		first      uint64
		leaves     [][]byte
		checkpoint []byte
		want       error
	}{
		"good":                         {good.author, 0, good.leaves, good.checkpoint(t), nil},
		"without the inception":        {good.author, 1, good.leaves[1:], good.checkpoint(t), ledger.ErrGap},
		"nothing":                      {good.author, 0, nil, good.checkpoint(t), ledger.ErrGap},
		"garbage":                      {good.author, 0, [][]byte{garbage}, good.checkpoint(t), ledger.ErrBadEntry},
		"1 MB":                         {good.author, 0, [][]byte{make([]byte, 1<<20)}, good.checkpoint(t), ledger.ErrTooLarge},
		"inception of another network": {elsewhere.author, 0, elsewhere.leaves, elsewhere.checkpoint(t), ledger.ErrWrongNetwork},
		"another author's log":         {good.author, 0, stranger.leaves, stranger.checkpoint(t), ledger.ErrWrongAuthor},
		"checkpoint by another":        {good.author, 0, good.leaves, good.checkpointBy(t, other), ledger.ErrBadSignature},
		"no author id":                 {"me", 0, good.leaves, good.checkpoint(t), ledger.ErrWrongAuthor},
		"checkpoint by too few":        {halfSigned.author, 0, halfSigned.leaves, halfSigned.checkpoint(t), ledger.ErrBadSignature},
		"inception by too few":         {halfSigned.author, 0, halfSigned.leaves, bothSigned, ledger.ErrBadSignature},
		"one bad of many":              {good.author, 0, good.raw(garbage).leaves, good.raw(garbage).checkpoint(t), ledger.ErrBadEntry},
	} {
		l := ledger.New(ledger.NewMem(), "public")
		_, err := l.Extend(t.Context(), tc.author, tc.first, tc.leaves, tc.checkpoint)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if _, herr := l.Head(tc.author); (herr == nil) != (err == nil) {
			t.Errorf("%s: %v afterwards", name, herr)
		}
	}
}

// TestExtendMultiSigned: an author of two keys who both must sign.
func TestExtendMultiSigned(t *testing.T) {
	t.Parallel()
	a, b := ledgertest.Key(1), ledgertest.Key(2)
	in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{a.Public(), b.Public()}, Threshold: 2}
	leaf, err := ledger.EncodeInception(in, a, b)
	if err != nil {
		t.Fatal(err)
	}
	f := &forgery{network: "public", author: ledger.AuthorIDOf(leaf), leaves: [][]byte{leaf}}
	r := ledgertest.Release("app", "1.0", 0)
	r.Seq = 1
	said := f.say(t, ledger.Place{Author: f.author, Index: 1}, &r, a, b)
	c, _ := said.tree(t)
	signed, err := ledger.SignCheckpoint(c, a, b)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.NewMem(), "public")
	if _, err := l.Extend(t.Context(), f.author, 0, said.leaves, signed); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendRelease(t.Context(), f.author, a, r); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("appending with one key: %v, want ErrBadSignature", err)
	}
	mustBeSound(t, l, f.author)
}

func TestExtendFaults(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	base := newForgery(t, "public", k).release(t, "1")
	next := base.release(t, "2").release(t, "3")
	for _, apply := range []bool{false, true} {
		fail := false
		store := &ledgertest.Faulty{Store: ledger.NewMem(), OnCommit: func(ledger.AuthorID, uint64, int) (bool, error) {
			if fail {
				return apply, errDisk
			}
			return true, nil
		}}
		l := ledger.New(store, "public")
		if _, err := l.Extend(t.Context(), base.author, 0, base.leaves, base.checkpoint(t)); err != nil {
			t.Fatal(err)
		}
		fail = true
		if entries, err := l.Extend(t.Context(), base.author, 2, next.leaves[2:], next.checkpoint(t)); !errors.Is(err, errDisk) || entries != nil {
			t.Errorf("%d entries, %v, want the store's error", len(entries), err)
		}
		fail = false
		if _, err := l.Extend(t.Context(), base.author, 2, next.leaves[2:], next.checkpoint(t)); err != nil {
			t.Errorf("again, applied before %v: %v", apply, err)
		}
		if leaves := mustBeSound(t, l, base.author); len(leaves) != 4 {
			t.Errorf("%d entries, want 4", len(leaves))
		}
	}
}

// TestConcurrentExtend: the same ranges from many peers, while the author of
// another log writes.
func TestConcurrentExtend(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	steps := []*forgery{newForgery(t, "public", k)}
	for i := range 20 {
		steps = append(steps, steps[i].release(t, fmt.Sprint(i)))
	}
	l := known(t, steps[0])
	author := steps[0].author
	mine := ledgertest.Author(t, l, ledgertest.Key(2))
	var added sync.Map
	var group sync.WaitGroup
	for peer := range 6 {
		group.Go(func() {
			for i := peer % 2; i < len(steps); i += 1 + peer%3 {
				entries, err := l.Extend(t.Context(), author, 0, steps[i].leaves, steps[i].checkpoint(t))
				if err != nil && !errors.Is(err, ledger.ErrShrunk) {
					t.Errorf("peer %d, step %d: %v", peer, i, err)
				}
				for _, e := range entries {
					if _, twice := added.LoadOrStore(e.Index, true); twice {
						t.Errorf("entry %d was new twice", e.Index)
					}
				}
			}
		})
	}
	group.Go(func() {
		for i := range 20 {
			if _, err := l.AppendRelease(t.Context(), mine, ledgertest.Key(2), ledgertest.Release("app", "1.0", i)); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
	mustBeSound(t, l, author)
	mustBeSound(t, l, mine)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	base := newForgery(t, "public", k).release(t, "1").release(t, "2").release(t, "3")
	early := &forgery{network: "public", author: base.author, key: k, leaves: base.leaves[:3]}
	next := base.release(t, "4").release(t, "5")
	rewritten := newForgery(t, "public", k).release(t, "1").release(t, "other").release(t, "3")
	rewrittenEarly := &forgery{network: "public", author: base.author, key: k, leaves: rewritten.leaves[:3]}
	stranger := newForgery(t, "public", ledgertest.Key(2)).release(t, "1")
	elsewhere := newForgery(t, "test", k).release(t, "1")
	broken := base.prove(t, 2)
	broken.Proof = nil
	l := known(t, base)
	for name, tc := range map[string]struct {
		p      *ledger.Proved
		want   error
		behind *ledger.Behind
	}{
		"what is here":                      {base.prove(t, 3), nil, nil},
		"under an older checkpoint":         {early.prove(t, 2), nil, nil},
		"a longer log":                      {next.prove(t, 5), nil, &ledger.Behind{Author: base.author, Have: 4, Want: 6}},
		"what is here in a longer log":      {next.prove(t, 2), nil, &ledger.Behind{Author: base.author, Have: 4, Want: 6}},
		"an unknown author":                 {stranger.prove(t, 1), nil, &ledger.Behind{Author: stranger.author, Have: 0, Want: 2}},
		"another history at the same size":  {rewritten.prove(t, 2), ledger.ErrFork, nil},
		"the same entry in another history": {rewritten.prove(t, 1), ledger.ErrFork, nil},
		"another history at a smaller size": {rewrittenEarly.prove(t, 1), ledger.ErrFork, nil},
		"another entry in a longer history": {rewritten.release(t, "x").prove(t, 2), ledger.ErrFork, nil},
		"a longer history, not yet refuted": {rewritten.release(t, "x").prove(t, 4), nil, &ledger.Behind{Author: base.author, Have: 4, Want: 5}},
		"another network":                   {elsewhere.prove(t, 1), ledger.ErrWrongNetwork, nil},
		"a broken proof":                    {broken, ledger.ErrBadProof, nil},
		"nothing at all":                    {&ledger.Proved{}, ledger.ErrBadEntry, nil},
	} {
		e, err := l.Check(tc.p)
		var behind *ledger.Behind
		switch {
		case tc.behind != nil:
			if !errors.As(err, &behind) || *behind != *tc.behind || e == nil || e.Index != tc.p.Index {
				t.Errorf("%s: %+v, %v, want %v", name, e, err, tc.behind)
			}
		case !errors.Is(err, tc.want) || (e == nil) != (err != nil):
			t.Errorf("%s: %+v, %v, want %v", name, e, err, tc.want)
		}
	}
}
