package p2p

import (
	"net/netip"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
)

func TestVia(t *testing.T) {
	t.Parallel()
	const id = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf"
	for text, want := range map[string]struct {
		addr    string
		relayed bool
	}{
		"/ip4/192.168.1.7/tcp/4747":                         {"192.168.1.7", false},
		"/ip6/fe80::1/udp/4747/quic-v1":                     {"fe80::1", false},
		"/ip4/203.0.113.7/tcp/1/p2p/" + id + "/p2p-circuit": {"203.0.113.7", true},
		"/p2p/" + id + "/p2p-circuit":                       {"", true},
		"/dns4/relay.example/tcp/1":                         {"", false},
	} {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			t.Fatal(err)
		}
		addr, _ := netip.ParseAddr(want.addr)
		if got, relayed := viaOf(a); got != addr || relayed != want.relayed {
			t.Errorf("%s goes via %v, relayed %v", text, got, relayed)
		}
	}
}

// Both ends of a stream tell where it goes, and so does the host.
func TestStreamsTellTheirWay(t *testing.T) {
	t.Parallel()
	a, b, dialled, accepted := streams(t, tcpAndQUIC[:1])
	for name, c := range map[string]any{"dialled": dialled, "accepted": accepted} {
		addr, relayed := c.(interface{ Via() (netip.Addr, bool) }).Via()
		if !addr.IsLoopback() || relayed {
			t.Errorf("the stream that was %s goes via %v, relayed %v", name, addr, relayed)
		}
	}
	if addr, relayed := a.Via(b.ID()); !addr.IsLoopback() || relayed {
		t.Errorf("the host reaches its peer via %v, relayed %v", addr, relayed)
	}
	if addr, _ := a.Via(a.ID()); addr.IsValid() {
		t.Errorf("it reaches itself via %v", addr)
	}
}

// libp2p's own limits leave room for what the configuration allows, also on a
// machine with little memory.
func TestLibraryLimitsAreConsistent(t *testing.T) {
	t.Parallel()
	const raw = "/raw"
	cfg := Config{HighWater: 1000, LowWater: 300, Streams: 5000}.withDefaults()
	small := limitsOf(cfg, raw).Scale(64<<20, 1024).ToPartialLimitConfig()
	if n := int(small.System.ConnsInbound); n < 1500 {
		t.Errorf("%d connections may come in, and the connection manager begins to close them at %d", n, cfg.HighWater)
	}
	if n := int(small.System.Streams); n < cfg.Streams {
		t.Errorf("%d streams in all, %d raw ones", n, cfg.Streams)
	}
	if n := int(small.Protocol[raw].StreamsInbound); n != cfg.Streams {
		t.Errorf("%d raw streams", n)
	}
}
