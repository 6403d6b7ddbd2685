package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	routedhost "github.com/libp2p/go-libp2p/p2p/host/routed"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/sync/errgroup"
)

// Host is a node's place in the network.
type Host struct {
	cfg     Config
	log     *slog.Logger
	bans    *bans
	policy  *addrPolicy
	lib     host.Host // as libp2p made it
	net     host.Host // the same, finding addresses of peers in the DHT
	dht     *dht.IpfsDHT
	gossip  *gossip
	server  *server
	plan    *announcements
	seen    *presence
	streams streamHandler
	wires   *wires
	budget  *relayBudget
	relays  *relays
	stats   counters
	records *recordGate
	closers []func() error

	kadProto, syncProto, btProto protocol.ID
}

// PeerInfo describes a connected peer. Agent is chosen by the peer.
type PeerInfo struct {
	ID        peer.ID
	Addrs     []string      // the remote ends of its connections
	Latency   time.Duration // moving average of pings, 0 when not measured yet
	Direction string        // "in" or "out": who opened the oldest connection
	Agent     string        // printable ASCII, at most 64 bytes
	Member    bool          // speaks the DHT protocol of this network
	Road      Road          // that raw streams to it take
	Near      bool          // on this machine or its local network
	Punched   bool          // reached through a hole in a NAT
}

// New binds the listeners and opens the host. Nothing is dialled, gossiped or
// announced before Run.
func New(cfg Config, log *slog.Logger) (_ *Host, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("p2p configuration: %w", err)
	}
	cfg = cfg.withDefaults()
	prefix := "/dockchain/" + cfg.Network
	h := &Host{
		cfg: cfg, log: log, bans: newBans(), policy: newAddrPolicy(cfg),
		plan: newAnnouncements(), seen: newPresence(), wires: newWires(),
		budget: newRelayBudget(cfg.RelayBytes), relays: newRelays(),
		kadProto:  protocol.ID(prefix + "/kad/1.0.0"),
		syncProto: protocol.ID(prefix + "/sync/1.0.0"),
		btProto:   protocol.ID(prefix + "/bt/1.0.0"),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()

	if h.lib, err = newLibp2p(cfg, h.policy, h.bans, h.relays, h.btProto); err != nil {
		return nil, fmt.Errorf("opening libp2p host: %w", err)
	}
	h.onClose(h.lib.Close)
	h.relays.host.Store(h)
	h.records = &recordGate{app: cfg.Validator, stats: &h.stats}

	if h.dht, err = h.newDHT(protocol.ID(prefix)); err != nil {
		return nil, fmt.Errorf("opening dht: %w", err)
	}
	h.onClose(h.dht.Close)
	h.net = routedhost.Wrap(h.lib, finder{h})

	if h.gossip, err = newGossip(h.lib, prefix); err != nil {
		return nil, fmt.Errorf("opening gossip: %w", err)
	}
	h.onClose(h.gossip.close)

	h.server = newServer(cfg, log, &h.stats)
	h.lib.SetStreamHandler(h.syncProto, h.server.serve)
	h.lib.SetStreamHandler(h.btProto, h.acceptStream)
	h.lib.Network().Notify(&network.NotifyBundle{ConnectedF: h.onConn})

	if err := listen(h.lib, cfg.Listen); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Host) onClose(f func() error) { h.closers = append(h.closers, f) }

