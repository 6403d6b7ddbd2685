package node

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/registry"
	"github.com/dockchains/dockchain/node/upstream"
	"github.com/dockchains/dockchain/p2p/swarm"
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
	// Mirror is the host:port of a registry whose names are all docker.io's, for
	// Docker's registry-mirrors. Default none.
	Mirror string
	// RegistryCert and RegistryKey are PEM files: the registry and the mirror speak
	// TLS with them. RegistryHtpasswd is a file of the users they serve, NAME:HASH
	// by line, with bcrypt. All are read again when they change. Off loopback all
	// three are needed. Default none.
	RegistryCert, RegistryKey, RegistryHtpasswd string
	// RegistryHosts are names under which clients know the registry, beside those
	// of this machine and of RegistryCert. Default none.
	RegistryHosts []string
	// API is the host:port of the JSON API and the metrics. Default
	// 127.0.0.1:4780. The unix socket <home>/api.sock is always there.
	API string
	// APICert and APIKey are PEM files, which the API needs off loopback, beside
	// the token that it always wants. Default none.
	APICert, APIKey string
	// Peer holds the multiaddrs that libp2p listens on. Default: port 4747, TCP
	// and QUIC, on all interfaces.
	Peer []string
	// Announce holds the multiaddrs told to peers, where the node cannot see them
	// itself, as behind a forwarded port. Default: those that it finds out.
	Announce []string
	// Reach says whether others can dial this node: auto finds out, public and
	// private know. Default auto.
	Reach string
	// NoRelaying keeps a node that others can dial from relaying, within bounds,
	// for those that nobody can.
	NoRelaying bool
	// PortMapping asks the router (UPnP, NAT-PMP) to forward the ports that libp2p
	// listens on, unless they are of loopback. Default true.
	PortMapping bool
	// BitTorrent is the host:port for ordinary BitTorrent clients. Default
	// 0.0.0.0:4748.
	BitTorrent string

	// Door is what clients of the registry may take. Of its fields those that bound
	// something count; they say their defaults.
	Door registry.Config
	// Pull is how images are pulled through the registry. Its fields say their
	// defaults.
	Pull exchange.PullConfig
	// Upstream is how third-party registries are asked, for names as
	// quay.io/org/app. Its fields say their defaults. Credentials are those that
	// docker login left, where UpstreamLogin has it.
	Upstream upstream.Config
	// UpstreamLogin reads from registries as docker login does. Default true.
	UpstreamLogin bool

	// Events is the host:port where registries post their notifications to
	// /events, besides the API's listener. EventsCert and EventsKey are files in
	// PEM of its certificate, EventsTokenFile holds the bearer token that they
	// show; default: that of the API. Off loopback both are required. Default:
	// none.
	Events, EventsCert, EventsKey, EventsTokenFile string
	// Notify says what of notifications is kept, and who is told what our own
	// registry does. Its fields say their defaults.
	Notify NotifyConfig

	// Bootstrap holds multiaddrs ending in /p2p/ID of nodes to join by.
	Bootstrap []string
	// MDNS looks for nodes on the local network. Default true.
	MDNS bool
	// MainlineDHT announces image torrents to BitTorrent's own DHT, for ordinary
	// clients. Default false.
	MainlineDHT bool
	// MainlineListen is the UDP host:port of that DHT. Default: any port.
	MainlineListen string
	// MainlineBootstrap are the host:port that it starts from. Default: the usual
	// routers of the internet.
	MainlineBootstrap []string
	// LocalDiscovery announces images to ordinary clients on the local network, by
	// multicast (BEP 14), and looks for them there. Default false.
	LocalDiscovery bool
	// Trackers are announce URLs for image torrents. They are put into magnet links
	// but for those whose URL may hold a passkey. Default none.
	Trackers []string
	// WebSeeds are http or https URLs below which the images of this node lie as
	// directories (BEP 19), as <URL of the API>/webseed/, for magnet links. Default
	// none.
	WebSeeds []string
	// LocalLinks lets trackers and web seeds that a magnet link names be on this
	// machine and in private networks. Default false.
	LocalLinks bool
	// PEX tells ordinary clients of one another. Default true.
	PEX bool
	// UploadLimit is Bandwidth.Limits.Upload in short. Default 0: no limit.
	UploadLimit int64
	// Bandwidth are the rates of traffic with peers, of all and by class, and when
	// others hold. Default: no limits.
	Bandwidth Bandwidth
	// LoopbackLAN takes peers on this machine for the LAN, which is free of the rates
	// of all. Default false.
	LoopbackLAN bool
	// Budget bounds what is open for peers. Its fields default to 768 connections,
	// 50 of a torrent, 192 peers, and 1 MiB of memory for each connection.
	Budget Budget

	// WorkBits is the proof of work that this node's author does before its log
	// begins, once: 2^WorkBits hashes. Each bit more is twice the room at other
	// nodes, and less than their Quota.WorkBits (16) is none. Default 18, some
	// tenths of a second; -1 for none; at most 40.
	WorkBits int
	// Quota limits what peers and other authors may bring here. Its fields say
	// their defaults.
	Quota quota.Config

	// Storage says what is kept on the disk. Its fields say their defaults.
	Storage Storage

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

		PortMapping: true,

		UpstreamLogin: true,
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
		LocalLinks: true,

		MainlineListen: "127.0.0.1:0",
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
	for name, addr := range map[string]string{"registry": c.Registry, "mirror": c.Mirror, "api": c.API, "bittorrent": c.BitTorrent, "events": c.Events, "mainline-listen": c.MainlineListen} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	for _, u := range c.WebSeeds {
		if err := swarm.CheckWebSeed(u); err != nil {
			errs = append(errs, fmt.Errorf("web-seed: %w", err))
		}
	}
	errs = append(errs, c.validateDoors()...)
	if !slices.Contains([]string{"", "auto", "public", "private"}, c.Reach) {
		errs = append(errs, fmt.Errorf("reach: %q: want auto, public or private", c.Reach))
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
	errs = append(errs, c.validateEvents(), c.validateBandwidth())
	if c.Storage.KeepSeeders < 0 || c.Storage.Quota < 0 || c.Storage.Lend < 0 {
		errs = append(errs, errors.New("storage: quota, lend and keep-seeders are numbers from 0"))
	}
	if err := c.Quota.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("quota: %w", err))
	}
	return errors.Join(errs...)
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
