package p2p

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Via is the address at the other end of the connection that carries a stream, and
// whether that is a relay's.
func (c *streamConn) Via() (netip.Addr, bool) { return viaOf(c.stream.Conn().RemoteMultiaddr()) }

// Via is the same of the connection to a peer: a direct one, where there is one.
// Without a connection the address is the zero one.
func (h *Host) Via(id peer.ID) (addr netip.Addr, relayed bool) {
	for _, c := range h.lib.Network().ConnsToPeer(id) {
		if addr, relayed = viaOf(c.RemoteMultiaddr()); !relayed {
			return addr, false
		}
	}
	return addr, relayed
}

func viaOf(a ma.Multiaddr) (addr netip.Addr, relayed bool) {
	if ip, err := manet.ToIP(a); err == nil {
		addr, _ = netip.AddrFromSlice(ip)
	}
	return addr.Unmap(), isRelayed(a)
}
