package swarm

import (
	"testing"
	"time"
)

// answers has a peer answer requests of one chunk after some time each, as many at
// one time as the window allows.
func answers(f *flow, now *time.Time, n int, wait time.Duration) {
	for n > 0 {
		var open []request
		for i := range min(n, int(f.window()/nodeChunk)) {
			r := request{uint32(now.UnixNano()), uint32(i)}
			f.asked(r, nodeChunk, *now)
			open = append(open, r)
		}
		*now = now.Add(wait)
		for _, r := range open {
			f.begins(r, *now)
			f.came(nodeChunk, *now)
		}
		n -= len(open)
	}
}

func TestWindowFollowsTheQueue(t *testing.T) {
	t.Parallel()
	f, now := newFlow(), time.Now()
	answers(f, &now, 20, 10*time.Millisecond)
	grown := f.window()
	if grown < firstWindow+10*nodeChunk {
		t.Errorf("after 20 quick answers the window is %d", grown)
	}
	answers(f, &now, 5, 20*time.Millisecond+(shortQueue+longQueue)/2)
	if w := f.window(); w != grown {
		t.Errorf("answers that queued a while changed it to %d", w)
	}
	answers(f, &now, 100, 400*time.Millisecond)
	if w := f.window(); w != leastWindow {
		t.Errorf("after late answers it is %d", w)
	}
	answers(f, &now, 5000, time.Millisecond)
	if w := f.window(); w != mostWindow {
		t.Errorf("after 5000 quick answers it is %d", w)
	}
}

// A window that nobody makes use of says nothing of what a peer can send.
func TestWindowOfWhoIsAskedForLittle(t *testing.T) {
	t.Parallel()
	f, now := newFlow(), time.Now()
	for i := range 100 {
		r := request{1, uint32(i)}
		f.asked(r, nodeChunk, now)
		now = now.Add(10 * time.Millisecond)
		f.begins(r, now)
		f.came(nodeChunk, now)
	}
	if w := f.window(); w > 4*nodeChunk {
		t.Errorf("one chunk at a time made it %d chunks", w/nodeChunk)
	}
}

// On a far link that loses packets answers are late now and then, and the window
// stays above what is on the way.
func TestWindowOfAFarLink(t *testing.T) {
	t.Parallel()
	f, now := newFlow(), time.Now()
	for i := range 2000 { // 10 MB/s, 50 ms away, each third answer 300 ms late
		r := request{1, uint32(i)}
		wait := 50 * time.Millisecond
		if i%3 == 0 {
			wait += 300 * time.Millisecond
		}
		f.asked(r, nodeChunk, now)
		f.begins(r, now.Add(wait))
		now = now.Add(nodeChunk * time.Second / 10_000_000)
		f.came(nodeChunk, now.Add(wait))
	}
	for i := range 40 { // and then all of them
		r := request{2, uint32(i)}
		f.asked(r, nodeChunk, now)
		f.begins(r, now.Add(350*time.Millisecond))
		now = now.Add(nodeChunk * time.Second / 10_000_000)
		f.came(nodeChunk, now.Add(350*time.Millisecond))
	}
	if w := f.window(); w < 1_000_000 {
		t.Errorf("the window is %d bytes, and twice 50 ms of 10 MB/s are 1,000,000", w)
	}
}

func TestQuietIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	f, now := newFlow(), time.Now()
	if !f.idle() || f.quiet(now.Add(time.Hour)) != 0 {
		t.Error("who was asked for nothing is quiet")
	}
	r := request{3, 0}
	f.asked(r, nodeChunk, now.Add(time.Hour))
	if q := f.quiet(now.Add(time.Hour + time.Second)); q != time.Second || f.idle() {
		t.Errorf("a second after being asked it is quiet for %v", q)
	}
	f.ended(r)
	if f.quiet(now.Add(2*time.Hour)) != 0 || f.owed != 0 {
		t.Error("who refused still owes")
	}
}

// The library asks for more only when it is told to; it is told when half of what
// it asked for is left.
func TestAskForMoreInTime(t *testing.T) {
	t.Parallel()
	f, now := newFlow(), time.Now()
	for i := range 9 {
		f.asked(request{4, uint32(i)}, nodeChunk, now)
	}
	var asked []int
	for i := range 9 {
		if f.begins(request{4, uint32(i)}, now) {
			asked = append(asked, i)
		}
	}
	if len(asked) == 0 || asked[0] != 4 || len(asked) > 4 {
		t.Errorf("asked for more after answers %v of 9", asked)
	}
}
