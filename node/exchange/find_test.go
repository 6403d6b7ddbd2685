package exchange

import (
	"maps"
	"slices"
	"testing"
)

func TestAddressesOfAPeerGoTogether(t *testing.T) {
	t.Parallel()
	const (
		one   = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo"
		other = "12D3KooWJJTwbgTNXDU9GYR8KS6ZgEd3RX9FKVJMwVhjMCPYwzcE"
	)
	got := byPeer([]string{
		"/ip4/8.8.8.8/udp/1/quic-v1/p2p/" + one,
		"/ip4/8.8.4.4/tcp/1/p2p/" + other,
		"/ip4/8.8.8.8/tcp/1/p2p/" + one,
		"/ip4/8.8.8.8/tcp/1",
		"nonsense",
	})
	if n := len(got); n != 2 {
		t.Fatalf("%d peers: %v", n, slices.Collect(maps.Keys(got)))
	}
	for id, addrs := range got {
		want := []string{"/ip4/8.8.8.8/udp/1/quic-v1/p2p/" + one, "/ip4/8.8.8.8/tcp/1/p2p/" + one}
		if id.String() == other {
			want = []string{"/ip4/8.8.4.4/tcp/1/p2p/" + other}
		}
		if !slices.Equal(addrs, want) {
			t.Errorf("%s is at %v, want %v", id, addrs, want)
		}
	}
}
