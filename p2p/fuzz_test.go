package p2p

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// bounded is an application that is told only of what is within limits.
type bounded struct{ t *testing.T }

func (b bounded) Validate(key string, value []byte) error {
	if len(key) > MaxKey || len(value) > MaxValue || key == "" || key[0] != '/' {
		b.t.Errorf("asked about a key of %d bytes and a value of %d", len(key), len(value))
	}
	return nil
}

func (b bounded) Select(string, [][]byte) (int, error) { return 1 << 20, nil }

// What comes from the DHT or by gossip reaches the application within its limits
// or not at all.
func FuzzGates(f *testing.F) {
	f.Add("/release/aa/bafk", []byte("value"), 5)
	f.Add("//", []byte{}, 0)
	f.Add("/pk/x", make([]byte, MaxValue), 100)
	f.Fuzz(func(t *testing.T, key string, value []byte, limit int) {
		gate := recordGate{bounded{t}, &counters{}}
		if err := gate.Validate(key, value); err == nil && gate.stats.badRecords.Load() > 0 {
			t.Errorf("a good record under %q counts as bad", key)
		}
		if i, err := gate.Select(key, [][]byte{value}); err == nil {
			t.Errorf("selected %d of 1", i)
		}
		c := &channel{max: limit}
		if got := c.judge(t.Context(), "peer", value); got == Accept {
			t.Error("accepted for an application that is not there")
		}
		c.handlers.Store(&handlers{validate: func(_ context.Context, _ peer.ID, data []byte) Judgement {
			if len(data) > limit {
				t.Errorf("asked about %d bytes, the limit is %d", len(data), limit)
			}
			return Accept
		}})
		if got := c.judge(t.Context(), "peer", value); (got == Accept) != (len(value) <= limit) {
			t.Errorf("%d bytes under a limit of %d: %v", len(value), limit, got)
		}
	})
}
