package p2p

import (
	"slices"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// addrPolicy decides which addresses are told to peers and believed from them.
// A node with a public address announces only public ones, and refuses private
// ones found in the DHT: they would be dialled in the wrong network. A node
// with private addresses announces those, and the addresses at its relays, and
// leaves out loopback. A node that
// has nothing but loopback announces it, so that nodes of one machine find each
// other.
type addrPolicy struct {
	fixed        []ma.Multiaddr
	allowPrivate bool
	public       atomic.Bool // has a public address
}

// newAddrPolicy expects a validated configuration.
func newAddrPolicy(cfg Config) *addrPolicy {
	p := &addrPolicy{allowPrivate: cfg.AllowPrivate}
	for _, s := range cfg.Announce {
		if a, err := ma.NewMultiaddr(s); err == nil {
			p.fixed = append(p.fixed, a)
		}
	}
	p.public.Store(slices.ContainsFunc(p.fixed, isPublicDirect))
	return p
}

// announced is the host's address factory: from all its addresses, those that
// peers are told.
func (p *addrPolicy) announced(all []ma.Multiaddr) []ma.Multiaddr {
	if len(p.fixed) > 0 {
		return slices.Clone(p.fixed)
	}
	public := slices.ContainsFunc(all, isPublicDirect)
	p.public.Store(public)
	if public && !p.allowPrivate {
		return keep(all, isPublicDirect)
	}
	if beyond := keep(all, func(a ma.Multiaddr) bool { return !manet.IsIPLoopback(a) }); len(beyond) > 0 {
		return beyond
	}
	return all
}

// believed filters the addresses that others tell in the DHT.
func (p *addrPolicy) believed(told []ma.Multiaddr) []ma.Multiaddr {
	if p.public.Load() && !p.allowPrivate {
		return keep(told, isPublic)
	}
	return told
}

// isPublicDirect leaves out the addresses at which a relay, which may well be
// public, takes calls for somebody.
func isPublicDirect(a ma.Multiaddr) bool { return isPublic(a) && !isRelayed(a) }

// isPublic takes names (/dns4/...) for public: their owner announced them.
func isPublic(a ma.Multiaddr) bool {
	first, _ := ma.SplitFirst(a)
	if first == nil {
		return false
	}
	switch first.Protocol().Code {
	case ma.P_DNS, ma.P_DNS4, ma.P_DNS6, ma.P_DNSADDR:
		return true
	}
	return manet.IsPublicAddr(a)
}

func keep(addrs []ma.Multiaddr, ok func(ma.Multiaddr) bool) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range addrs {
		if ok(a) {
			out = append(out, a)
		}
	}
	return out
}

// onlyLoopback says whether all listening addresses are loopback ones. A node
// that does not listen is no such node.
func onlyLoopback(listen []string) bool {
	for _, s := range listen {
		if a, err := ma.NewMultiaddr(s); err != nil || !manet.IsIPLoopback(a) {
			return false
		}
	}
	return len(listen) > 0
}

// fullAddrs appends /p2p/ID to each address.
func fullAddrs(id peer.ID, addrs []ma.Multiaddr) []string {
	out := make([]string, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, a.String()+"/p2p/"+id.String())
	}
	return out
}
