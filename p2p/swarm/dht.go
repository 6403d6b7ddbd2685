package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
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
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	announced := map[Infohash]time.Time{}
	for {
		for _, ih := range m.s.seeded() {
			if time.Since(announced[ih]) < announceEvery {
				continue
			}
			if err := m.announce(ctx, ih); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil {
				m.s.log.Debug("announcing to mainline DHT", "infohash", ih, "err", err)
				continue
			}
			announced[ih] = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-m.soon:
		}
	}
}

func (m *mainline) announce(ctx context.Context, ih Infohash) error {
	tcp, ok := m.s.inbox.addr.(*net.TCPAddr)
	if !ok {
		return nil // nobody could come
	}
	ctx, cancel := context.WithTimeout(ctx, announceFor)
	defer cancel()
	a, err := m.server.AnnounceTraversal([20]byte(ih), dht.AnnouncePeer(dht.AnnouncePeerOpts{Port: tcp.Port}))
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	defer a.Close()
	for {
		select {
		case _, ok := <-a.Peers:
			if ok {
				continue
			}
			if m.server.NumNodes() == 0 {
				return errors.New("no node answered")
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// search adds the peers that the DHT knows of a torrent, and this node to them,
// until the context ends.
func (m *mainline) search(ctx context.Context, t *torrent.Torrent) {
	again := time.Second // nobody answers at first, on a node just started
	for ctx.Err() == nil {
		done, stop, err := t.AnnounceToDht(torrent.AnacrolixDhtServerWrapper{Server: m.server})
		if err != nil {
			m.s.log.Debug("asking mainline DHT", "err", err)
		} else {
			select {
			case <-done:
			case <-ctx.Done():
			}
			stop()
		}
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
