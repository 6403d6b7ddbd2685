package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/torrent"
)

const (
	// announceEvery is well inside the half hour after which mainline DHT nodes
	// forget (BEP 5).
	announceEvery = 15 * time.Minute
	// announceFor bounds one announcement, lookup included.
	announceFor = time.Minute
	// dhtRetry is when the DHT is asked again the first time; twice as long each
	// time after.
	dhtRetry = time.Second
)

// A mainline is this node's end of BitTorrent's mainline DHT, on a UDP socket of
// its own: the client's would be shared with uTP, which is not built in.
type mainline struct {
	s      *Swarm
	server *dht.Server
	soon   chan struct{}
}

func newMainline(s *Swarm) (*mainline, error) {
	pc, err := net.ListenPacket("udp", s.cfg.DHTListen)
	if err != nil {
		return nil, err
	}
	cfg := dht.NewDefaultServerConfig()
	cfg.Conn = cautious{pc}
	cfg.PeerStore = &announcements{}
	cfg.Logger = libraryLog(s.log)
	if len(s.cfg.DHTBootstrap) > 0 {
		cfg.StartingNodes = func() ([]dht.Addr, error) { return dht.ResolveHostPorts(s.cfg.DHTBootstrap) }
	}
	server, err := dht.NewServer(cfg)
	if err != nil {
		return nil, errors.Join(err, pc.Close())
	}
	s.cl.AddDhtServer(torrent.AnacrolixDhtServerWrapper{Server: server})
	return &mainline{s: s, server: server, soon: make(chan struct{}, 1)}, nil
}

func (m *mainline) close() error {
	m.server.Close()
	return nil
}

// announceSoon makes the next round of announcements come now.
func (m *mainline) announceSoon() {
	select {
	case m.soon <- struct{}{}:
	default:
	}
}

// run keeps the routing table and tells the DHT, again and again, of everything
// Seed was told, loaded or not.
func (m *mainline) run(ctx context.Context) error {
	go m.server.TableMaintainer() // ends when the server is closed
	announced := map[Infohash]time.Time{}
	retry := dhtRetry
	for {
		failed := false
		for _, ih := range m.s.seeded() {
			if time.Since(announced[ih]) < announceEvery {
				continue
			}
			if err := m.announce(ctx, ih); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				m.s.log.Debug("announcing to mainline DHT", "infohash", ih, "err", err)
				failed = true
				continue
			}
			announced[ih] = time.Now()
		}
		wait := time.Minute
		if failed { // nobody answers at first, on a node just started
			wait, retry = retry, min(2*retry, wait)
		} else {
			retry = dhtRetry
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		case <-m.soon:
		}
	}
}

func (m *mainline) announce(ctx context.Context, ih Infohash) error {
	if m.port() == 0 {
		return nil // nobody could come
	}
	return m.lookup(ctx, ih, func(netip.AddrPort) {})
}

// port is where ordinary clients reach this node, 0 when they cannot.
func (m *mainline) port() int {
	if tcp, ok := m.s.inbox.addr.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// lookup asks the DHT who has a torrent, and tells it that this node does where
// it can be reached.
func (m *mainline) lookup(ctx context.Context, ih Infohash, heard func(netip.AddrPort)) error {
	ctx, cancel := context.WithTimeout(ctx, announceFor)
	defer cancel()
	var opts []dht.AnnounceOpt
	if port := m.port(); port != 0 {
		opts = append(opts, dht.AnnouncePeer(dht.AnnouncePeerOpts{Port: port}))
	}
	a, err := m.server.AnnounceTraversal([20]byte(ih), opts...)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	defer a.Close()
	for {
		select {
		case found, ok := <-a.Peers:
			if !ok {
				if a.TraversalStats().NumResponses == 0 {
					return errors.New("no node answered")
				}
				return nil
			}
			for _, p := range found.Peers {
				if ip, ok := netip.AddrFromSlice(p.IP); ok && p.Port > 0 && p.Port < 1<<16 {
					heard(netip.AddrPortFrom(ip.Unmap(), uint16(p.Port)))
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// search makes the peers known to a fetch that the DHT knows of its torrent, and
// this node to the DHT, until the context ends.
func (m *mainline) search(ctx context.Context, f *fetch) {
	again := dhtRetry // nobody answers at first, on a node just started
	for ctx.Err() == nil {
		if err := m.lookup(ctx, f.job.Infohash, f.crowd.heardOf); err != nil {
			m.s.log.Debug("asking mainline DHT", "err", err)
		}
		f.poke()
		select {
		case <-time.After(again):
			again = min(2*again, announceFor)
		case <-ctx.Done():
		}
	}
}

// seeded are the torrents Seed was told.
func (s *Swarm) seeded() []Infohash {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Infohash, 0, len(s.seeds))
	for ih := range s.seeds {
		out = append(out, ih)
	}
	return out
}

func (s *Swarm) isSeeded(ih Infohash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.seeds[ih]
	return ok
}
