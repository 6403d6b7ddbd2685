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
	ma "github.com/multiformats/go-multiaddr"
)

// newLibp2p makes a host that does not listen yet.
func newLibp2p(cfg Config, policy *addrPolicy, bans *bans, r *relays, bt protocol.ID) (_ host.Host, err error) {
	limits, err := newLimits(cfg, bt)
	if err != nil {
		return nil, fmt.Errorf("setting resource limits: %w", err)
	}
	conns, err := connmgr.NewConnManager(cfg.LowWater, cfg.HighWater, connmgr.WithGracePeriod(time.Minute))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("setting connection limits: %w", err), limits.Close())
	}
	r.outside.key = cfg.Key
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Key),
		libp2p.UserAgent("dockchain/" + cfg.Version),
		libp2p.ProtocolVersion("dockchain/" + cfg.Network),
		libp2p.Transport(newTCPRoad(func() bool { return !policy.public.Load() })),
		libp2p.Transport(r.outside.transport),
		// The one who dials decides by this order. Go's TLS takes AES-GCM only
		// where the hardware of both ends does it.
		libp2p.Security(libp2ptls.ID, newRecordTLS),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, newMuxer()),
		libp2p.ResourceManager(limits),
		libp2p.ConnectionManager(conns),
		libp2p.ConnectionGater(bans),
		libp2p.AddrsFactory(policy.announced),
		libp2p.SwarmOpts(swarm.WithDialRanker(cheapestFirst(cfg.headStart)), swarm.WithDialTimeout(dialAddrTimeout)),
		libp2p.DisableMetrics(),
	}
	if onlyLoopback(cfg.Listen) {
		return libp2p.New(append(opts, libp2p.DisableRelay())...)
	}
	return libp2p.New(append(opts, r.options(cfg)...)...)
}

// newLimits scales libp2p's limits to the machine, sees that even on a small one
// they leave room for what the configuration allows, and bounds the raw streams, of
// all peers and of one.
func newLimits(cfg Config, raw protocol.ID) (network.ResourceManager, error) {
	return rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limitsOf(cfg, raw).AutoScale()))
}

func limitsOf(cfg Config, raw protocol.ID) *rcmgr.ScalingLimitConfig {
	limits := rcmgr.DefaultLimits
	libp2p.SetDefaultServiceLimits(&limits)
	// The connection manager closes what is above HighWater now and then, not at
	// once, and nothing within its grace period: half as much again has to fit.
	s, conns := &limits.SystemBaseLimit, cfg.HighWater*3/2
	s.Conns, s.ConnsInbound, s.ConnsOutbound = max(s.Conns, conns), max(s.ConnsInbound, conns), max(s.ConnsOutbound, conns)
	s.FD = max(s.FD, conns)
	streams := cfg.Streams + 8*conns // with requests, gossip and DHT
	s.Streams, s.StreamsInbound, s.StreamsOutbound = max(s.Streams, streams), max(s.StreamsInbound, streams), max(s.StreamsOutbound, streams)
	limits.AddProtocolLimit(raw, rcmgr.BaseLimit{
		StreamsInbound: cfg.Streams, StreamsOutbound: cfg.Streams, Streams: cfg.Streams, Memory: 256 << 20,
	}, rcmgr.BaseLimitIncrease{Memory: 256 << 20})
	limits.AddProtocolPeerLimit(raw, rcmgr.BaseLimit{
		StreamsInbound: 192, StreamsOutbound: 192, Streams: 384, Memory: 64 << 20,
	}, rcmgr.BaseLimitIncrease{})
	return &limits
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
