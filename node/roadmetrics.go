package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockchains/dockchain/p2p"
)

// roadMetrics are the numbers of the roads that lead to peers.
type roadMetrics struct{ stats func() p2p.Stats }

var (
	roadPeers = prometheus.NewDesc("dockchain_road_peers", "Peers connected, by the road that bytes take to them.", []string{"road"}, nil)
	roadBytes = prometheus.NewDesc("dockchain_road_bytes_total", "Bytes of BitTorrent streams between nodes, by road.", []string{"road", "direction"}, nil)
	punched   = prometheus.NewDesc("dockchain_punched_peers", "Peers connected through a hole in a NAT.", nil, nil)
)

// Describe implements prometheus.Collector.
func (m roadMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{roadPeers, roadBytes, punched} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m roadMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.stats()
	ch <- prometheus.MustNewConstMetric(punched, prometheus.GaugeValue, float64(s.Punched))
	for road, r := range s.Roads {
		ch <- prometheus.MustNewConstMetric(roadPeers, prometheus.GaugeValue, float64(r.Peers), string(road))
		ch <- prometheus.MustNewConstMetric(roadBytes, prometheus.CounterValue, float64(r.In), string(road), "in")
		ch <- prometheus.MustNewConstMetric(roadBytes, prometheus.CounterValue, float64(r.Out), string(road), "out")
	}
}
