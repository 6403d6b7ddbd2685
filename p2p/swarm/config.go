package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Config is how a swarm talks to others and whom it asks.
type Config struct {
	// Dial opens a stream to a peer of ours; the swarm writes the preamble.
	// Nil: this node fetches from ordinary clients only.
	Dial func(ctx context.Context, peer string) (net.Conn, error)
	// Resolve is asked when somebody names a torrent that is not loaded: its info
	// dict and the files it is made of, all of them whole and verified. Nil:
	// only what Seed was told is served.
	Resolve func(ih Infohash) (info []byte, files []Source, ok bool)
	// Card is what others must know of a peer of ours to dial it, for nodes that share
	// a torrent introduce their visitors to one another; nil: no more than its id.
	Card func(peer string) []byte
	// Meet is told of a peer that another one introduced, before it is dialled; an
	// error refuses it. Default: its id is enough.
	Meet func(peer string, card []byte) error
	// Observe hears what peers did, named by peer id or host:port. It is called
	// from many goroutines and must not block. Nil: nobody listens.
	Observe func(peer string, e Event)

	// Listen is the TCP address for ordinary BitTorrent clients, ":0" for any
	// port. Default "": no listener.
	Listen string
	// DHT joins BitTorrent's mainline DHT and announces what Seed was told.
	DHT bool
	// DHTListen is its UDP address. Default: ":0".
	DHTListen string
	// DHTBootstrap are the host:port it starts from. Default: the usual routers.
	DHTBootstrap []string
	// Trackers are announce URLs, http, https or udp, for what Seed was told and
	// for public fetches. Default: none.
	Trackers []string
	// LSD finds ordinary clients on the local network, and is found by them
	// (BEP 14, multicast).
	LSD bool
	// LocalLinks lets trackers and web seeds of a Job be on this machine and in
	// private networks. Those of Trackers may be anywhere.
	LocalLinks bool
	// PEX exchanges addresses of ordinary clients with ordinary clients.
	PEX bool

	// Limits are the rates that hold until SetLimits. Default: none.
	Limits Limits
	// UploadLimit is Limits.Upload in short. Default 0: no limit.
	UploadLimit int64
	// LoopbackIsLAN takes peers on this machine for the LAN; else they are limited
	// as those far away.
	LoopbackIsLAN bool
	// Conns is the most connections, all together; those that come in may have two
	// thirds of them. Default: 768.
	Conns int
	// ConnsPerTorrent is the most of one torrent. Default: 50.
	ConnsPerTorrent int
	// RequestMemory bounds the bytes of blocks that are read and not yet sent, over
	// all connections: each has an equal part, between 256 KiB and 1 MiB. Default:
	// 1 MiB for each of Conns.
	RequestMemory int64
	// Idle is how long a torrent that somebody asked for stays loaded after the
	// last one left. Default: 2 minutes.
	Idle time.Duration
	// MaxOpen is the most torrents loaded on demand at one time. Default: 512.
	MaxOpen int
	// Stall is how long a peer of ours may leave requests unanswered before it is
	// cut off and counted as a timeout. Default: 20 seconds.
	Stall time.Duration
}

const (
	defaultIdle    = 2 * time.Minute
	defaultMaxOpen = 512
	defaultStall   = 20 * time.Second

	defaultConns           = 768
	defaultConnsPerTorrent = 50

	// A connection's part of RequestMemory must not be below the longest request of
	// our own nodes.
	minRequestMemory = maxChunk
	maxRequestMemory = 4 * maxChunk
)

