package superseed

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// The same visits have the same outcome: nothing depends on the order of a map.
func TestSameAgain(t *testing.T) {
	t.Parallel()
	const visitors, pieces = 20, 64
	play := func() []string {
		var told []string
		at := time.Unix(0, 0)
		s := New(Shape{Pieces: pieces, PieceLength: 100, Size: pieces * 100}, 3)
		var all []*Visitor
		for i := range visitors {
			all = append(all, s.Join(at, func(piece int) { told = append(told, fmt.Sprint(i, " ", piece)) }))
		}
		for i, v := range all[:visitors/2] {
			at = at.Add(time.Millisecond)
			v.Sent((3+i)%pieces, 100, at)
			v.Leave(at)
		}
		for range 20 {
			at = at.Add(TickEvery)
			s.Tick(at)
		}
		return told
	}
	first := play()
	if len(first) < visitors*pieces/2 {
		t.Fatalf("only %d pieces were told of", len(first))
	}
	for range 5 {
		if again := play(); !slices.Equal(first, again) {
			t.Fatal("the same visits were told of other pieces")
		}
	}
}

// Who reads in order is told of the next piece that nobody was told of; who waits for
// one that another visitor was told of is told of it if it does not come.
func TestReadersDivideWhatLiesAhead(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 64)
	a, b := h.join(), h.join()
	for _, sh := range []*sheep{a, b} {
		sh.told = nil
		sh.Reads(-1, h.now)
		sh.Reads(64, h.now)
		sh.Reads(20, h.now)
	}
	if !slices.Equal(a.told, []int{20}) || len(b.told) != 0 {
		t.Fatalf("told of %v and %v", a.told, b.told)
	}
	h.get(a)
	for range 10 {
		h.after(TickEvery)
	}
	if !slices.Contains(b.told, 20) {
		t.Errorf("who waits for a piece in vain is told of %v", b.told)
	}
	h.check()
	for _, p := range b.told {
		b.Asked(p, h.now)
		b.Sent(p, h.s.shape.length(p), h.now)
		b.Has(p, h.now)
	}
	h.check()
	b.Reads(40, h.now)
	b.Leave(h.now)
	b.Reads(50, h.now)
	h.check()
}
