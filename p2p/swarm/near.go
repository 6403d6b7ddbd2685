package swarm

import (
	"time"

	"github.com/anacrolix/torrent"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

// nearFirst is how many pieces from where a reader is are asked for before others.
// The rest is asked for in an order of each node's own, which is what lets a herd
// give to one another; a few pieces more or less in the same order cost it little.
const nearFirst = 4

// askNear asks first for the pieces that somebody reads next.
func (f *fetch) askNear() {
	if f.job.Near == nil {
		return
	}
	f.mu.Lock()
	p := f.partial
	f.mu.Unlock()
	off, ok := f.job.Near()
	if p == nil || !ok || off < 0 || off >= p.layout.size {
		return
	}
	from := p.missingFrom(int(off / p.layout.pieceLen))
	f.crowd.reads(from)
	near := p.nextMissing(from, nearFirst)
	f.company.tell(func(s *superseed.Share, now time.Time) { s.Reads(from, near, now) })
	for _, i := range near {
		f.t.Piece(i).SetPriority(torrent.PiecePriorityHigh)
	}
}

// readsInOrder says whether somebody reads a torrent while it is fetched.
func (s *Swarm) readsInOrder(ih Infohash) bool {
	f := s.fetchOf(ih)
	if f == nil || f.job.Near == nil {
		return false
	}
	_, ok := f.job.Near()
	return ok
}

// missingFrom is the first piece from one on that is missing, or that one.
func (p *partial) missingFrom(from int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := from; i < len(p.states); i++ {
		if p.states[i] != pieceVerified {
			return i
		}
	}
	return from
}

// nextMissing are the first n pieces from one on that are missing, but for those
// that it gave before.
func (p *partial) nextMissing(from, n int) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.near == nil {
		p.near = make([]bool, len(p.states))
	}
	var out []int
	for i := max(from, 0); i < len(p.states) && n > 0; i++ {
		if p.states[i] == pieceVerified || p.taken[i] {
			continue
		}
		if n--; !p.near[i] {
			p.near[i] = true
			out = append(out, i)
		}
	}
	return out
}

// isNear says whether nextMissing gave a piece.
func (p *partial) isNear(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.near != nil && p.near[i]
}