// Run keeps the node in the network until the context ends: it bootstraps,
// announces, passes gossip on and tells of peers that come and go.
func (h *Host) Run(ctx context.Context) error {
	events, err := h.subscribe()
	if err != nil {
		return fmt.Errorf("subscribing to events: %w", err)
	}
	if err := h.seekRelays(); err != nil {
		return fmt.Errorf("seeking relays: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.watch(ctx, events) })
	g.Go(func() error { return h.tell(ctx) })
	g.Go(func() error { return h.gossip.deliver(ctx) })
	g.Go(func() error { return h.gossip.evidence.deliver(ctx) })
	g.Go(func() error { return h.bootstrap(ctx) })
	g.Go(func() error { return h.announce(ctx) })
	g.Go(func() error { return h.pingPeers(ctx) })
	g.Go(func() error { return h.watchWires(ctx) })
	if h.cfg.MDNS {
		g.Go(func() error { return h.discover(ctx) })
	}
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Close disconnects from everybody and frees the listeners.
func (h *Host) Close() error {
	var errs []error
	for _, f := range slices.Backward(h.closers) {
		errs = append(errs, f())
	}
	h.closers = nil
	return errors.Join(errs...)
}

// ID returns the node's peer id.
func (h *Host) ID() peer.ID { return h.lib.ID() }

// Addrs returns the multiaddrs, each ending in /p2p/ID, under which this node
// can be dialled: those it listens on, with their actual ports, and those it is
// known by outside. TCP comes first.
func (h *Host) Addrs() []string {
	return fullAddrs(h.ID(), h.addrs())
}

func (h *Host) addrs() []ma.Multiaddr {
	addrs, err := h.lib.Network().InterfaceListenAddresses()
	if err != nil {
		addrs = h.lib.Network().ListenAddresses()
	}
	addrs = ma.Unique(append(slices.Clone(addrs), h.lib.Addrs()...))
	addrs = keep(addrs, leadsHere)
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return transportRank(a) - transportRank(b) })
	return addrs
}

// leadsHere leaves out the place that libp2p keeps for relays before it has one.
func leadsHere(a ma.Multiaddr) bool {
	first, _ := ma.SplitFirst(a)
	return first != nil && first.Protocol().Code != ma.P_CIRCUIT
}

// Hints are at most n of Addrs, n at least 1, that serve the most people: public
// ones; where there are none, those of the local network, and one at a relay. What
// leads out of this machine comes before the bridges of containers and the like.
func (h *Host) Hints(n int) []string {
	all := h.addrs()
	relayed := keep(all, isRelayed)
	direct := keep(all, isPublicDirect)
	if len(direct) == 0 {
		direct = keep(all, func(a ma.Multiaddr) bool { return !isRelayed(a) && !manet.IsIPLoopback(a) })
	} else {
		relayed = nil
	}
	if len(direct) == 0 {
		direct = keep(all, func(a ma.Multiaddr) bool { return !isRelayed(a) })
	}
	outwardFirst(direct, outward())
	if len(relayed) > 0 {
		direct = append(direct[:min(len(direct), n-1)], relayed[0])
	}
	return fullAddrs(h.ID(), direct[:min(len(direct), n)])
}

// outward is the address that this machine takes towards others, by its routes; nothing
// is sent. It is nil where there is no route.
func outward() net.IP {
	c, err := net.Dial("udp4", "198.51.100.1:9") // reserved for documentation (RFC 5737)
	if err != nil {
		return nil
	}
	defer c.Close()
	to, _ := c.LocalAddr().(*net.UDPAddr)
	if to == nil {
		return nil
	}
	return to.IP
}

// outwardFirst moves the addresses with an IP to the front.
func outwardFirst(addrs []ma.Multiaddr, ip net.IP) {
	rank := func(a ma.Multiaddr) int {
		if of, err := manet.ToIP(a); err == nil && of.Equal(ip) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(addrs, func(a, b ma.Multiaddr) int { return rank(a) - rank(b) })
}

// Peers returns the connected peers, ordered by id.
func (h *Host) Peers() []PeerInfo {
	ids := h.lib.Network().Peers()
	slices.Sort(ids)
	var out []PeerInfo
	for _, id := range ids {
		conns := h.lib.Network().ConnsToPeer(id)
		if len(conns) == 0 {
			continue // gone in the meantime
		}
		out = append(out, h.describe(id, conns))
	}
	return out
}

func (h *Host) describe(id peer.ID, conns []network.Conn) PeerInfo {
	info := PeerInfo{ID: id, Latency: h.lib.Peerstore().LatencyEWMA(id), Member: h.isMember(id)}
	oldest := conns[0]
	for _, c := range conns {
		info.Addrs = append(info.Addrs, c.RemoteMultiaddr().String())
		if c.Stat().Opened.Before(oldest.Stat().Opened) {
			oldest = c
		}
	}
	best := bestConn(conns).RemoteMultiaddr()
	info.Road, info.Near = roadOf(best), isNear(best)
	info.Punched = info.Road != RoadRelay && h.relays.isPunched(id)
	info.Direction = "in"
	if oldest.Stat().Direction == network.DirOutbound {
		info.Direction = "out"
	}
	if v, err := h.lib.Peerstore().Get(id, "AgentVersion"); err == nil {
		agent, _ := v.(string)
		info.Agent = printable(agent, 64)
	}
	return info
}

// isMember says whether the peer takes part in this network's DHT.
func (h *Host) isMember(id peer.ID) bool {
	spoken, err := h.lib.Peerstore().SupportsProtocols(id, h.kadProto, h.syncProto)
	return err == nil && len(spoken) > 0
}

// Connect dials a peer at multiaddrs that end in the same /p2p/ID. Those told together
// are dialled by the cheapest road first; of those told one by one it is the first told.
func (h *Host) Connect(ctx context.Context, addrs ...string) error {
	var info peer.AddrInfo
	for _, s := range addrs {
		a, err := ParseAddr(s)
		if err != nil {
			return err
		}
		if info.ID != "" && a.ID != info.ID {
			return fmt.Errorf("%w: %s is of another peer than %s", ErrBadAddress, s, info.ID)
		}
		info.ID, info.Addrs = a.ID, append(info.Addrs, a.Addrs...)
	}
	return h.connect(ctx, info)
}

func (h *Host) connect(ctx context.Context, info peer.AddrInfo) error {
	if h.bans.has(info.ID) {
		return fmt.Errorf("connecting to %s: %w", info.ID, ErrBlocked)
	}
	// Who calls this paces the attempts itself, or is a person who wants one now.
	if n, ok := h.lib.Network().(interface{ Backoff() *swarm.DialBackoff }); ok {
		n.Backoff().Clear(info.ID)
	}
	if err := h.net.Connect(overRelay(ctx, "connect"), info); err != nil {
		return fmt.Errorf("connecting to %s: %w", info.ID, oneLine(err))
	}
	return nil
}

// Disconnect closes all connections to a peer.
func (h *Host) Disconnect(id peer.ID) error {
	if err := h.lib.Network().ClosePeer(id); err != nil {
		return fmt.Errorf("disconnecting %s: %w", id, err)
	}
	return nil
}

// Block disconnects a peer and refuses connections to and from it for the given
// time; zero or less lifts a block.
func (h *Host) Block(id peer.ID, d time.Duration) {
	h.bans.set(id, d)
	if d > 0 {
		if err := h.Disconnect(id); err != nil {
			h.log.Debug("blocked peer not disconnected cleanly", "peer", id, "err", err)
		}
	}
}
