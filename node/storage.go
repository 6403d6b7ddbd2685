package node

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dockchains/dockchain/node/exchange"
)

// Storage is exchange.StorageConfig, named again for those who know only this
// package.
type Storage = exchange.StorageConfig

// storageMetrics shows what is on the disk, and what was collected.
type storageMetrics struct {
	figures func() exchange.StorageFigures
}

type storageFigure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(exchange.StorageFigures) float64
}

func storageFigures() []storageFigure {
	type s = exchange.StorageFigures
	gauge := func(name, help string, f func(s) float64) storageFigure {
		return storageFigure{prometheus.NewDesc("dockchain_storage_"+name, help, nil, nil), prometheus.GaugeValue, f}
	}
	counter := func(name, help string, f func(s) float64) storageFigure {
		return storageFigure{prometheus.NewDesc("dockchain_gc_"+name, help, nil, nil), prometheus.CounterValue, f}
	}
	return []storageFigure{
		gauge("used_bytes", "Bytes of all content files, with those under way.", func(f s) float64 { return float64(f.Used()) }),
		gauge("staged_bytes", "Bytes of these that are under way, or set aside for it.", func(f s) float64 { return float64(f.Staged) }),
		gauge("quota_bytes", "Bytes that all content files may have; 0 for no limit.", func(f s) float64 { return float64(f.Quota) }),
		gauge("free_bytes", "Bytes free on the disk.", func(f s) float64 { return float64(f.Free) }),
		gauge("keep_free_bytes", "Bytes of the disk that are left free.", func(f s) float64 { return float64(f.KeepFree) }),
		gauge("pinned_images", "Images pinned.", func(f s) float64 { return float64(f.Pinned) }),
		gauge("scarce_images", "Pinned images with fewer holders than keep_seeders.", func(f s) float64 { return float64(f.Scarce) }),
		gauge("lent_bytes", "Bytes of images kept for others.", func(f s) float64 { return float64(f.Lent) }),
		counter("runs_total", "Collections of what nobody needs.", func(f s) float64 { return float64(f.Runs) }),
		counter("bytes_total", "Bytes of files that these removed.", func(f s) float64 { return float64(f.Collected) }),
		counter("evicted_images_total", "Images that gave way for want of room.", func(f s) float64 { return float64(f.Evicted) }),
		counter("refused_total", "Times that no room could be made.", func(f s) float64 { return float64(f.Refused) }),
	}
}

// Describe implements prometheus.Collector.
func (m storageMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range storageFigures() {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (m storageMetrics) Collect(out chan<- prometheus.Metric) {
	now := m.figures()
	for _, f := range storageFigures() {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(now))
	}
}
