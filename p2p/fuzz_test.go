package p2p

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
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
		gate := &recordGate{app: bounded{t}, stats: &counters{}}
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

// What a peer says that it sees is a public address of QUIC, or is not believed.
func FuzzOutsideAddr(f *testing.F) {
	for _, a := range []string{
		"/ip4/11.0.1.1/udp/4747/quic-v1", "/ip6/2600::1/udp/1/quic-v1", "/ip4/192.168.1.1/udp/4747/quic-v1",
		"/ip4/11.0.1.1/tcp/4747", "/ip4/11.0.1.1/udp/4747/quic-v1/p2p-circuit", "/dns4/example.org/udp/1/quic-v1",
	} {
		f.Add(ma.StringCast(a).Bytes())
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := outsideAddr(b)
		if err != nil {
			return
		}
		if via, relayed := viaOf(a); relayed || !via.IsGlobalUnicast() || via.IsPrivate() || roadOf(a) != RoadQUIC {
			t.Errorf("%s is believed", a)
		}
	})
}
