package node

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/bandwidth"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// What Config has of package bandwidth, named again for those who know only this
// package.
type (
	Bandwidth       = bandwidth.Config
	BandwidthWindow = bandwidth.Window
	BandwidthChange = bandwidth.Change
	Budget          = bandwidth.Budget
	Limits          = swarm.Limits
	Rates           = swarm.Rates
)

// ClassNames are the classes of peers, in the order of Limits.Classes.
func ClassNames() []string {
	var out []string
	for _, c := range swarm.Classes() {
		out = append(out, c.String())
	}
	return out
}

// ParseWindow reads the times of a window: "08:00", "18:00" and "mon-fri".
func ParseWindow(from, to, days string) (w BandwidthWindow, err error) {
	if w.From, err = bandwidth.ParseClock(from); err != nil {
		return w, err
	}
	if w.To, err = bandwidth.ParseClock(to); err != nil {
		return w, err
	}
	w.Days, err = bandwidth.ParseDays(days)
	return w, err
}

// limits are the rates from the start.
func (c Config) limits() swarm.Limits {
	l := c.Bandwidth.Limits
	if l.Upload == 0 {
		l.Upload = c.UploadLimit
	}
	return l
}

func (c Config) validateBandwidth() error {
	b := c.Bandwidth
	b.Limits = c.limits()
	if err := b.Validate(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	s := swarm.Config{Conns: c.Budget.Connections, ConnsPerTorrent: c.Budget.ConnectionsPerTorrent, RequestMemory: c.Budget.RequestMemory}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if c.Budget.Peers < 0 || c.Budget.Peers > 0 && c.Budget.Peers < minPeers {
		return fmt.Errorf("limits: %d peers: want at least %d", c.Budget.Peers, minPeers)
	}
	return nil
}

const (
	defaultPeers = 192
	// minPeers keeps a node in the DHT and the gossip.
	minPeers = 12
)

// lowWater is to how many connections are closed when there are too many; 0 is the
// default.
func lowWater(b Budget) int { return b.Peers / 3 }

// openBandwidth sets the limits that hold now.
func (n *Node) openBandwidth() (err error) {
	c := n.cfg.Bandwidth
	c.Limits, c.Budget = n.cfg.limits(), n.cfg.Budget
	s := swarm.Config{Conns: c.Budget.Connections, ConnsPerTorrent: c.Budget.ConnectionsPerTorrent, RequestMemory: c.Budget.RequestMemory}
	c.Budget.Connections, c.Budget.ConnectionsPerTorrent, c.Budget.RequestMemory = s.Budget()
	if c.Budget.Peers == 0 {
		c.Budget.Peers = defaultPeers
	}
	n.bandwidth, err = bandwidth.New(c, n.swarm, n.cfg.Now, n.log)
	return err
}

// classOf is the class of a connected peer.
func (n *Node) classOf(id peer.ID) swarm.Class { return n.swarm.ClassOf(n.host.Via(id)) }

// awaitUpload lets the answer to a direct request wait for its turn.
func (n *Node) awaitUpload(ctx context.Context, to peer.ID, bytes int) {
	if bytes > 0 {
		n.swarm.AwaitUpload(ctx, n.classOf(to), bytes)
	}
}

// awaitTurn lets what the web seed sends wait for its turn, and refuses while paused.
func (n *Node) awaitTurn(ctx context.Context, to netip.Addr, bytes int) error {
	if n.swarm.Paused() {
		return exchange.ErrPaused
	}
	return n.swarm.AwaitTurn(ctx, n.swarm.ClientAt(to), bytes)
}

// mayGive refuses content while paused; what keeps logs going is answered.
func (n *Node) mayGive(op string) error {
	switch op {
	case exchange.OpBlob, exchange.OpInfo, exchange.OpLayer:
		if n.swarm.Paused() {
			return p2p.ErrBusy
		}
	}
	return nil
}

// limitsAPI is the node as the API shows and sets its limits.
type limitsAPI struct{ n *Node }

func (n *Node) limitsOfAPI() api.Limits {
	if n.bandwidth == nil {
		return nil
	}
	return limitsAPI{n}
}

func (a limitsAPI) LimitsStatus(context.Context) (api.LimitsStatus, error) {
	return a.n.bandwidth.Status(), nil
}

func (a limitsAPI) SetLimits(_ context.Context, r api.LimitsRequest) (api.LimitsStatus, error) {
	if err := a.n.bandwidth.Set(r); err != nil {
		return api.LimitsStatus{}, err
	}
	return a.n.bandwidth.Status(), nil
}

func (a limitsAPI) Activity(context.Context) (api.Activity, error) {
	return api.Activity{
		Time: time.Now().UTC(), Peers: len(a.n.host.Peers()), Transfers: a.n.exchange.Transfers(), Limits: a.n.bandwidth.Status(),
	}, nil
}

// trafficMetrics shows what passes between this node and its peers, and what bounds
// it.
type trafficMetrics struct {
	stats  func() swarm.Stats
	status func() bandwidth.Status
}

var (
	trafficBytes   = limitDesc("traffic_bytes_total", "Bytes to and from peers, with what the protocols add: of torrents, and of direct requests.", "direction", "class", "kind")
	trafficLimit   = limitDesc("traffic_limit_bytes", "The limits that hold now, in bytes a second; 0 is none.", "direction", "class")
	trafficConns   = limitDesc("swarm_connections", "BitTorrent connections, those inside libp2p too.", "class")
	trafficBudget  = limitDesc("swarm_budget", "What may be open for peers.", "of")
	trafficPaused  = limitDesc("swarm_paused", "1 while traffic with peers is paused.")
	swarmTorrents  = limitDesc("swarm_torrents", "Torrents that are loaded, and those of them with somebody connected.", "state")
	swarmFailures  = limitDesc("swarm_dial_failures_total", "Connections to peers that could not be made.")
	swarmBanned    = limitDesc("swarm_banned_total", "Peers that were banned, once for each torrent of which they sent something wrong.")
	swarmRefused   = limitDesc("swarm_refused_total", "Connections of peers refused because the budget was used up.")
	trafficFigures = []*prometheus.Desc{trafficBytes, trafficLimit, trafficConns, trafficBudget, trafficPaused, swarmTorrents, swarmFailures, swarmBanned, swarmRefused}
)

// Describe implements prometheus.Collector.
func (m trafficMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range trafficFigures {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m trafficMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	stats, status := m.stats(), m.status()
	for _, t := range stats.Traffic {
		class := t.Class.String()
		count(trafficBytes, t.TorrentUp, "up", class, "torrent")
		count(trafficBytes, t.TorrentDown, "down", class, "torrent")
		count(trafficBytes, t.RequestUp, "up", class, "request")
		count(trafficBytes, t.RequestDown, "down", class, "request")
		gauge(trafficConns, float64(t.Conns), class)
	}
	limit := func(class string, r swarm.Rates) {
		gauge(trafficLimit, float64(r.Upload), "up", class)
		gauge(trafficLimit, float64(r.Download), "down", class)
	}
	limit("all", status.Rates)
	for _, c := range status.Classes {
		limit(c.Name, c.Rates)
	}
	b := status.Budget
	gauge(trafficBudget, float64(b.Connections), "connections")
	gauge(trafficBudget, float64(b.ConnectionsPerTorrent), "connections_per_torrent")
	gauge(trafficBudget, float64(b.Peers), "peers")
	gauge(trafficBudget, float64(b.RequestMemory), "request_memory_bytes")
	paused := 0.0
	if status.Paused {
		paused = 1
	}
	gauge(trafficPaused, paused)
	gauge(swarmTorrents, float64(stats.Loaded), "loaded")
	gauge(swarmTorrents, float64(stats.Active), "active")
	count(swarmFailures, stats.Unreachable)
	count(swarmBanned, stats.Banned)
	count(swarmRefused, stats.Refused)
}
