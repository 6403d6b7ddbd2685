package swarm

import (
	"errors"
	"time"
)

// ErrPaused: the swarm is paused, and connects to nobody.
var ErrPaused = errors.New("the swarm is paused")

// errFull: as many connections as the budget has are open.
var errFull = errors.New("all connections of the budget are in use")

// SetPaused stops all traffic, or lets it go on: connections are closed, nobody is
// let in or dialled, and fetches stand still until it ends; they do not fail for
// it. It is no harm to say the same twice.
func (s *Swarm) SetPaused(paused bool) {
	if s.paused.Swap(paused) == paused {
		return
	}
	if paused {
		s.limiter.closeAll()
	}
	s.fetchMu.RLock()
	defer s.fetchMu.RUnlock()
	for _, f := range s.fetches {
		if !paused {
			f.crowd.forgive()
		}
		f.poke()
	}
}

// Paused says whether it is.
func (s *Swarm) Paused() bool { return s.paused.Load() }

// mayConnect says whether one more connection may be dialled.
func (s *Swarm) mayConnect() error {
	switch {
	case s.paused.Load():
		return ErrPaused
	case s.limiter.conns() >= s.cfg.Conns:
		return errFull
	}
	return nil
}

// forgive lets everybody be dialled again at once.
func (c *crowd) forgive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ct := range c.contacts {
		ct.next, ct.wait = time.Time{}, redialFirst
	}
}

// standStill keeps a fetch from losing patience while the swarm is paused.
func (f *fetch) standStill() bool {
	if !f.s.paused.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advance = time.Now()
	if f.meta != nil {
		f.meta.moved = f.advance
	}
	return true
}
