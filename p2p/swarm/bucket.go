package swarm

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// smallWrite is the longest message that is taken for no payload.
	smallWrite = 4 << 10
	// urgentShare is the part of a rate that small messages may take out of turn,
	// as its divisor; urgentBurst so many bytes of them at once, at least.
	urgentShare = 8
	urgentBurst = 16 << 10

	// minPortion and maxPortion bound what is sent or received at a turn: a 50th of
	// a second's, which costs a turn, a record and two wakings each, and at rates
	// where that is more than longPortion a 200th.
	minPortion  = 2 << 10
	longPortion = 64 << 10
	maxPortion  = nodeChunk + smallWrite

	// burstOf is what an idle bucket saves up; lateOf what a busy one may catch up
	// on, when the machine was too busy to look at it.
	burstOf = 20 * time.Millisecond
	lateOf  = 100 * time.Millisecond
	// debtOf is the most that what was not asked for beforehand can cost.
	debtOf = 2 * time.Second
)

// A bucket holds traffic to a rate. Those who wait take turns, first come first
// served; each connection waits for one portion at a time, so that all get the
// same. A bucket without a rate costs one atomic load. The zero bucket has none.
type bucket struct {
	rate atomic.Int64 // bytes a second; 0: no limit

	mu     sync.Mutex
	tokens float64 // bytes that may pass; below 0 they are owed
	urgent float64 // of them out of turn
	at     time.Time
	queue  []*turn
	timer  *time.Timer
}

// A turn is somebody who waits.
type turn struct {
	n   int
	now chan struct{} // closed when it is granted
}

// portion is how much may be taken at a turn, 0 for any amount.
func (b *bucket) portion() int {
	rate := b.rate.Load()
	if rate == 0 {
		return 0
	}
	return int(max(min(rate/50, longPortion), min(rate/180, maxPortion), minPortion))
}

// setRate changes the rate; what waits feels it at once.
func (b *bucket) setRate(rate int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.rate.Load()
	if rate == before {
		return
	}
	now := time.Now()
	b.refill(now)
	b.rate.Store(rate)
	b.at = now
	if before == 0 {
		b.tokens, b.urgent = 0, urgentBurst
	}
	if rate == 0 {
		for _, t := range b.queue {
			close(t.now)
		}
		b.queue = nil
		return
	}
	// What is owed is owed for as long as before, and no longer.
	if b.tokens < 0 && before > 0 {
		b.tokens *= float64(rate) / float64(before)
	}
	b.serve()
}

// take waits for its turn to pass n bytes; false: stop was closed before.
func (b *bucket) take(n int, urgent bool, stop <-chan struct{}) bool {
	if b.rate.Load() == 0 {
		return true
	}
	b.mu.Lock()
	now := time.Now()
	b.refill(now)
	rate := b.rate.Load()
	switch {
	case rate == 0:
		b.mu.Unlock()
		return true
	case urgent && b.urgent >= float64(n):
		b.urgent -= float64(n)
		b.tokens -= float64(n)
		b.mu.Unlock()
		return true
	case len(b.queue) == 0 && b.tokens >= 0:
		b.tokens -= float64(n)
		b.mu.Unlock()
		return true
	}
	t := &turn{n: n, now: make(chan struct{})}
	b.queue = append(b.queue, t)
	b.serve()
	b.mu.Unlock()
	select {
	case <-t.now:
		return true
	case <-stop:
		return !b.withdraw(t)
	}
}

// charge counts bytes that have passed already, up to what debtOf allows.
func (b *bucket) charge(n int64) {
	if b.rate.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refill(time.Now())
	if floor := -float64(b.rate.Load()) * debtOf.Seconds(); b.tokens > floor {
		b.tokens = max(b.tokens-float64(n), floor)
	}
}

// withdraw takes a turn out of the queue whose owner left; false: it had been
// granted.
func (b *bucket) withdraw(t *turn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.queue, t); i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
		return true
	}
	return false
}

// refill adds what time has brought. The caller holds mu.
func (b *bucket) refill(now time.Time) {
	rate := float64(b.rate.Load())
	elapsed := now.Sub(b.at)
	b.at = now
	if rate == 0 || elapsed <= 0 {
		return
	}
	most := max(rate*burstOf.Seconds(), minPortion)
	if len(b.queue) > 0 {
		most = max(rate*lateOf.Seconds(), minPortion)
	}
	more := rate * elapsed.Seconds()
	if b.tokens < most {
		b.tokens = min(b.tokens+more, most)
	}
	b.urgent = min(b.urgent+more/urgentShare, max(most, urgentBurst))
}

// serve grants the turns that are due, and sees that the next one is when it is.
// The caller holds mu and has refilled.
func (b *bucket) serve() {
	for len(b.queue) > 0 && b.tokens >= 0 {
		t := b.queue[0]
		b.queue[0] = nil
		b.queue = b.queue[1:]
		b.tokens -= float64(t.n)
		close(t.now)
	}
	rate := b.rate.Load()
	if len(b.queue) == 0 || rate == 0 {
		b.queue = nil
		return
	}
	wait := time.Duration(-b.tokens/float64(rate)*float64(time.Second)) + 1
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, b.due)
	} else {
		b.timer.Reset(wait)
	}
}

func (b *bucket) due() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.refill(now)
	b.serve()
}
