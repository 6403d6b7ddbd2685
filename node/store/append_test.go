package store

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// BenchmarkAppend is 1,024 writers of signed releases in one log, and spread over
// a thousand, durably: what a node pays for each, in time of its processors.
func BenchmarkAppend(b *testing.B) {
	for _, logs := range []int{1, 1000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) {
			l := ledger.New(open(b).Ledgers(), "test")
			authors, keys := make([]ledger.AuthorID, logs), make([]ledger.Key, logs)
			for i := range authors {
				keys[i] = ledgertest.Key(uint64(i))
				authors[i] = ledgertest.Author(b, l, keys[i])
			}
			release := ledgertest.Release("app", "1.0", 0)
			var next atomic.Int64
			b.SetParallelism(512)
			b.ReportAllocs()
			b.ResetTimer()
			before := ownCPU(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := int(next.Add(1)) % logs
					if _, err := l.AppendRelease(b.Context(), authors[i], keys[i], release); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64((ownCPU(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/entry")
		})
	}
}

// ownCPU is the time that this process has had of the processors.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
