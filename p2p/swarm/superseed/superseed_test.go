package superseed

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A herd is a seeder and visitors who ask for what they are told of.
type herd struct {
	t   *testing.T
	s   *Seeder
	now time.Time
}

type sheep struct {
	*Visitor
	told []int
}

func newHerd(t *testing.T, pieces int) *herd {
	return &herd{t: t, s: New(Shape{Pieces: pieces, PieceLength: 100, Size: int64(pieces)*100 - 50}, 0), now: time.Unix(1e9, 0)}
}

func (h *herd) join() *sheep {
	sh := &sheep{}
	sh.Visitor = h.s.Join(h.now, func(p int) { sh.told = append(sh.told, p) })
	return sh
}

// get has a visitor ask for what it was told of and announce it.
func (h *herd) get(sh *sheep) int {
	p := sh.told[0]
	sh.told = sh.told[1:]
	sh.Asked(p, h.now)
	sh.Sent(p, h.s.shape.length(p), h.now)
	sh.Has(p, h.now)
	return p
}

func (h *herd) after(d time.Duration) {
	h.now = h.now.Add(d)
	h.s.Tick(h.now)
}

// check compares the counters with what they count.
func (h *herd) check() {
	h.t.Helper()
	n := h.s.shape.Pieces
	proven, claimed, assigned := make([]int32, n), make([]int32, n), make([]int32, n)
	for _, v := range h.s.visitors {
		unsent := int64(0)
		for p, pd := range v.pending {
			assigned[p]++
			unsent += max(h.s.shape.length(p)-pd.sent, 0)
			if v.has.has(p) || !v.revealed.has(p) {
				h.t.Errorf("piece %d is pending: announced %v, told %v", p, v.has.has(p), v.revealed.has(p))
			}
		}
		if unsent != v.unsent {
			h.t.Errorf("unsent is %d, not %d", v.unsent, unsent)
		}
		for p := range n {
			if v.has.has(p) {
				claimed[p]++
				if v.revealed.has(p) {
					proven[p]++
				}
			}
		}
	}
	for _, v := range h.s.visitors {
		alone := 0
		for p := range n {
			if v.has.has(p) && claimed[p] == 1 {
				alone++
			}
			if (h.s.only[p] == v) != (v.has.has(p) && claimed[p] == 1) {
				h.t.Errorf("who alone has piece %d is wrong", p)
			}
		}
		if alone != v.alone {
			h.t.Errorf("has %d pieces alone, not %d", v.alone, alone)
		}
	}
	if !slices.Equal(proven, h.s.proven) || !slices.Equal(claimed, h.s.claimed) || !slices.Equal(assigned, h.s.assigned) {
		h.t.Errorf("counters are wrong:\nproven   %v, not %v\nclaimed  %v, not %v\nassigned %v, not %v",
			h.s.proven, proven, h.s.claimed, claimed, h.s.assigned, assigned)
	}
}

func TestEachVisitorHearsOfOtherPieces(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 12)
	a, b, c := h.join(), h.join(), h.join()
	got := map[int]int{}
	for range 4 {
		for _, sh := range []*sheep{a, b, c} {
			got[h.get(sh)]++
			h.now = h.now.Add(time.Second)
			h.check()
		}
	}
	for p := range 12 {
		if got[p] != 1 {
			t.Errorf("piece %d was sent %d times before all were sent once", p, got[p])
		}
	}
}

func TestRareAgainWhenItsHolderLeaves(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 40)
	a, b := h.join(), h.join()
	lost := h.get(a)
	a.Leave(h.now)
	h.check()
	h.s.cursor = 0
	for !slices.Contains(b.told, lost) {
		if len(b.told) == 0 {
			t.Fatalf("visitor is never told of %d, which its holder took away", lost)
		}
		h.get(b)
	}
}

// Who claims to have everything, or what he was not sent, must not keep others
// from hearing of it.
func TestLiarsMakeNothingCommon(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 10)
	liar, honest := h.join(), h.join()
	liar.HasAll(h.now)
	h.check()
	seen := map[int]bool{}
	for len(honest.told) > 0 {
		seen[h.get(honest)] = true
		h.check()
	}
	if len(seen) != 10 {
		t.Errorf("honest visitor was told of %d pieces of 10 while nothing stopped", len(seen))
	}
}

// What one visitor says it has without having been sent it comes after what nobody
// has, and before what was sent once.
func TestClaimsCountForHalf(t *testing.T) {
	t.Parallel()
	s := New(Shape{Pieces: 5, PieceLength: 1, Size: 5}, 0)
	s.claimed = []int32{0, 1, 1, 2, 3}
	s.proven = []int32{0, 0, 1, 1, 3}
	for p := range 4 {
		if s.weight(p) >= s.weight(p+1) {
			t.Errorf("%d claims of which %d are proven weigh %d, %d of %d weigh %d",
				s.claimed[p], s.proven[p], s.weight(p), s.claimed[p+1], s.proven[p+1], s.weight(p+1))
		}
	}
}

