package p2p

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// discover finds peers of the same network on the local one by multicast DNS
// (RFC 6762). It is optional: where multicast is not to be had it says so and
// tries again later.
func (h *Host) discover(ctx context.Context) error {
	for {
		service := mdns.NewMdnsService(h.lib, mdnsName(h.cfg.Network), neighbours{ctx, h})
		err := service.Start()
		if err == nil {
			<-ctx.Done()
		} else {
			h.log.Warn("no discovery on the local network", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Minute):
			}
		}
		if err := service.Close(); err != nil {
			h.log.Debug("local discovery not closed cleanly", "err", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// mdnsName is the DNS-SD service of a network: "_dc-" and 10 hex digits of the
// SHA-256 of its name, because service names have at most 15 characters
// (RFC 6335).
func mdnsName(network string) string {
	sum := sha256.Sum256([]byte(network))
	return fmt.Sprintf("_dc-%s._udp", hex.EncodeToString(sum[:5]))
}

type neighbours struct {
	ctx  context.Context
	host *Host
}

// HandlePeerFound connects; called by the mdns service for every answer heard.
func (n neighbours) HandlePeerFound(info peer.AddrInfo) {
	if info.ID == n.host.ID() {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, dialTimeout)
	defer cancel()
	if err := n.host.connect(ctx, info); err != nil {
		n.host.log.Debug("neighbour not reached", "peer", info.ID, "err", err)
	}
}
