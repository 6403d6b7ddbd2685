package p2p

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

func multiaddrs(s string) (out []ma.Multiaddr) {
	for _, f := range strings.Fields(s) {
		out = append(out, ma.StringCast(f))
	}
	return out
}

func spaced(addrs []ma.Multiaddr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

func TestAddressPolicy(t *testing.T) {
	t.Parallel()
	const (
		loop    = "/ip4/127.0.0.1/tcp/1"
		loop6   = "/ip6/::1/tcp/1"
		private = "/ip4/192.168.1.7/tcp/1"
		public  = "/ip4/8.8.8.8/tcp/1"
		name    = "/dns4/node.example.org/tcp/1"
		relayed = "/ip4/1.2.3.4/tcp/1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo/p2p-circuit"
	)
	told := strings.Join([]string{loop, private, public, name}, " ")
	tests := map[string]struct {
		fixed               []string
		allow               bool
		own                 string
		announced, believed string
	}{
		"loopback only": {own: loop + " " + loop6, announced: loop + " " + loop6, believed: told},
		"private":       {own: loop + " " + private, announced: private, believed: told},
		"public": {
			own: strings.Join([]string{loop, private, public}, " "), announced: public, believed: public + " " + name,
		},
		"public, private allowed": {
			allow: true, own: strings.Join([]string{loop, private, public}, " "),
			announced: private + " " + public, believed: told,
		},
		"fixed":          {fixed: []string{name}, own: loop + " " + private, announced: name, believed: public + " " + name},
		"fixed, private": {fixed: []string{private}, own: loop, announced: private, believed: told},
		"at a relay":     {own: strings.Join([]string{loop, private, relayed}, " "), announced: private + " " + relayed, believed: told},
		"nothing":        {own: "", announced: "", believed: told},
	}
	for label, tt := range tests {
		p := newAddrPolicy(Config{Announce: tt.fixed, AllowPrivate: tt.allow})
		if diff := cmp.Diff(tt.announced, spaced(p.announced(multiaddrs(tt.own)))); diff != "" {
			t.Errorf("%s: announced (-want +got):\n%s", label, diff)
		}
		if diff := cmp.Diff(tt.believed, spaced(p.believed(multiaddrs(told)))); diff != "" {
			t.Errorf("%s: believed (-want +got):\n%s", label, diff)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{
		"": false, "/ip4/127.0.0.1/tcp/0 /ip6/::1/udp/0/quic-v1": true, "/ip4/127.0.0.1/tcp/0 /ip4/0.0.0.0/tcp/0": false,
	} {
		if got := onlyLoopback(strings.Fields(list)); got != want {
			t.Errorf("onlyLoopback(%q) = %t", list, got)
		}
	}
}

func TestPeerTextIsHarmless(t *testing.T) {
	t.Parallel()
	if got := printable("a\x1b[31m\nb\u202ec\x7f", 64); got != "a[31mbc" {
		t.Errorf("printable = %q", got)
	}
	if got := printable(strings.Repeat("é x", 100), 7); got != " x x x " {
		t.Errorf("printable = %q", got)
	}
	err := fmt.Errorf("dialling: %w", oneLine(fmt.Errorf("all failed\n  * [a] %w\n  * [b] no", ErrBusy)))
	if err.Error() != "dialling: all failed; [a] peer is busy; [b] no" || !errors.Is(err, ErrBusy) {
		t.Errorf("oneLine = %q", err)
	}
	if oneLine(nil) != nil {
		t.Error("oneLine(nil) is an error")
	}
}

// TestNeighboursAreConnected calls what mDNS calls; the multicast itself would
// leave loopback.
func TestNeighboursAreConnected(t *testing.T) {
	t.Parallel()
	a, b := openHost(t, nil), openHost(t, nil)
	n := neighbours{t.Context(), a}
	n.HandlePeerFound(peer.AddrInfo{ID: a.ID()})
	n.HandlePeerFound(peer.AddrInfo{ID: b.ID(), Addrs: b.lib.Network().ListenAddresses()})
	if got := a.Peers(); len(got) != 1 || got[0].ID != b.ID() {
		t.Errorf("peers = %+v", got)
	}
	if got := mdnsName("public"); len(got) > len("_123456789012345._udp") || got == mdnsName("other") {
		t.Errorf("service name %q", got)
	}
}

func TestHintsLeadOutFirst(t *testing.T) {
	t.Parallel()
	const bridge, lan, quic = "/ip4/172.17.0.1/tcp/1 ", "/ip4/192.168.1.5/tcp/1 ", "/ip4/192.168.1.5/udp/1/quic-v1 "
	same := func(a []ma.Multiaddr, want string) bool {
		return slices.EqualFunc(a, multiaddrs(want), ma.Multiaddr.Equal)
	}
	for ip, want := range map[string]string{
		"192.168.1.5": lan + quic + bridge,
		"10.0.0.1":    bridge + lan + quic, // not one of them
		"":            bridge + lan + quic, // no route
	} {
		got := multiaddrs(bridge + lan + quic)
		outwardFirst(got, net.ParseIP(ip))
		if !same(got, want) {
			t.Errorf("towards %q: %v, want %v", ip, got, want)
		}
	}
	if got := keep(multiaddrs("/p2p-circuit "+testRelay+" "+lan), leadsHere); !same(got, testRelay+" "+lan) {
		t.Errorf("these are told to lead here: %v", got)
	}
}
