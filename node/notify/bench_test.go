package notify

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/store"
)

// BenchmarkReceive is one event an envelope, of many registries at once, each
// durable before it is answered.
func BenchmarkReceive(b *testing.B) {
	st, err := store.Open(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	s, err := New(Config{}, st.Notify(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			e := ev(exchange.ActionPull, manifestType, fmt.Sprintf("team%d/app", i%50), "1.0", "m", float64(i))
			e.Request.Addr = fmt.Sprintf("10.0.%d.%d:99", i/250%250, i%250)
			body, err := EncodeEnvelope(e)
			if err == nil {
				err = s.Receive(body)
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
