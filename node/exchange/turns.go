package exchange

import (
	"context"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// turns are the catch-ups that wait. Peers take turns, and only some of the
// workers may be busy with the same one, so that whoever brings much, or answers
// slowly, holds up nobody else's news.
type turns struct {
	perPeer int // that may wait, for each peer
	atOnce  int // that may be worked on, for each peer
	peers   int // that may have some waiting

	mu      sync.Mutex
	waiting map[peer.ID][]catchUp // never empty lists
	order   []peer.ID             // of those with some waiting, whose turn is next first
	busy    map[peer.ID]int
	changed chan struct{} // closed and replaced when there may be something to do
}

func newTurns(perPeer, atOnce, peers int) *turns {
	return &turns{
		perPeer: perPeer, atOnce: atOnce, peers: peers,
		waiting: map[peer.ID][]catchUp{}, busy: map[peer.ID]int{}, changed: make(chan struct{}),
	}
}

// add lets one wait, and tells whether there was room for it.
func (t *turns) add(c catchUp) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.waiting[c.from]
	if len(mine) >= t.perPeer || mine == nil && len(t.order) >= t.peers {
		return false
	}
	if mine == nil {
		t.order = append(t.order, c.from)
	}
	t.waiting[c.from] = append(mine, c)
	t.wake()
	return true
}

// take waits for the next one. done is to be called when it is worked off.
func (t *turns) take(ctx context.Context) (c catchUp, done func(), err error) {
	for {
		t.mu.Lock()
		c, ok := t.next()
		changed := t.changed
		t.mu.Unlock()
		if ok {
			return c, func() { t.done(c.from) }, nil
		}
		select {
		case <-ctx.Done():
			return c, nil, ctx.Err()
		case <-changed:
		}
	}
}

func (t *turns) next() (catchUp, bool) {
	i := slices.IndexFunc(t.order, func(p peer.ID) bool { return t.busy[p] < t.atOnce })
	if i < 0 {
		return catchUp{}, false
	}
	p := t.order[i]
	t.order = slices.Delete(t.order, i, i+1)
	c := t.waiting[p][0]
	if rest := t.waiting[p][1:]; len(rest) > 0 {
		t.waiting[p], t.order = rest, append(t.order, p)
	} else {
		delete(t.waiting, p)
	}
	t.busy[p]++
	return c, true
}

func (t *turns) done(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.busy[p]--; t.busy[p] == 0 {
		delete(t.busy, p)
	}
	t.wake()
}

func (t *turns) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}