// Validate reports every problem of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	c = c.withDefaults()
	if err := c.Limits.Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.Conns < 3 || c.ConnsPerTorrent < 1 || c.ConnsPerTorrent > c.Conns {
		errs = append(errs, fmt.Errorf("%d connections, %d for a torrent: want at least 3 and 1, and no more for a torrent than in all", c.Conns, c.ConnsPerTorrent))
	} else if c.RequestMemory < int64(c.Conns)*minRequestMemory {
		errs = append(errs, fmt.Errorf("request memory of %d bytes: want at least %d for each of %d connections", c.RequestMemory, minRequestMemory, c.Conns))
	}
	if c.Idle < 0 || c.Stall < 0 || c.MaxOpen < 0 {
		errs = append(errs, errors.New("idle, stall and max open must not be negative"))
	}
	if c.Listen != "" {
		if _, err := net.ResolveTCPAddr("tcp", c.Listen); err != nil {
			errs = append(errs, fmt.Errorf("listen address: %w", err))
		}
	}
	for _, addr := range c.DHTBootstrap {
		if !validHostPort(addr) {
			errs = append(errs, fmt.Errorf("DHT bootstrap address %q is not host:port", addr))
		}
	}
	for _, u := range c.Trackers {
		if err := checkTracker(u); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Idle == 0 {
		c.Idle = defaultIdle
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = defaultMaxOpen
	}
	if c.Stall == 0 {
		c.Stall = defaultStall
	}
	if c.Limits.Upload == 0 {
		c.Limits.Upload = c.UploadLimit
	}
	if c.Conns == 0 {
		c.Conns = defaultConns
	}
	if c.ConnsPerTorrent == 0 {
		c.ConnsPerTorrent = min(defaultConnsPerTorrent, c.Conns)
	}
	if c.RequestMemory == 0 {
		c.RequestMemory = int64(c.Conns) * maxRequestMemory
	}
	if c.DHTListen == "" {
		c.DHTListen = ":0"
	}
	if c.Card == nil {
		c.Card = func(string) []byte { return nil }
	}
	if c.Meet == nil {
		c.Meet = func(string, []byte) error { return nil }
	}
	if c.Observe == nil {
		c.Observe = func(string, Event) {}
	}
	return c
}

// requestMemoryPerConn is a connection's part of RequestMemory.
func (c Config) requestMemoryPerConn() int {
	return int(min(c.RequestMemory/int64(c.Conns), maxRequestMemory))
}

// Budget is what the configuration allows, defaults filled in.
func (c Config) Budget() (conns, perTorrent int, requestMemory int64) {
	c = c.withDefaults()
	return c.Conns, c.ConnsPerTorrent, int64(c.Conns) * int64(c.requestMemoryPerConn())
}

// A Source is one file of a torrent.
type Source struct {
	// Path is where an ordinary client puts the file inside the torrent's
	// directory. Empty for the one file of a layer torrent.
	Path []string
	// Size in bytes; zero is allowed in image torrents.
	Size int64
	// Data holds the bytes of a small file, len(Data) == Size.
	Data []byte
	// Open gives the bytes where Data is nil. It is called when somebody first
	// asks for them, and the closer when the torrent is dropped.
	Open func() (io.ReaderAt, io.Closer, error)
}

// Kind is what a peer did.
type Kind int

// The kinds of events.
const (
	// Verified: bytes it sent passed their piece hash.
	Verified Kind = iota + 1
	// BadPiece: it sent bytes that are not what the info dict commits to. It is
	// not asked again for this torrent while the fetch lasts.
	BadPiece
	// BadInfo: it served an info dict that does not hash to the infohash, or
	// claimed one of the wrong length.
	BadInfo
	// Timeout: it left requests unanswered, or never spoke.
	Timeout
	// Unreachable: no stream could be opened to it.
	Unreachable
	// Garbage: it broke the wire protocol.
	Garbage
)

// String names the kind as logs and metrics show it.
func (k Kind) String() string {
	switch k {
	case Verified:
		return "verified"
	case BadPiece:
		return "bad-piece"
	case BadInfo:
		return "bad-info"
	case Timeout:
		return "timeout"
	case Unreachable:
		return "unreachable"
	case Garbage:
		return "garbage"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// An Event is one thing that a peer did.
type Event struct {
	Kind     Kind
	Infohash Infohash
	Bytes    int64 // with Verified: how many
}
