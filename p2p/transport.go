package p2p

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// newLibp2p makes a host that does not listen yet.
func newLibp2p(cfg Config, policy *addrPolicy, bans *bans, bt protocol.ID) (_ host.Host, err error) {
	limits, err := newLimits(bt)
	if err != nil {
		return nil, fmt.Errorf("setting resource limits: %w", err)
	}
	conns, err := connmgr.NewConnManager(cfg.LowWater, cfg.HighWater, connmgr.WithGracePeriod(time.Minute))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting connection limits: %w", err), limits.Close())
	}
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Key),
		libp2p.UserAgent("dockchain/" + cfg.Version),
		libp2p.ProtocolVersion("dockchain/" + cfg.Network),
		// With SO_REUSEPORT two nodes could share a port, each losing half its
		// callers, and two peers that dial each other at once from their
		// listening ports get one connection (RFC 9293, 3.5) that both began,
		// on which Noise fails.
		libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
		libp2p.Transport(quic.NewTransport),
		// The one who dials decides by this order. Go's TLS takes AES-GCM only
		// where the hardware of both ends does it.
		libp2p.Security(libp2ptls.ID, libp2ptls.New),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(bans),
		libp2p.AddrsFactory(policy.announced),
		libp2p.SwarmOpts(swarm.WithDialRanker(tcpFirst(cfg.headStart))),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	}
	if !onlyLoopback(cfg.Listen) {
		opts = append(opts, libp2p.EnableNATService()) // tells others whether they can be reached
	}
	return libp2p.New(opts...)
}

// newLimits scales libp2p's limits to the machine and bounds the BitTorrent
// streams of one peer.
func newLimits(bt protocol.ID) (network.ResourceManager, error) {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	limits.AddProtocolPeerLimit(bt, rcmgr.BaseLimit{
		StreamsInbound: 192, StreamsOutbound: 192, Streams: 384, Memory: 64 << 20,
	}, rcmgr.BaseLimitIncrease{})
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits.AutoScale()))
}

// listen binds every address or fails: libp2p itself would go on with some.
func listen(h host.Host, addrs []string) error {
	binder, ok := h.Network().(interface{ AddListenAddr(ma.Multiaddr) error })
	if !ok {
		return fmt.Errorf("listening: unknown network %T", h.Network())
	}
	for _, s := range addrs {
		a, err := ma.NewMultiaddr(s)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", s, err)
		}
		err = binder.AddListenAddr(a)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listening on %s: %w", s, ErrAddrInUse)
		}
		if err != nil {
			return fmt.Errorf("listening on %s: %w", s, oneLine(err))
		}
	}
	return nil
}

// tcpHeadStart is what TCP has over everything else.
const tcpHeadStart = 300 * time.Millisecond

// tcpFirst orders the dials to a peer: TCP at once, the rest a little later in
// libp2p's own order. A TCP connection in the middle of its handshake holds the
// later dials back, so QUIC is used only where TCP cannot pass.
func tcpFirst(headStart time.Duration) network.DialRanker {
	return func(addrs []ma.Multiaddr) []network.AddrDelay {
		var first, rest []ma.Multiaddr
		for _, a := range addrs {
			if transportRank(a) == 0 {
				first = append(first, a)
			} else {
				rest = append(rest, a)
			}
		}
		ranked := swarm.DefaultDialRanker(first)
		var delay time.Duration
		if len(first) > 0 {
			delay = headStart
		}
		for _, r := range swarm.DefaultDialRanker(rest) {
			ranked = append(ranked, network.AddrDelay{Addr: r.Addr, Delay: r.Delay + delay})
		}
		return ranked
	}
}

// transportRank is 0 for direct TCP, 1 for other direct and 2 for relayed
// addresses.
func transportRank(a ma.Multiaddr) int {
	rank := 1
	for _, c := range a {
		switch c.Protocol().Code {
		case ma.P_TCP:
			rank = 0
		case ma.P_CIRCUIT:
			return 2
		}
	}
	return rank
}
