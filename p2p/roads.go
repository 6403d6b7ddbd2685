package p2p

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Road is how bytes get to a peer.
type Road string

// The roads, cheapest first.
const (
	RoadTCP   Road = "tcp"
	RoadQUIC  Road = "quic"  // half the rate of TCP for twice the CPU
	RoadRelay Road = "relay" // through a third node, bounded: see Config.RelayBytes
)

// Roads lists them, cheapest first.
func Roads() []Road { return []Road{RoadTCP, RoadQUIC, RoadRelay} }

func roadOf(a ma.Multiaddr) Road { return Roads()[transportRank(a)] }

// transportRank is 0 for direct TCP, 1 for other direct and 2 for relayed
// addresses.
func transportRank(a ma.Multiaddr) int {
	rank := 1
	for _, c := range a {
		switch c.Protocol().Code {
		case ma.P_TCP:
			rank = 0
		case ma.P_CIRCUIT:
			return 2
		}
	}
	return rank
}

func isRelayed(a ma.Multiaddr) bool { return transportRank(a) == 2 }

// isNear says that an address is of this machine or its local network.
func isNear(a ma.Multiaddr) bool {
	return !isRelayed(a) && (manet.IsIPLoopback(a) || manet.IsPrivateAddr(a) || manet.IsIP6LinkLocal(a))
}

const (
	// tcpHeadStart is what TCP has over QUIC.
	tcpHeadStart = 300 * time.Millisecond
	// nearHeadStart is what the local network has over the world outside.
	nearHeadStart = 50 * time.Millisecond
	// directHeadStart is what all of them have over relays.
	directHeadStart = 1500 * time.Millisecond
	// addressDelay lies between the dials to addresses of one kind.
	addressDelay = 100 * time.Millisecond
	// dialAddrTimeout is all that one address may cost, handshakes included.
	dialAddrTimeout = 8 * time.Second
)

// cheapestFirst orders the dials to a peer: TCP on the local network at once, TCP
// elsewhere next, then QUIC, then relays. None waits for the one before it to
// fail, so a dead address costs its delay, a fraction of a second. A TCP
// connection in the middle of its handshake holds the later dials back, so a
// dearer road is used only where the cheaper ones cannot pass.
func cheapestFirst(headStart time.Duration) network.DialRanker {
	return func(addrs []ma.Multiaddr) []network.AddrDelay {
		var kinds [5][]ma.Multiaddr // near TCP, TCP, near QUIC, QUIC, relay
		for _, a := range addrs {
			kind := 2 * transportRank(a)
			if kind < 4 && !isNear(a) {
				kind++
			}
			kinds[kind] = append(kinds[kind], a)
		}
		var out []network.AddrDelay
		var at time.Duration
		for kind, delay := range []time.Duration{0, nearHeadStart, headStart, nearHeadStart, directHeadStart} {
			if len(out) > 0 {
				at += delay
			}
			for i, a := range kinds[kind] {
				out = append(out, network.AddrDelay{Addr: a, Delay: at + time.Duration(i)*addressDelay})
			}
		}
		return out
	}
}

// bestConn is the connection that streams take, by the cheapest road.
func bestConn(conns []network.Conn) network.Conn {
	var best network.Conn
	for _, c := range conns {
		if best == nil || transportRank(c.RemoteMultiaddr()) < transportRank(best.RemoteMultiaddr()) {
			best = c
		}
	}
	return best
}
