package main

import (
	"math/bits"
	"slices"
	"time"
)

// arrive has a node come, and go to the source.
func (w *world) arrive(i int32) {
	n := &w.nodes[i]
	n.last = w.now
	w.visit(i)
	if !n.liar {
		w.push(event{at: w.now + nudgeEvery, kind: nudges, a: i})
	}
}

// visit connects a node to the source, or has it wait for a place.
func (w *world) visit(i int32) {
	if w.visitors >= maxConns {
		w.waiting = append(w.waiting, i)
		return
	}
	w.visitors++
	k := w.link(0, i)
	l := &w.links[k]
	l.shown = make([]uint64, w.words)
	if !w.Super {
		for p := range w.pieces {
			w.push(event{at: w.now, kind: tells, a: k, piece: int32(p)})
		}
		return
	}
	l.visitor = w.seeder.Join(w.clock(), func(piece int) {
		w.push(event{at: w.now + w.RoundTrip/2, kind: tells, a: k, piece: int32(piece)})
	})
	if w.nodes[i].liar {
		l.visitor.HasAll(w.clock())
	}
}

// link makes one by which up sends to down.
func (w *world) link(up, down int32) int32 {
	k := int32(len(w.links))
	w.links = append(w.links, link{up: up, down: down})
	u, d := &w.nodes[up], &w.nodes[down]
	u.out = append(u.out, k)
	d.in = append(d.in, k)
	if up == 0 || d.liar {
		return k
	}
	for j, x := range u.shown {
		for ; x != 0; x &= x - 1 {
			d.avail[64*j+bits.TrailingZeros64(x)]++
		}
	}
	w.refill(k, false)
	return k
}

// told has a node hear of a piece at the source.
func (w *world) told(k, piece int32) {
	l := &w.links[k]
	if l.dead || has(l.shown, piece) {
		return
	}
	l.shown[piece/64] |= 1 << (piece % 64)
	d := &w.nodes[l.down]
	if d.liar {
		return
	}
	d.avail[piece]++
	w.refillOf(k, piece)
}

// ask has a request arrive at the sender, unless it was taken back.
func (w *world) ask(k int32, r request) {
	l := &w.links[k]
	if l.dead || !slices.ContainsFunc(l.reqs, r.same) {
		return
	}
	if l.visitor != nil {
		l.visitor.Asked(int(r.piece), w.clock())
	}
	l.queue = append(l.queue, r)
	u := &w.nodes[l.up]
	if !l.queued {
		l.queued = true
		u.ready = append(u.ready, k)
	}
	w.serve(l.up)
}

// serve has a node send the next chunk: its links have turns, and of the
// requests of one any may be next, as the library takes them from a map.
func (w *world) serve(i int32) {
	u := &w.nodes[i]
	if u.busy || u.frozen {
		return
	}
	for len(u.ready) > 0 {
		k := u.ready[0]
		u.ready = u.ready[1:]
		l := &w.links[k]
		l.queued = false
		if l.dead || len(l.queue) == 0 {
			continue
		}
		at := w.random.IntN(len(l.queue))
		if same := slices.IndexFunc(l.queue, func(r request) bool { return r.piece == l.piece }); w.Whole && same >= 0 {
			at = same
		}
		r := l.queue[at]
		l.piece = r.piece
		l.queue = slices.Delete(l.queue, at, at+1)
		if len(l.queue) > 0 {
			l.queued = true
			if w.Whole && slices.ContainsFunc(l.queue, func(o request) bool { return o.piece == r.piece }) {
				u.ready = slices.Insert(u.ready, 0, k)
			} else {
				u.ready = append(u.ready, k)
			}
		}
		u.busy = true
		took := float64(w.chunkLength(r)) / u.up * 1e9
		w.push(event{at: w.now + time.Duration(took), kind: sends, a: i, b: k, piece: r.piece, chunk: r.chunk})
		return
	}
}

