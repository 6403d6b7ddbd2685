package p2p

import (
	"context"
	"sync"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
)

// presence turns the host's events into calls "connected" and "disconnected",
// one at a time and strictly alternating for a peer. A peer that comes and goes
// faster than the callbacks run is told of once or not at all, so the queue is
// bounded by the number of peers.
type presence struct {
	mu      sync.Mutex
	here    map[peer.ID]bool // connected and identified now
	told    map[peer.ID]bool // what the callbacks know
	queue   []peer.ID
	queued  map[peer.ID]bool
	arrived []func(peer.ID)
	left    []func(peer.ID)
	wake    chan struct{}
	joined  *signal // a member of the network arrived
	lost    *signal // somebody left
}

func newPresence() *presence {
	return &presence{
		here: map[peer.ID]bool{}, told: map[peer.ID]bool{}, queued: map[peer.ID]bool{},
		wake: make(chan struct{}, 1), joined: newSignal(), lost: newSignal(),
	}
}

// OnConnect registers a function that is called for each peer that connected
// and told its protocols, including those already connected when Run starts.
// Functions are called one after the other and must return soon.
func (h *Host) OnConnect(f func(peer.ID)) {
	h.seen.mu.Lock()
	defer h.seen.mu.Unlock()
	h.seen.arrived = append(h.seen.arrived, f)
}

// OnDisconnect registers a function that is called when the last connection to
// a peer that OnConnect told of is closed.
func (h *Host) OnDisconnect(f func(peer.ID)) {
	h.seen.mu.Lock()
	defer h.seen.mu.Unlock()
	h.seen.left = append(h.seen.left, f)
}

func (h *Host) subscribe() (event.Subscription, error) {
	return h.lib.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerConnectednessChanged),
	}, eventbus.BufSize(1024), eventbus.Name("dockchain/p2p"))
}

// watch records who is here. It never blocks: the event bus would stall.
func (h *Host) watch(ctx context.Context, events event.Subscription) error {
	defer events.Close()
	for _, id := range h.lib.Network().Peers() {
		if protos, err := h.lib.Peerstore().GetProtocols(id); err == nil && len(protos) > 0 {
			h.seen.mark(id, true)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events.Out():
			if !ok {
				return nil
			}
			h.note(e)
		}
	}
}

func (h *Host) note(e any) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		h.keepCard(e.SignedPeerRecord)
		if h.lib.Network().Connectedness(e.Peer) == network.Connected {
			h.seen.mark(e.Peer, true)
		}
	case event.EvtPeerConnectednessChanged:
		if e.Connectedness == network.NotConnected {
			h.relays.gone(e.Peer)
			h.seen.mark(e.Peer, false)
		}
	}
}

func (p *presence) mark(id peer.ID, here bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if here {
		p.here[id] = true
	} else {
		delete(p.here, id)
	}
	if p.here[id] == p.told[id] || p.queued[id] {
		return
	}
	p.queued[id] = true
	p.queue = append(p.queue, id)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next returns the next peer whose state the callbacks do not know, and the
// callbacks to tell.
func (p *presence) next() (id peer.ID, here bool, tell []func(peer.ID), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) > 0 {
		id, p.queue = p.queue[0], p.queue[1:]
		delete(p.queued, id)
		here = p.here[id]
		if here == p.told[id] {
			continue
		}
		if here {
			p.told[id] = true
			return id, here, p.arrived[:len(p.arrived):len(p.arrived)], true
		}
		delete(p.told, id)
		return id, here, p.left[:len(p.left):len(p.left)], true
	}
	return "", false, nil, false
}

// tell runs the callbacks, and what the host itself does about peers.
func (h *Host) tell(ctx context.Context) error {
	for {
		id, here, callbacks, ok := h.seen.next()
		if !ok {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-h.seen.wake:
			}
			continue
		}
		if here {
			h.welcome(id)
		} else {
			h.log.Debug("peer disconnected", "peer", id)
			h.seen.lost.set()
		}
		for _, f := range callbacks {
			f(id)
		}
	}
}

// welcome remembers the addresses of a peer that this node could dial, and
// wakes what waits for members.
func (h *Host) welcome(id peer.ID) {
	h.log.Debug("peer connected", "peer", id)
	if h.isMember(id) {
		h.seen.joined.set()
	}
	if h.cfg.Seen == nil {
		return
	}
	for _, c := range h.lib.Network().ConnsToPeer(id) {
		if c.Stat().Direction == network.DirOutbound {
			addrs := h.policy.believed(h.lib.Peerstore().Addrs(id))
			h.cfg.Seen(id, fullAddrs(id, addrs[:min(len(addrs), 16)]))
			return
		}
	}
}

// signal tells any number of waiters that something happened.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// wait returns a channel that is closed at the next set.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) set() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
