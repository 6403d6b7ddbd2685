package swarm

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkHerd has several nodes of one process fetch 64 MiB at once from one
// source, each with 12.5 MB/s upload. The ideal is the time that the source needs
// for one copy. testnet/bench measures the same with whole nodes.
//
//	go test -run '^$' -bench Herd -benchtime 1x ./p2p/swarm
//
// HERD_SIZE and HERD_RATE change the bytes, and the bytes a second.
func BenchmarkHerd(b *testing.B) {
	size, rate := number("HERD_SIZE", 64<<20), number("HERD_RATE", 12_500_000)
	bl := newBlob(b, 77, int(size))
	for _, n := range []int{1, 4, 8, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				tn := newTown(b)
				limit := func(c *Config) { c.Limits.Upload = int64(rate) }
				source := tn.node("source", limit)
				source.shelf.put(bl.info, bl.source())
				nodes := make([]*resident, n)
				names := []string{"source"}
				for i := range nodes {
					nodes[i] = tn.node(fmt.Sprint("node", i), limit)
					names = append(names, nodes[i].name)
				}
				began := time.Now()
				var wg sync.WaitGroup
				for _, node := range nodes {
					job := bl.job(b, names...)
					wg.Go(func() {
						if _, err := node.Fetch(within(b, patience), job); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
				took := time.Since(began)
				waste := int64(0)
				for _, node := range nodes {
					waste += node.Stats().Wasted
				}
				b.ReportMetric(took.Seconds()*rate/size, "ratio")
				b.ReportMetric(float64(source.Stats().Sent)/size, "copies")
				b.ReportMetric(100*float64(waste)/size/float64(n), "%waste")
			}
		})
	}
}

func number(env string, otherwise float64) float64 {
	if v, err := strconv.ParseFloat(os.Getenv(env), 64); err == nil {
		return v
	}
	return otherwise
}

// BenchmarkOneToOne has one node fetch 1 GiB from another of the same process,
// without limits, to a disk and from memory.
func BenchmarkOneToOne(b *testing.B) {
	bl := newBlob(b, 78, 1<<30)
	b.SetBytes(1 << 30)
	for b.Loop() {
		tn := newTown(b)
		source, node := tn.node("source"), tn.node("node")
		source.shelf.put(bl.info, bl.source())
		var before, after syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
		if _, err := node.Fetch(within(b, patience), bl.job(b, "source")); err != nil {
			b.Fatal(err)
		}
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(spent)/1e9, "CPU-s")
	}
}
