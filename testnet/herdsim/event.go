package main

import (
	"time"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

// kind is what happens.
type kind uint8

const (
	arrives  kind = iota // node a comes
	connects             // nodes a and b
	asks                 // a request of link a arrives at its sender
	sends                // node a has sent a chunk by link b
	delivers             // it arrives
	verifies             // node a: a piece
	shows                // node a: its neighbours hear of a piece
	tells                // link a: the source announced a piece
	ticks                // of the source
	nudges               // node a looks whether anything moves
	freezes              // node a
)

type event struct {
	at           time.Duration
	kind         kind
	a, b         int32
	piece, chunk int32
}

// heap has the earliest event first.
type heap []event

func (w *world) push(e event) {
	h := append(w.events, e)
	i := len(h) - 1
	for i > 0 {
		p := (i - 1) / 4
		if h[p].at <= e.at {
			break
		}
		h[i] = h[p]
		i = p
	}
	h[i] = e
	w.events = h
}

func (hp *heap) pop() (event, bool) {
	h := *hp
	if len(h) == 0 {
		return event{}, false
	}
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*hp = h
	if len(h) == 0 {
		return top, true
	}
	i := 0
	for {
		c := 4*i + 1
		if c >= len(h) {
			break
		}
		least := c
		for k := c + 1; k < min(c+4, len(h)); k++ {
			if h[k].at < h[least].at {
				least = k
			}
		}
		if h[least].at >= last.at {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = last
	return top, true
}

func (w *world) happen(e event) {
	switch e.kind {
	case arrives:
		w.arrive(e.a)
	case connects:
		w.link(e.a, e.b)
		w.link(e.b, e.a)
	case asks:
		w.ask(e.a, request{piece: e.piece, chunk: e.chunk})
	case sends:
		w.sentChunk(e.a, e.b, request{piece: e.piece, chunk: e.chunk})
	case delivers:
		w.deliver(e.a, request{piece: e.piece, chunk: e.chunk})
	case verifies:
		w.verify(e.a, e.piece)
	case shows:
		w.show(e.a, e.piece)
	case tells:
		w.told(e.a, e.piece)
	case ticks:
		w.seeder.Tick(w.clock())
		w.push(event{at: w.now + superseed.TickEvery, kind: ticks})
	case nudges:
		w.nudge(e.a)
	case freezes:
		w.nodes[e.a].frozen = true
	}
}
