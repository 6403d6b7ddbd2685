package main

import (
	"cmp"
	"math/bits"
	"slices"
)

// candidate is a piece that may be asked for by a link.
type candidate struct {
	piece   int32
	whole   int32 // 0: some of it is here or asked for
	avail   int32
	missing int32 // chunks that are neither here nor asked for
}

// view is what the sender of a link is known to have.
func (w *world) view(l *link) []uint64 {
	if l.shown != nil {
		return l.shown
	}
	return w.nodes[l.up].shown
}

// refill asks for more by a link, as far as its depth goes. The order is that of
// anacrolix/torrent: candidates for a few requests are taken by piece, those that
// were begun first, then the rarest, then the lowest; and of them the rarest go
// first, then those that come first in an order of the node's own.
func (w *world) refill(i int32, steal bool) {
	l := &w.links[i]
	d := &w.nodes[l.down]
	if l.dead || d.done > 0 || d.frozen || d.liar || len(l.reqs) >= w.Depth {
		return
	}
	w.candidates(l, d)
	for _, c := range w.picked {
		for k := range w.chunks(c.piece) {
			if len(l.reqs) >= w.Depth {
				return
			}
			if bit := uint64(1) << k; (d.got[c.piece]|d.asked[c.piece])&bit == 0 {
				w.request(i, request{piece: c.piece, chunk: k})
			}
		}
	}
	if steal && len(l.reqs) == 0 {
		w.steal(i)
	}
}

// refillOf is refill where one piece is new: had there been anything else to ask
// for, the link would not have room.
func (w *world) refillOf(i, piece int32) {
	l := &w.links[i]
	d := &w.nodes[l.down]
	if l.dead || d.done > 0 || d.frozen || d.liar || has(d.full, piece) {
		return
	}
	for k := range w.chunks(piece) {
		if len(l.reqs) >= w.Depth {
			return
		}
		if bit := uint64(1) << k; (d.got[piece]|d.asked[piece])&bit == 0 {
			w.request(i, request{piece: piece, chunk: k})
		}
	}
}

// candidates gives in picked what a link may ask for, best first.
func (w *world) candidates(l *link, d *node) {
	w.picked = w.picked[:0]
	view := w.view(l)
	for k, x := range view {
		for x &^= d.have[k] | d.full[k]; x != 0; x &= x - 1 {
			p := int32(64*k + bits.TrailingZeros64(x))
			begun := d.got[p] | d.asked[p]
			c := candidate{piece: p, whole: 1, avail: int32(d.avail[p]), missing: w.chunks(p) - int32(bits.OnesCount64(begun))}
			if d.got[p] != 0 { // as the library has it: some of it arrived
				c.whole = 0
			}
			w.picked = append(w.picked, c)
		}
	}
	if len(w.picked) < 2 {
		return
	}
	limit := max(2*int32((w.Piece+w.Chunk-1)/w.Chunk), 4*int32(w.Depth))
	w.cut(limit)
	slices.SortFunc(w.picked, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.avail, b.avail), cmp.Compare(d.perm[a.piece], d.perm[b.piece]))
	})
}

// cut keeps the first candidates in the order of pieces, worth limit chunks.
func (w *world) cut(limit int32) {
	before := func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.whole, b.whole), cmp.Compare(a.avail, b.avail), cmp.Compare(a.piece, b.piece))
	}
	sum := int32(0)
	for k := range w.picked {
		best := k
		for j := k + 1; j < len(w.picked); j++ {
			if before(w.picked[j], w.picked[best]) < 0 {
				best = j
			}
		}
		w.picked[k], w.picked[best] = w.picked[best], w.picked[k]
		if sum += w.picked[k].missing; sum >= limit {
			w.picked = w.picked[:k+1]
			return
		}
	}
}

func (w *world) request(i int32, r request) {
	l := &w.links[i]
	d := &w.nodes[l.down]
	r.at = w.now
	l.reqs = append(l.reqs, r)
	d.asked[r.piece] |= 1 << r.chunk
	w.settle(d, r.piece)
	if w.RoundTrip == 0 {
		w.ask(i, r)
		return
	}
	w.push(event{at: w.now + w.RoundTrip/2, kind: asks, a: i, piece: r.piece, chunk: r.chunk})
}

// settle notes whether anything of a piece is left to ask for.
func (w *world) settle(d *node, p int32) {
	all := uint64(1)<<w.chunks(p) - 1
	if (d.got[p]|d.asked[p])&all == all {
		d.full[p/64] |= 1 << (p % 64)
	} else {
		d.full[p/64] &^= 1 << (p % 64)
	}
}

// steal takes over by an idle link what another one was asked for long enough ago
// and has more of: the longest queue first, and of it what was asked for last.
func (w *world) steal(i int32) {
	l := &w.links[i]
	d := &w.nodes[l.down]
	view := w.view(l)
	var from int32 = -1
	var what request
	for _, j := range d.in {
		o := &w.links[j]
		if j == i || len(o.reqs) == 0 {
			continue
		}
		diff := 1 - (len(o.reqs) - 1)
		if diff > 1 || diff == 1 && l.useful <= o.useful || from >= 0 && len(o.reqs) <= len(w.links[from].reqs) {
			continue
		}
		for _, r := range o.reqs {
			if w.now-r.at >= stealGrace && has(view, r.piece) {
				from, what = j, r
			}
		}
	}
	if from < 0 {
		return
	}
	w.cancel(from, what)
	w.request(i, what)
}

// cancel takes a request back. What is being sent already arrives all the same.
func (w *world) cancel(i int32, r request) {
	l := &w.links[i]
	l.reqs = slices.DeleteFunc(l.reqs, r.same)
	l.queue = slices.DeleteFunc(l.queue, r.same)
	d := &w.nodes[l.down]
	d.asked[r.piece] &^= 1 << r.chunk
	w.settle(d, r.piece)
}

// nudge has idle links look for work when nothing has arrived for a while.
func (w *world) nudge(i int32) {
	d := &w.nodes[i]
	if d.done > 0 || d.frozen || d.liar {
		return
	}
	if w.now-d.last >= nudgeEvery {
		for _, j := range d.in {
			w.refill(j, true)
		}
	}
	w.push(event{at: w.now + nudgeEvery, kind: nudges, a: i})
}
