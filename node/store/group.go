package store

import (
	"runtime"
	"sync"
)

// grouped lets calls that come at the same time share one write, for it is the
// sync that takes the time. As in committer, there is no goroutine of its own:
// the first to come writes, and those who come while it writes form the next
// group, which one of them writes.
type grouped[T any] struct {
	write func(group []*T) // sets what became of each

	mu      sync.Mutex
	idle    sync.Cond // on mu: signalled when busy falls
	waiting []*call[T]
	busy    bool // somebody writes
	closed  bool
}

// call is one of a group on its way.
type call[T any] struct {
	value *T
	turn  chan bool // true: it is written; false: you write the next group
}

func newGrouped[T any](write func(group []*T)) *grouped[T] {
	g := &grouped[T]{write: write}
	g.idle.L = &g.mu
	return g
}

// do returns when v is written, or with ErrClosed.
func (g *grouped[T]) do(v *T) error {
	c := &call[T]{value: v, turn: make(chan bool, 1)}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	g.waiting = append(g.waiting, c)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if lead || !<-c.turn {
		g.lead(c)
	}
	return nil
}

// lead writes one group, which c is the first of, and hands over.
func (g *grouped[T]) lead(c *call[T]) {
	runtime.Gosched() // those the last group woke come along, instead of waiting for a group of one
	g.mu.Lock()
	n := min(len(g.waiting), maxGroup)
	group := append([]*call[T](nil), g.waiting[:n]...)
	g.waiting = append([]*call[T](nil), g.waiting[n:]...)
	g.mu.Unlock()

	values := make([]*T, len(group))
	for i, other := range group {
		values[i] = other.value
	}
	g.write(values)
	for _, other := range group {
		if other != c {
			other.turn <- true
		}
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		g.waiting[0].turn <- false
		return
	}
	g.busy = false
	g.idle.Broadcast()
}

// close refuses further calls and waits for those under way.
func (g *grouped[T]) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for g.busy {
		g.idle.Wait()
	}
}
