package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"
)

// What a node that others can dial gives away as a relay, and what it wants of
// relays otherwise.
const (
	circuitBytes    = 32 << 20 // each way, until the circuit is reset
	circuitTime     = 10 * time.Minute
	circuitsPerPeer = 8   // open at once
	reservations    = 128 // open at once
	callsPerPeer    = 32  // within callsIn
	callsInAll      = 1024
	callsIn         = 10 * time.Minute

	wantRelays      = 2
	relayCandidates = 16
	relayRetry      = time.Minute
	relaySearch     = 5 * time.Second // between two searches for candidates

	// punchTimeout bounds each attempt at a hole, and the direct dial before.
	punchTimeout = 5 * time.Second
)

// relays is what the host does about peers that cannot be dialled: it relays for
// them, or asks others to relay for it, and makes holes in NATs.
type relays struct {
	host    atomic.Pointer[Host] // nil until it is open
	outside *outside

	mu      sync.Mutex
	calls   map[peer.ID]int // that a peer made through this node since began
	all     int
	began   time.Time
	punched map[peer.ID]bool // reached through a hole in a NAT
}

func newRelays() *relays {
	return &relays{outside: &outside{}, calls: map[peer.ID]int{}, punched: map[peer.ID]bool{}}
}

func (r *relays) options(cfg Config) []libp2p.Option {
	opts := []libp2p.Option{
		libp2p.EnableNATService(), // tells others whether they can be reached
		libp2p.EnableAutoNATv2(),  // the same, address by address
		libp2p.EnableRelay(),
		libp2p.EnableHolePunching(holepunch.WithTracer(r), holepunch.WithAddrFilter(r.outside), holepunch.DirectDialTimeout(punchTimeout)),
		libp2p.EnableAutoRelayWithPeerSource(r.source,
			autorelay.WithNumRelays(wantRelays), autorelay.WithMaxCandidates(relayCandidates), autorelay.WithMinCandidates(1),
			autorelay.WithBootDelay(0), autorelay.WithBackoff(relayRetry), autorelay.WithMinInterval(relaySearch)),
	}
	if !cfg.NoRelaying {
		res := relay.DefaultResources()
		res.Limit = &relay.RelayLimit{Duration: circuitTime, Data: circuitBytes}
		res.MaxCircuits, res.MaxReservations, res.BufferSize = circuitsPerPeer, reservations, 16<<10
		opts = append(opts, libp2p.EnableRelayService(relay.WithResources(res), relay.WithACL(r)))
	}
	if cfg.PortMapping {
		opts = append(opts, libp2p.NATPortMap())
	}
	switch cfg.Reach {
	case ReachPublic:
		opts = append(opts, libp2p.ForceReachabilityPublic())
	case ReachPrivate:
		opts = append(opts, libp2p.ForceReachabilityPrivate())
	}
	return opts
}

// source gives candidates to libp2p's autorelay.
func (r *relays) source(ctx context.Context, n int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo)
	go func() {
		defer close(out)
		h := r.host.Load()
		if h == nil {
			return
		}
		found := h.relayCandidates()
		rand.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
		for _, info := range found[:min(n, len(found))] {
			select {
			case out <- info:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// relayCandidates are the connected members that say they relay, and that this
// node reached at a public address.
func (h *Host) relayCandidates() []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, id := range h.lib.Network().Peers() {
		spoken, err := h.lib.Peerstore().SupportsProtocols(id, proto.ProtoIDv2Hop)
		if err != nil || len(spoken) == 0 || !h.isMember(id) || h.bans.has(id) {
			continue
		}
		for _, c := range h.lib.Network().ConnsToPeer(id) {
			if isPublicDirect(c.RemoteMultiaddr()) {
				out = append(out, peer.AddrInfo{ID: id, Addrs: keep(h.lib.Peerstore().Addrs(id), isPublicDirect)})
				break
			}
		}
	}
	return out
}

// AllowReserve implements relay.ACLFilter: places are for members of the network.
func (r *relays) AllowReserve(p peer.ID, _ ma.Multiaddr) bool {
	h := r.host.Load()
	return h != nil && h.mayReserve(p)
}

// mayReserve refuses those who speak other protocols than this network's. Who has
// not told its protocols yet is let in: it may have been quicker than they.
func (h *Host) mayReserve(p peer.ID) bool {
	told, err := h.lib.Peerstore().GetProtocols(p)
	return !h.bans.has(p) && (err != nil || len(told) == 0 || h.isMember(p))
}

// AllowConnect implements relay.ACLFilter: a peer may call so often.
func (r *relays) AllowConnect(src peer.ID, _ ma.Multiaddr, _ peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.began) > callsIn {
		r.began, r.all = now, 0
		clear(r.calls)
	}
	if r.all >= callsInAll || r.calls[src] >= callsPerPeer {
		return false
	}
	r.all++
	r.calls[src]++
	return true
}

// Trace implements holepunch.EventTracer.
func (r *relays) Trace(e *holepunch.Event) {
	if end, ok := e.Evt.(*holepunch.EndHolePunchEvt); ok && end.Success {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.punched[e.Remote] = true
	}
}

func (r *relays) isPunched(id peer.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.punched[id]
}

// gone forgets a peer to which there is no connection any more.
func (r *relays) gone(id peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.punched, id)
}

// seekRelays has a node that sees no public address of its own ask for places at
// relays at once. libp2p would wait until peers have found, within minutes, that
// it cannot be dialled; what they find counts from then on.
func (h *Host) seekRelays() error {
	if h.cfg.Reach != ReachAuto || onlyLoopback(h.cfg.Listen) || h.policy.public.Load() {
		return nil
	}
	e, err := h.lib.EventBus().Emitter(new(event.EvtLocalReachabilityChanged))
	if err != nil {
		return err
	}
	return errors.Join(e.Emit(event.EvtLocalReachabilityChanged{Reachability: network.ReachabilityUnknown}), e.Close())
}

// overRelay allows what a context opens to go through a relay.
func overRelay(ctx context.Context, why string) context.Context {
	return network.WithAllowLimitedConn(ctx, why)
}