// sentChunk has a chunk leave a node.
func (w *world) sentChunk(i, k int32, r request) {
	u, l := &w.nodes[i], &w.links[k]
	u.busy = false
	if !u.frozen {
		n := w.chunkLength(r)
		u.sent += n
		if l.visitor != nil {
			l.visitor.Sent(int(r.piece), n, w.clock())
		}
		w.push(event{at: w.now + w.RoundTrip/2, kind: delivers, a: k, piece: r.piece, chunk: r.chunk})
	}
	w.serve(i)
}

// deliver has a chunk arrive.
func (w *world) deliver(k int32, r request) {
	l := &w.links[k]
	d := &w.nodes[l.down]
	n := w.chunkLength(r)
	d.received += n
	mine := slices.ContainsFunc(l.reqs, r.same)
	if mine {
		l.reqs = slices.DeleteFunc(l.reqs, r.same)
	}
	if d.frozen || d.liar {
		return
	}
	if l.dead || d.done > 0 || d.got[r.piece]&(1<<r.chunk) != 0 {
		d.wasted += n
		return
	}
	if !mine { // it was asked of somebody else meanwhile
		for _, j := range d.in {
			if slices.ContainsFunc(w.links[j].reqs, r.same) {
				w.cancel(j, r)
			}
		}
	}
	l.useful, d.last = w.now, w.now
	d.asked[r.piece] &^= 1 << r.chunk
	d.got[r.piece] |= 1 << r.chunk
	w.settle(d, r.piece)
	if w.nodes[l.up].liar {
		if d.bad == nil {
			d.bad = map[int32][]int32{}
		}
		d.bad[r.piece] = append(d.bad[r.piece], k)
	}
	if bits.OnesCount64(d.got[r.piece]) == int(w.chunks(r.piece)) {
		w.push(event{at: w.now + w.Verify, kind: verifies, a: l.down, piece: r.piece})
	}
	w.refill(k, true)
}

// verify has a node check a piece that is whole.
func (w *world) verify(i, piece int32) {
	d := &w.nodes[i]
	if d.frozen {
		return
	}
	if liars := d.bad[piece]; len(liars) > 0 {
		delete(d.bad, piece)
		d.wasted += w.length(piece)
		d.got[piece] = 0
		w.settle(d, piece)
		for _, k := range liars {
			w.hangUp(k)
		}
		for _, k := range d.in {
			w.refill(k, true)
		}
		return
	}
	d.have[piece/64] |= 1 << (piece % 64)
	d.count++
	if d.count == w.pieces {
		d.done = w.now
		w.left--
	}
	w.push(event{at: w.now + w.RoundTrip/2, kind: shows, a: i, piece: piece})
}

// show has the neighbours of a node hear that it has a piece.
func (w *world) show(i, piece int32) {
	u := &w.nodes[i]
	u.shown[piece/64] |= 1 << (piece % 64)
	for _, k := range u.out {
		l := &w.links[k]
		d := &w.nodes[l.down]
		if l.dead || d.done > 0 || d.liar {
			continue
		}
		d.avail[piece]++
		w.refillOf(k, piece)
	}
	for _, k := range u.in {
		if l := &w.links[k]; l.up == 0 && !l.dead {
			w.showSource(l, u, piece)
		}
	}
}

// showSource tells the source; a node that has everything leaves it to others.
func (w *world) showSource(l *link, u *node, piece int32) {
	if l.visitor != nil {
		l.visitor.Has(int(piece), w.clock())
	}
	if count(u.shown) < w.pieces {
		return
	}
	l.dead = true
	if l.visitor != nil {
		l.visitor.Leave(w.clock())
	}
	w.visitors--
	for len(w.waiting) > 0 {
		next := w.waiting[0]
		w.waiting = w.waiting[1:]
		if n := &w.nodes[next]; n.done == 0 && !n.frozen {
			w.visit(next)
			return
		}
	}
}

// hangUp ends a link with a liar: what it was asked for is asked of others.
func (w *world) hangUp(k int32) {
	l := &w.links[k]
	if l.dead {
		return
	}
	d := &w.nodes[l.down]
	for _, r := range slices.Clone(l.reqs) {
		w.cancel(k, r)
	}
	l.dead = true
	for p := range d.avail {
		if has(w.nodes[l.up].shown, int32(p)) {
			d.avail[p]--
		}
	}
}
