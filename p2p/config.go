package p2p

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Mode says whether a node stores DHT records for others.
type Mode string

const (
	// ModeAuto serves unless other nodes find that this one cannot be reached.
	ModeAuto Mode = ""
	// ModeServer serves always; right for servers and networks without NAT.
	ModeServer Mode = "server"
	// ModeClient never serves.
	ModeClient Mode = "client"
)

// Reach says whether others can dial a node.
type Reach string

const (
	// ReachAuto finds out by asking peers to dial back (AutoNAT).
	ReachAuto Reach = ""
	// ReachPublic is for nodes that everybody can dial.
	ReachPublic Reach = "public"
	// ReachPrivate is for nodes behind NAT: they ask for a place at relays at once.
	ReachPrivate Reach = "private"
)

// Validator judges DHT records. It is called from many goroutines, on bytes
// from anybody, and before anything is stored or returned.
type Validator interface {
	// Validate returns nil if the value may be kept under the key.
	Validate(key string, value []byte) error
	// Select returns the index of the best of several valid values.
	Select(key string, values [][]byte) (int, error)
}

// Config says how a node meets its peers.
type Config struct {
	// Network names the network, 1-48 bytes of [a-z0-9._-]. Default "public".
	Network string
	// Version is told to peers as "dockchain/<version>". Default "dev".
	Version string
	// Key is the node's identity. Required; see LoadOrCreateKey.
	Key crypto.PrivKey
	// Listen holds multiaddrs; port 0 picks a free one. Default: TCP and QUIC
	// on port 4747 of all IPv4 interfaces. A node with an empty, non-nil list
	// only dials.
	Listen []string
	// Announce holds the multiaddrs told to peers, when the node cannot see
	// them itself (port forwarding). Default: what libp2p finds out.
	Announce []string
	// AllowPrivate makes a node with public addresses also announce its
	// private ones (10/8, 192.168/16, ...) and accept those of others. A node
	// without public addresses always does.
	AllowPrivate bool
	// Bootstrap holds multiaddrs ending in /p2p/ID of nodes to join by.
	Bootstrap []string
	// Known returns multiaddrs ending in /p2p/ID of peers met before, best
	// first; asked when the node has too few peers. May be nil.
	Known func() []string
	// Seen is told the addresses (multiaddrs ending in /p2p/ID) of each peer
	// this node dialled successfully. May be nil.
	Seen func(id peer.ID, addrs []string)
	// MDNS looks for peers on the local network.
	MDNS bool
	// DHT is the part this node plays in the DHT. A node that listens only on
	// loopback serves unless it is a client.
	DHT Mode
	// Validator judges DHT records. With nil all value records are refused.
	Validator Validator
	// LowWater and HighWater bound the connections: above HighWater the least
	// useful are closed until LowWater are left. Default 64 and 192.
	LowWater, HighWater int
	// Streams bounds the raw streams, all together. Default 768.
	Streams int
	// RequestTimeout bounds each half of a direct request: the reading of the
	// request, its handling and the writing of the answer. Default 30 s.
	RequestTimeout time.Duration
	// RequestsPerPeer and Requests bound the direct requests answered at once,
	// for one peer and for all. Default 16 and 256.
	RequestsPerPeer, Requests int
	// Reannounce is the time after which provider and value records are put
	// into the DHT again. Default 12 h; the DHT forgets them after 48 h.
	Reannounce time.Duration
	// JoinWait is how long lookups wait for the first peer of the routing
	// table. Default 5 s.
	JoinWait time.Duration

	// Reach says whether others can dial this node. Default: found out.
	Reach Reach
	// NoRelaying keeps a node that others can dial from relaying for those that
	// nobody can.
	NoRelaying bool
	// PortMapping asks the router (UPnP, NAT-PMP) to forward the listening ports.
	PortMapping bool
	// RelayBytes is the most that raw streams move through relays in an hour,
	// in and out. Default 64 MiB; less than 0 for none.
	RelayBytes int64
	// DirectPatience is how long a raw stream waits for a direct connection to a
	// peer that a relay leads to already. Default 4 s.
	DirectPatience time.Duration

	headStart time.Duration // of TCP over QUIC, see cheapestFirst
}

var networkName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,47}$`)

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	orInt := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	if c.Network == "" {
		c.Network = "public"
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Listen == nil {
		c.Listen = []string{"/ip4/0.0.0.0/tcp/4747", "/ip4/0.0.0.0/udp/4747/quic-v1"}
	}
	orInt(&c.LowWater, 64)
	orInt(&c.HighWater, max(192, c.LowWater))
	orInt(&c.Streams, 768)
	orInt(&c.RequestsPerPeer, 16)
	orInt(&c.Requests, 256)
	or(&c.RequestTimeout, 30*time.Second)
	or(&c.Reannounce, 12*time.Hour)
	or(&c.JoinWait, 5*time.Second)
	or(&c.headStart, tcpHeadStart)
	or(&c.DirectPatience, 4*time.Second)
	if c.RelayBytes == 0 {
		c.RelayBytes = 64 << 20
	}
	return c
}

// Validate returns everything that is wrong with the configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !networkName.MatchString(c.Network) {
		bad("network %q: want 1-48 characters of a-z 0-9 . _ -", c.Network)
	}
	if c.Key == nil {
		bad("key: missing")
	}
	for _, a := range c.Listen {
		if _, err := ma.NewMultiaddr(a); err != nil {
			bad("listen address %q: %w", a, err)
		}
	}
	for _, a := range c.Announce {
		if _, err := ma.NewMultiaddr(a); err != nil {
			bad("announced address %q: %w", a, err)
		}
	}
	for _, a := range c.Bootstrap {
		if _, err := ParseAddr(a); err != nil {
			bad("bootstrap: %w", err)
		}
	}
	switch c.DHT {
	case ModeAuto, ModeServer, ModeClient:
	default:
		bad("dht mode %q: want server or client, or nothing for auto", c.DHT)
	}
	switch c.Reach {
	case ReachAuto, ReachPublic, ReachPrivate:
	default:
		bad("reach %q: want public or private, or nothing for auto", c.Reach)
	}
	if c.LowWater < 1 || c.HighWater < c.LowWater {
		bad("connection limits %d and %d: want 0 < low <= high", c.LowWater, c.HighWater)
	}
	if c.Streams < 1 {
		bad("limit of %d raw streams: want a positive number", c.Streams)
	}
	if c.RequestsPerPeer < 1 || c.Requests < 1 {
		bad("request limits %d and %d: want positive numbers", c.RequestsPerPeer, c.Requests)
	}
	for _, d := range []time.Duration{c.RequestTimeout, c.Reannounce, c.JoinWait, c.DirectPatience} {
		if d < 0 {
			bad("duration %s: want a positive one", d)
		}
	}
	return errors.Join(errs...)
}

// ParseAddr parses a multiaddr that ends in /p2p/ID, such as
// "/ip4/192.0.2.7/tcp/4747/p2p/12D3KooW...".
func ParseAddr(s string) (peer.AddrInfo, error) {
	info, err := peer.AddrInfoFromString(s)
	if err != nil {
		return peer.AddrInfo{}, fmt.Errorf("%w %q: %w", ErrBadAddress, s, err)
	}
	return *info, nil
}