func TestWhoPassesOnSlowlyWaits(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 400)
	slow, quick := h.join(), h.join()
	var passed []int
	for i := range 200 { // all that quick gets goes on to slow
		if i%2 == 0 && len(slow.told) > 0 {
			passed = append(passed, h.get(slow))
		} else {
			slow.Has(h.get(quick), h.now)
		}
		h.after(5 * time.Millisecond)
		h.check()
	}
	if len(passed) > 50 { // of 100; it was told of some before anything was known of it
		t.Errorf("who passes nothing on was told of %d pieces", len(passed))
	}
	for _, p := range passed {
		quick.Has(p, h.now)
	}
	h.after(10 * time.Millisecond)
	if len(slow.told) == 0 {
		t.Error("who passed everything on is told of nothing more")
	}
	h.check()
	quick.Leave(h.now)
	h.check()
}

func TestNobodyWaitsForWhoTakesSlowly(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 400)
	quick, slow := h.join(), h.join()
	for i := range 100 { // quick takes what it is told of, and slow little of anybody
		if len(quick.told) > 0 {
			h.get(quick)
		}
		if i%20 == 0 {
			h.get(slow)
		}
		h.after(10 * time.Millisecond)
		h.check()
	}
	if quick.has.len() < 90 {
		t.Errorf("who takes quickly has %d pieces after 100 turns", quick.has.len())
	}
}

func TestStalledVisitorLosesItsPieces(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 30)
	frozen, quick := h.join(), h.join()
	stuck := frozen.told[0]
	for end := h.now.Add(stallAfter); h.now.Before(end); h.after(TickEvery) {
		h.get(quick)
		h.check()
	}
	h.check()
	if !frozen.stalled || h.s.assigned[stuck] != 0 {
		t.Errorf("after %v without a byte: stalled %v, still assigned %d", stallAfter, frozen.stalled, h.s.assigned[stuck])
	}
	if !frozen.open {
		t.Error("it was not told of everything")
	}
	if n := len(frozen.told); n != 30 {
		t.Errorf("it was told of %d pieces of 30", n)
	}
	if quick.open {
		t.Error("who gets something was told of everything")
	}
}

func TestCreditFollowsTheRate(t *testing.T) {
	t.Parallel()
	h := &herd{t: t, s: New(Shape{Pieces: 4000, PieceLength: 1 << 20, Size: 4000 << 20}, 0), now: time.Unix(1e9, 0)}
	a := h.join()
	if len(a.told) != 1 {
		t.Fatalf("a newcomer is told of %d pieces", len(a.told))
	}
	most := 0
	for range 300 { // 100 MiB/s
		h.get(a)
		h.after(10 * time.Millisecond)
		most = max(most, len(a.told))
	}
	if want := 15; most < want || most > want+2 {
		t.Errorf("at 100 MiB/s %d MiB were told ahead, not about %d", most, want)
	}
	b := h.join()
	h.get(a)
	if n := len(a.told) + len(b.told); n > 24 {
		t.Errorf("two visitors share the rate, and %d MiB are told ahead", n)
	}
}

func TestFarVisitorsHearEarlier(t *testing.T) {
	t.Parallel()
	h := newHerd(t, 1000)
	a := h.join()
	a.Asked(a.told[0], h.now.Add(300*time.Millisecond))
	near := h.join()
	near.Asked(near.told[0], h.now)
	for range 100 {
		h.s.rate.add(100, h.now)
		h.now = h.now.Add(10 * time.Millisecond)
	}
	if far, close := a.credit(h.now), near.credit(h.now); far < 2*close {
		t.Errorf("credit over 300 ms is %d, over none %d", far, close)
	}
}

// Whatever happens in whatever order, the counters stay right and nobody is told
// of a piece twice or of one it has.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 5))
		h := newHerd(t, 1+rng.IntN(70))
		var all []*sheep
		for range 400 {
			h.now = h.now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
			if len(all) == 0 || rng.IntN(20) == 0 {
				sh := &sheep{}
				told := map[int]bool{}
				sh.Visitor = h.s.Join(h.now, func(p int) {
					if told[p] {
						t.Errorf("seed %d: told of piece %d twice", seed, p)
					}
					told[p] = true
				})
				all = append(all, sh)
				continue
			}
			sh := all[rng.IntN(len(all))]
			p := rng.IntN(h.s.shape.Pieces+2) - 1
			switch rng.IntN(8) {
			case 0, 1:
				sh.Has(p, h.now)
			case 2, 3:
				sh.Sent(p, int64(rng.IntN(120)), h.now)
			case 4:
				sh.Asked(p, h.now)
			case 5:
				h.s.Tick(h.now)
			case 6:
				if rng.IntN(10) == 0 {
					sh.HasAll(h.now)
				}
			case 7:
				if rng.IntN(6) == 0 {
					sh.Leave(h.now)
				}
			}
			h.check()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}
