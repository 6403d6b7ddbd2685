package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// keepEvery is how often reputation is written to the store.
const keepEvery = 30 * time.Second

func peerSubject(p peer.ID) reputation.Subject {
	return reputation.Subject{Kind: reputation.Peer, ID: p.String()}
}

func authorSubject(a ledger.AuthorID) reputation.Subject {
	return reputation.Subject{Kind: reputation.Author, ID: string(a)}
}

// blame remembers what a peer did wrong.
func (x *Exchange) blame(p peer.ID, what reputation.Event) {
	x.Reputation.Observe(peerSubject(p), what, 1)
}

// praise remembers what a peer did well.
func (x *Exchange) praise(p peer.ID, bytes int64, took time.Duration) {
	x.Reputation.Observe(peerSubject(p), reputation.Verified, bytes)
	x.Reputation.ObserveLatency(peerSubject(p), took)
}

// ObserveSwarm takes what the swarm saw of a peer (a peer id, or host:port of an
// ordinary client).
func (x *Exchange) ObserveSwarm(from string, e swarm.Event) {
	s := reputation.Subject{Kind: reputation.Peer, ID: from}
	switch e.Kind {
	case swarm.Verified:
		x.Reputation.Observe(s, reputation.Verified, e.Bytes)
	case swarm.BadPiece:
		x.Reputation.Observe(s, reputation.BadPiece, 1)
	case swarm.BadInfo, swarm.Garbage:
		x.Reputation.Observe(s, reputation.BrokenPromise, 1)
	case swarm.Timeout, swarm.Unreachable:
		x.Reputation.Observe(s, reputation.Timeout, 1)
	}
}

// PeerScore is what gossipsub asks for.
func (x *Exchange) PeerScore(p peer.ID) float64 { return x.Reputation.Score(peerSubject(p)) }

// keepReputation writes what changed to the store, now and then and at the end.
func (x *Exchange) keepReputation(ctx context.Context) {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			x.storeReputation()
			return
		case <-tick.C:
			x.storeReputation()
		}
	}
}

func (x *Exchange) storeReputation() {
	if err := x.Store.SaveReputation(x.Reputation.Changed()); err != nil {
		x.log.Warn("reputation is not kept", "err", err)
	}
	x.storeUsage()
	x.storeTouched()
}

// Peers lists the peers connected or remembered, with what this node thinks of
// them and why.
func (x *Exchange) Peers(context.Context) ([]PeerStatus, error) {
	var out []PeerStatus
	seen := map[string]bool{}
	if x.Net != nil {
		for _, p := range x.Net.PeerInfos() {
			s := x.Reputation.Standing(peerSubject(p.ID))
			p.Status.Score, p.Status.Reasons = s.Score, s.Reasons
			seen[p.Status.ID] = true
			out = append(out, p.Status)
		}
	}
	for _, s := range x.Reputation.Standings(reputation.Peer) {
		if !seen[s.ID] {
			out = append(out, PeerStatus{ID: s.ID, Score: s.Score, Reasons: s.Reasons, LatencyMS: s.Latency.Seconds() * 1000})
		}
	}
	return out, nil
}

// Connect connects to a peer by multiaddr.
func (x *Exchange) Connect(ctx context.Context, addr string) error {
	if x.Net == nil {
		return ErrOffline
	}
	if _, err := peer.AddrInfoFromString(addr); err != nil {
		return fmt.Errorf("%w: %q is no multiaddr that ends in /p2p/ID: %w", ErrBadRequest, addr, err)
	}
	if err := x.Net.Connect(ctx, addr); err != nil {
		return fmt.Errorf("connecting to %s: %w", addr, err)
	}
	return nil
}
