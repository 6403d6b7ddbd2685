package node

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/store"
)

// backend is the exchange, with what only the node knows added to its status.
type backend struct {
	*exchange.Exchange
	node *Node
}

func (b backend) Status(ctx context.Context) (exchange.Status, error) {
	s, err := b.Exchange.Status(ctx)
	s.Version, s.Network, s.Home, s.Addresses = b.node.cfg.Version, b.node.cfg.Network, b.node.cfg.Home, b.node.Addresses()
	return s, err
}

// rememberPeer keeps the addresses of a peer that was reached, to join by after
// a restart.
func (n *Node) rememberPeer(id peer.ID, addrs []string) {
	if err := n.store.SavePeers(store.Peer{ID: id.String(), Addrs: addrs, Seen: time.Now()}); err != nil {
		n.log.Warn("peer is not remembered", "peer", id, "err", err)
	}
}

// peerHints are the addresses that a magnet link of ours carries.
func (n *Node) peerHints() (libp2p, bittorrent []string) {
	libp2p = n.host.Hints(maxHints)
	if host, _, err := net.SplitHostPort(n.swarm.Addr()); err == nil && host != "" && !net.ParseIP(host).IsUnspecified() {
		bittorrent = []string{n.swarm.Addr()}
	}
	return libp2p, bittorrent
}

// maxHints bounds the libp2p addresses in a magnet link: it must stay short
// enough to be pasted.
const maxHints = 2

// openTrackers are those whose URL names no more than a place where anybody may
// announce: a longer path or a query may be the passkey of this node's user.
func openTrackers(urls []string) []string {
	var out []string
	for _, s := range urls {
		u, err := url.Parse(s)
		if err == nil && u.RawQuery == "" && (u.Path == "" || u.Path == "/" || u.Path == "/announce") {
			out = append(out, s)
		}
	}
	return out
}

// checks are the conditions of readiness.
func (n *Node) checks() []api.Check {
	return []api.Check{
		{Name: "data", Run: func(context.Context) error {
			_, err := os.Stat(n.cfg.Home)
			return err
		}},
		{Name: "peers", Warning: true, Run: func(context.Context) error {
			if n.host == nil || len(n.host.Peers()) == 0 {
				return errors.New("no peer is connected")
			}
			return nil
		}},
	}
}

// metrics is the Prometheus exposition of this node.
func (n *Node) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "dockchain", Name: name, Help: help}, value))
	}
	counter := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "dockchain", Name: name, Help: help}, value))
	}
	status := func(f func(exchange.Status) float64) func() float64 {
		return func() float64 {
			s, err := n.exchange.Status(context.Background())
			if err != nil {
				return 0
			}
			return f(s)
		}
	}
	gauge("images", "Images held and seeded.", status(func(s exchange.Status) float64 { return float64(s.Images) }))
	gauge("blob_bytes", "Bytes in the blob store.", status(func(s exchange.Status) float64 { return float64(s.Bytes) }))
	gauge("ledger_authors", "Authors whose logs are known.", status(func(s exchange.Status) float64 { return float64(s.Authors) }))
	gauge("ledger_entries", "Ledger entries known.", status(func(s exchange.Status) float64 { return float64(s.Entries) }))
	gauge("transfers", "Fetches under way.", status(func(s exchange.Status) float64 { return float64(len(s.Transfers)) }))
	counter("upstream_bytes_total", "Bytes from third-party registries.", func() float64 { return float64(n.exchange.UpstreamStats().Bytes) })
	counter("upstream_stale_total", "Answers given of a time when the registry could be asked.", func() float64 { return float64(n.exchange.UpstreamStats().Stale) })
	if n.upstream != nil {
		counter("upstream_requests_total", "Requests to third-party registries.", func() float64 { return float64(n.upstream.Stats().Requests) })
		counter("upstream_transfers_total", "Blobs or parts of them asked of third-party registries.", func() float64 { return float64(n.upstream.Stats().Transfers) })
		counter("upstream_rate_limited_total", "Times that a third-party registry wanted to be left alone.", func() float64 { return float64(n.upstream.Stats().RateLimited) })
	}
	reg.MustRegister(limitMetrics{n.exchange.Limits, n.exchange.QuotaStats})
	reg.MustRegister(notifyMetrics{n.notify.Stats})
	reg.MustRegister(storageMetrics{n.exchange.StorageFigures})
	if n.host == nil {
		return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	}
	reg.MustRegister(trafficMetrics{n.swarm.Stats, n.bandwidth.Status})
	counter("swarm_sent_bytes_total", "Bytes of pieces sent to peers.", func() float64 { return float64(n.swarm.Stats().Sent) })
	counter("swarm_received_bytes_total", "Bytes of pieces received from peers.", func() float64 { return float64(n.swarm.Stats().Received) })
	counter("swarm_wasted_bytes_total", "Bytes of pieces received that were here already or not asked for.", func() float64 { return float64(n.swarm.Stats().Wasted) })
	host := n.host.Stats
	gauge("peers", "Peers connected.", func() float64 { return float64(host().Peers) })
	reg.MustRegister(roadMetrics{host})
	counter("dead_connections_total", "Connections closed because they gave no sign of life while in use.", func() float64 { return float64(host().DeadConns) })
	gauge("gossip_graylisted", "Peers whose gossip is not looked at, for what they sent.", func() float64 { return float64(host().Graylisted) })
	counter("gossip_accepted_total", "Gossiped entries verified and passed on.", func() float64 { return float64(host().GossipAccepted) })
	counter("gossip_rejected_total", "Gossiped entries refused.", func() float64 { return float64(host().GossipRejected) })
	counter("evidence_accepted_total", "Gossiped proofs against authors that froze a log.", func() float64 { return float64(host().EvidenceAccepted) })
	counter("evidence_rejected_total", "Gossiped proofs against authors that prove nothing.", func() float64 { return float64(host().EvidenceRejected) })
	counter("requests_served_total", "Direct requests answered.", func() float64 { return float64(host().RequestsServed) })
	counter("requests_refused_total", "Direct requests over a limit.", func() float64 { return float64(host().RequestsRefused) })
	counter("records_refused_total", "DHT records refused by the validator.", func() float64 { return float64(host().RecordsRefused) })
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}
