package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

const (
	pingInterval = time.Minute
	pingTimeout  = 10 * time.Second
	maxPings     = 8 // at once
)

// pingPeers measures the latency of connected peers, which libp2p keeps as a
// moving average: new ones soon after they arrive, all of them every minute.
func (h *Host) pingPeers(ctx context.Context) error {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		joined := h.seen.joined.wait()
		h.pingRound(ctx, func(id peer.ID) bool { return h.lib.Peerstore().LatencyEWMA(id) == 0 })
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-joined:
		case <-tick.C:
			h.pingRound(ctx, func(peer.ID) bool { return true })
		}
	}
}

func (h *Host) pingRound(ctx context.Context, want func(peer.ID) bool) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxPings)
	for _, id := range h.lib.Network().Peers() {
		if !want(id) {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(network.WithNoDial(ctx, "ping"), pingTimeout)
			defer cancel()
			if r := <-ping.Ping(ctx, h.lib, id); r.Error != nil && ctx.Err() == nil {
				h.log.Debug("peer not pinged", "peer", id, "err", r.Error)
			}
		})
	}
	wg.Wait()
}
