package swarm

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A Class is a kind of peers that has limits of its own.
type Class uint8

// The classes of peers.
const (
	// LAN: on a private network that this machine is directly attached to,
	// whatever it speaks.
	LAN Class = iota
	// Node: a node of ours beyond the LAN.
	Node
	// Client: an ordinary BitTorrent client beyond the LAN.
	Client
	// Relay: a node of ours that is reached through another one.
	Relay
	// NumClasses is how many there are.
	NumClasses
)

var classNames = [NumClasses]string{"lan", "node", "client", "relay"}

// String names a class as configuration, commands and metrics do.
func (c Class) String() string {
	if c < NumClasses {
		return classNames[c]
	}
	return "unknown"
}

// Classes are all of them, in order.
func Classes() []Class { return []Class{LAN, Node, Client, Relay} }

// ClassNamed finds a class by its name.
func ClassNamed(name string) (Class, bool) {
	i := slices.Index(classNames[:], name)
	return Class(max(i, 0)), i >= 0
}

// via is what a stream of Config.Dial and Swarm.Accept may tell of the way it
// takes: the address at the other end of its connection, if that is known, and
// whether that is a relay's.
type via interface {
	Via() (addr netip.Addr, relayed bool)
}

// classOf finds the class of a connection, of a peer of ours or of an ordinary
// client.
func (s *Swarm) classOf(c net.Conn, ours bool) Class {
	var addr netip.Addr
	if v, ok := c.(via); ok {
		return s.ClassOf(v.Via())
	}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		addr = a.AddrPort().Addr()
	}
	if ours {
		return s.ClassOf(addr, false)
	}
	return s.ClientAt(addr)
}

// ClientAt finds the class of an ordinary client at an address.
func (s *Swarm) ClientAt(addr netip.Addr) Class {
	if class := s.ClassOf(addr, false); class != Node {
		return class
	}
	return Client
}

// ClassOf finds the class of a node of ours at an address, or behind a relay.
func (s *Swarm) ClassOf(addr netip.Addr, relayed bool) Class {
	addr = addr.Unmap().WithZone("")
	switch {
	case relayed:
		return Relay
	case s.lan.has(addr), s.cfg.LoopbackIsLAN && addr.IsLoopback():
		return LAN
	}
	return Node
}

// neighbours knows which addresses are on the LAN: private or link-local ones on a
// network that an interface of this machine is attached to. Where there are two
// routers in a row, what lies between them is not.
type neighbours struct {
	interfaces func() ([]net.Addr, error) // default net.InterfaceAddrs

	mu    sync.Mutex
	nets  []netip.Prefix
	asked time.Time
}

// interfacesFresh is how long the list of interfaces is believed: a laptop moves.
const interfacesFresh = 30 * time.Second

func (n *neighbours) has(addr netip.Addr) bool {
	if !addr.IsPrivate() && !addr.IsLinkLocalUnicast() {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.asked.IsZero() || now.Sub(n.asked) > interfacesFresh {
		n.asked = now
		n.nets = n.attached()
	}
	return slices.ContainsFunc(n.nets, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (n *neighbours) attached() (out []netip.Prefix) {
	list := n.interfaces
	if list == nil {
		list = net.InterfaceAddrs
	}
	addrs, err := list()
	if err != nil {
		return nil // then nobody is taken for a neighbour
	}
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(ipnet.IP)
		ones, bits := ipnet.Mask.Size()
		if ip = ip.Unmap(); !ok || ip.IsLoopback() || bits != ip.BitLen() {
			continue
		}
		out = append(out, netip.PrefixFrom(ip, ones).Masked())
	}
	return out
}
