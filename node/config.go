package node

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
)

// Config is everything a node can be told. The zero value of a listener turns
// it off.
type Config struct {
	// Home is the data directory; it is made if it does not exist. Required.
	Home string
	// Network names the network that the node joins. Default: the one that the
	// data directory belongs to, else "public".
	Network string
	// Version is told to peers and by the API. Default "dev".
	Version string

	// Registry is the host:port of the OCI registry. Default 127.0.0.1:5000.
	Registry string
	// API is the host:port of the JSON API and the metrics. Default
	// 127.0.0.1:4780. The unix socket <home>/api.sock is always there.
	API string
	// Peer holds the multiaddrs that libp2p listens on. Default: port 4747, TCP
	// and QUIC, on all interfaces.
	Peer []string
	// Announce holds the multiaddrs told to peers, where the node cannot see them
	// itself, as behind a forwarded port. Default: those that it finds out.
	Announce []string
	// BitTorrent is the host:port for ordinary BitTorrent clients. Default
	// 0.0.0.0:4748.
	BitTorrent string

	// Bootstrap holds multiaddrs ending in /p2p/ID of nodes to join by.
	Bootstrap []string
	// MDNS looks for nodes on the local network. Default true.
	MDNS bool
	// MainlineDHT announces image torrents to BitTorrent's own DHT, for ordinary
	// clients. Default false.
	MainlineDHT bool
	// Trackers are announce URLs for image torrents. Default none.
	Trackers []string
	// PEX tells ordinary clients of one another. Default true.
	PEX bool
	// UploadLimit is the most bytes a second given to peers. Default 0: no limit.
	UploadLimit int64

	// WorkBits is the proof of work that this node's author does before its log
	// begins, once: 2^WorkBits hashes. Each bit more is twice the room at other
	// nodes, and less than their Quota.WorkBits (16) is none. Default 18, some
	// tenths of a second; -1 for none; at most 40.
	WorkBits int
	// Quota limits what peers and other authors may bring here. Its fields say
	// their defaults.
	Quota quota.Config

	// Policy is the file of a C2SP tlog-policy (package policy): the witnesses
	// that this node's author asks to cosign, under URLs as "https://w.example/"
	// or "libp2p:<peer id>", and whose cosignatures are kept and counted. Default:
	// none.
	Policy string
	// RequireWitnesses refuses content whose author's log the quorum of Policy has
	// not cosigned. Default false: how many have is told, and that is all.
	RequireWitnesses bool
	// WitnessMaxAge is how long ago the quorum may have cosigned the log, by the
	// median of its clocks, with RequireWitnesses: an author, or whoever stands
	// between, who withholds the newer log, is refused after that. Default 0:
	// however long. Authors have their logs cosigned again every six hours.
	WitnessMaxAge time.Duration

	// Now is the clock that cosignatures, quotas, reputation and what this node's
	// author says are timed by. Default time.Now. Its being wrong costs what is
	// fresh or what is let in, and never lets an older log replace a newer one.
	Now func() time.Time
}

// defaultWorkBits is four times the work that other nodes want at least.
const defaultWorkBits = quota.DefaultWorkBits + 2

func (c Config) workBits() int {
	if c.WorkBits == 0 {
		return defaultWorkBits
	}
	return max(c.WorkBits, 0)
}

// DefaultConfig is what run uses where it is told nothing else; Home is the
// caller's to set.
func DefaultConfig() Config {
	return Config{
		Version:    "dev",
		Registry:   "127.0.0.1:5000",
		API:        "127.0.0.1:4780",
		Peer:       []string{"/ip4/0.0.0.0/tcp/4747", "/ip4/0.0.0.0/udp/4747/quic-v1"},
		BitTorrent: "0.0.0.0:4748",
		MDNS:       true,
		PEX:        true,
	}
}

// Loopback is a configuration for a node that talks to this machine alone, on
// whatever ports are free: for tests, quickstart and playgrounds.
func Loopback(home string) Config {
	return Config{
		Home:       home,
		Version:    "dev",
		Registry:   "127.0.0.1:0",
		API:        "127.0.0.1:0",
		Peer:       []string{"/ip4/127.0.0.1/tcp/0"},
		BitTorrent: "127.0.0.1:0",
		PEX:        true,
	}
}

// Validate tells everything that is wrong at once, but for what the packages
// below validate themselves.
func (c Config) Validate() error {
	var errs []error
	if c.Home == "" {
		errs = append(errs, errors.New("home: no data directory given"))
	}
	if c.Network != "" {
		if err := ledger.CheckNetwork(c.Network); err != nil {
			errs = append(errs, fmt.Errorf("network: %w", err))
		}
	}
	for name, addr := range map[string]string{"registry": c.Registry, "api": c.API, "bittorrent": c.BitTorrent} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	for name, addr := range map[string]string{"registry": c.Registry, "api": c.API} {
		if addr != "" && !isLoopback(addr) {
			errs = append(errs, fmt.Errorf("%s: %s is reachable from outside: only loopback addresses are served", name, addr))
		}
	}
	if c.WorkBits < -1 || c.WorkBits > quota.MaxWorkBits {
		errs = append(errs, fmt.Errorf("work: %d bits: want -1 to %d", c.WorkBits, quota.MaxWorkBits))
	}
	if c.RequireWitnesses && c.Policy == "" {
		errs = append(errs, errors.New("require-witnesses: no witness-policy says which"))
	}
	if c.WitnessMaxAge < 0 || c.WitnessMaxAge > 0 && !c.RequireWitnesses {
		errs = append(errs, fmt.Errorf("witness-max-age: %v: want a time from 0, and require-witnesses", c.WitnessMaxAge))
	}
	if err := c.Quota.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("quota: %w", err))
	}
	return errors.Join(errs...)
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// The files of a data directory, besides blobs/ and staging/ of package blobs.
func (c Config) dbDir() string      { return filepath.Join(c.Home, "db") }
func (c Config) indexDir() string   { return filepath.Join(c.Home, "index") }
func (c Config) authorDir() string  { return filepath.Join(c.Home, "author") }
func (c Config) witnessKey() string { return filepath.Join(c.Home, "witness.key") }
func (c Config) peerKey() string    { return filepath.Join(c.Home, "peer.key") }
func (c Config) tokenPath() string  { return filepath.Join(c.Home, "api.token") }
func (c Config) socketPath() string { return SocketPath(c.Home) }

// SocketPath is where the node with this data directory answers its commands.
func SocketPath(home string) string { return filepath.Join(home, "api.sock") }
