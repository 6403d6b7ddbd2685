package swarm

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A reader reads a layer in order while it is fetched, as docker pull does.
type reader struct {
	at    atomic.Int64
	first atomic.Int64 // nanoseconds of the wall clock when something came first
}

func (r *reader) Write(b []byte) (int, error) {
	r.first.CompareAndSwap(0, time.Now().UnixNano())
	r.at.Add(int64(len(b)))
	return len(b), nil
}

func (r *reader) follow(job *Job) {
	job.Content = r
	job.Near = func() (int64, bool) { return r.at.Load(), true }
}

// readersHerd has nodes fetch from a source of ours at once, each for a reader, and
// gives how long the last of them waited for the first byte.
func readersHerd(t testing.TB, bl blob, n, limit, uplink int) (took, first time.Duration, sent int64) {
	t.Helper()
	tn := newTown(t)
	source := tn.node("source", func(c *Config) { c.Limits.Upload = int64(limit) })
	source.shelf.put(bl.info, bl.source())
	nodes := make([]*resident, n)
	readers := make([]reader, n)
	names := []string{"source"}
	for i := range nodes {
		nodes[i] = tn.node(fmt.Sprint("node", i), func(c *Config) { c.Limits.Upload = int64(uplink) })
		names = append(names, nodes[i].name)
	}
	began := time.Now()
	var wg sync.WaitGroup
	for i, node := range nodes {
		job := bl.job(t, names...)
		readers[i].follow(&job)
		wg.Go(func() {
			if _, err := node.Fetch(within(t, patience), job); err != nil {
				t.Errorf("node %d: %v", i, err)
				return
			}
			bl.check(t, job.Partial)
		})
	}
	wg.Wait()
	took = time.Since(began)
	for i := range readers {
		first = max(first, time.Unix(0, readers[i].first.Load()).Sub(began))
	}
	return took, first, source.Stats().Sent
}

// Those who read the same in order at the same time divide what lies ahead of them, and
// the source sends little more than one copy.
func TestReadersHerd(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 98, 16<<20)
	if _, first, sent := readersHerd(t, bl, 4, 4<<20, 0); sent > 16<<20*3/2 || first <= 0 {
		t.Errorf("the source sent %d bytes of %d to four readers", sent, 16<<20)
	}
}

// BenchmarkHerdReaders is BenchmarkHerd with somebody who reads at each node.
func BenchmarkHerdReaders(b *testing.B) {
	size, limit := number("HERD_SIZE", 64<<20), number("HERD_RATE", 12_500_000)
	bl := newBlob(b, 80, int(size))
	for _, n := range []int{1, 4, 8} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				took, first, sent := readersHerd(b, bl, n, int(limit), int(limit))
				b.ReportMetric(took.Seconds()*limit/size, "ratio")
				b.ReportMetric(first.Seconds(), "s-to-first")
				b.ReportMetric(float64(sent)/size, "copies")
			}
		})
	}
	b.Run("plain-8", func(b *testing.B) {
		for b.Loop() {
			st := newStranger(b, bl, int(limit))
			readers := make([]reader, 8)
			began := time.Now()
			took, _ := plainHerd(b, bl, st, 8, int(limit), func(i int, job *Job) { readers[i].follow(job) })
			first := time.Duration(0)
			for i := range readers {
				first = max(first, time.Unix(0, readers[i].first.Load()).Sub(began))
			}
			b.ReportMetric(took.Seconds()*limit/size, "ratio")
			b.ReportMetric(first.Seconds(), "s-to-first")
			b.ReportMetric(float64(st.sent())/size, "copies")
		}
	})
}
