package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/node/exchange"
)

// The limits of Config.Quota, named again for those who know only this package.
type (
	Quota      = quota.Config
	QuotaRate  = quota.Rate
	QuotaRoom  = quota.Room
	QuotaTotal = quota.Total
)

// limitMetrics shows the limits, what they bound, and what they refused.
type limitMetrics struct {
	limits func() exchange.LimitStatus
	stats  func() quota.Stats
}

// A figure is one number of limitMetrics.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(exchange.LimitStatus, quota.Stats) float64
}

func limitDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dockchain_"+name, help, labels, nil)
}

var (
	limitGauge     = limitDesc("quota_limit", "The limits of this node; rates in tokens a second and at once.", "limit")
	refusedCounter = limitDesc("quota_refused_total", "What a limit refused.", "limit")
)

func limitFigures() []figure {
	gauge := func(name, help string, f func(exchange.LimitStatus, quota.Stats) float64) figure {
		return figure{limitDesc(name, help), prometheus.GaugeValue, f}
	}
	counter := func(name, help string, f func(exchange.LimitStatus, quota.Stats) float64) figure {
		return figure{limitDesc(name, help), prometheus.CounterValue, f}
	}
	type l = exchange.LimitStatus
	type s = quota.Stats
	return []figure{
		gauge("ledger_others", "Authors whose logs are kept, without this node's own.", func(l l, _ s) float64 { return float64(l.Authors) }),
		gauge("ledger_bytes", "Bytes of all entries of these logs.", func(l l, _ s) float64 { return float64(l.Bytes) }),
		gauge("ledger_largest_bytes", "Bytes of the entries of the largest of these logs.", func(l l, _ s) float64 { return float64(l.Largest) }),
		counter("ledger_given_up_total", "Logs that were given up for others.", func(l l, _ s) float64 { return float64(l.GivenUp) }),
		gauge("quota_peers", "Peers whose rates are remembered.", func(_ l, s s) float64 { return float64(s.Peers) }),
		gauge("quota_authors", "Authors whose rates are remembered.", func(_ l, s s) float64 { return float64(s.Authors) }),
		counter("quota_displaced_total", "Peers and authors forgotten while a rate of theirs was in use.", func(_ l, s s) float64 { return float64(s.Displaced) }),
		counter("quota_heard_bytes_total", "Bytes of entries that peers sent within their rates.", func(_ l, s s) float64 { return float64(s.Heard.Bytes) }),
		counter("quota_published_entries_total", "Gossiped entries within the rates of their authors.", func(_ l, s s) float64 { return float64(s.Published.Entries) }),
		counter("quota_kept_entries_total", "Entries there was room for when catching up.", func(_ l, s s) float64 { return float64(s.Kept.Entries) }),
		counter("quota_begun_logs_total", "New logs that peers were asked for within their rates.", func(_ l, s s) float64 { return float64(s.Begun) }),
	}
}

// Describe implements prometheus.Collector.
func (m limitMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- limitGauge
	out <- refusedCounter
	for _, f := range limitFigures() {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m limitMetrics) Collect(out chan<- prometheus.Metric) {
	l, s := m.limits(), m.stats()
	for name, v := range l.Limits {
		out <- prometheus.MustNewConstMetric(limitGauge, prometheus.GaugeValue, v, name)
	}
	for rule, n := range l.Refused {
		out <- prometheus.MustNewConstMetric(refusedCounter, prometheus.CounterValue, float64(n), rule)
	}
	for _, f := range limitFigures() {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(l, s))
	}
}
