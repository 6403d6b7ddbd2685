package swarm

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/time/rate"
)

// stealGrace is how long a request stays with one peer before another may be asked
// instead. With less, much is sent twice in a large herd; with a second still some of it
// over distance.
const stealGrace = 2 * time.Second

func chunkSize(n int) pp.Integer { return pp.Integer(n) }

// newClient is the one anacrolix client: it opens no socket of its own, listens
// to the inbox, and dials through this package.
func (s *Swarm) newClient() (*torrent.Client, error) {
	cfg := torrent.NewDefaultClientConfig()
	cfg.Slogger = librarySlog(s.log)

	cfg.NoDHT, cfg.PeriodicallyAnnounceTorrentsToDht = true, false // see mainline
	cfg.DisableTCP, cfg.DisableUTP = true, true                    // see inbox and dialers
	cfg.DisableTrackers = len(s.cfg.Trackers) == 0
	cfg.DisablePEX = !s.cfg.PEX
	cfg.DisableWebtorrent, cfg.DisableWebseeds = true, true
	cfg.NoDefaultPortForwarding = true
	cfg.DialForPeerConns = false
	cfg.HeaderObfuscationPolicy.Preferred = false

	cfg.Seed = true
	cfg.AlwaysWantConns = true
	cfg.HandshakesTimeout = greetTimeout
	cfg.NominalDialTimeout, cfg.MinDialTimeout = greetTimeout, greetTimeout/2
	cfg.DialRateLimiter = rate.NewLimiter(rate.Inf, 0)
	cfg.StealRequestGrace = stealGrace
	cfg.MaxUnverifiedBytes = 0 // or pieces that nobody is known to have use it up
	cfg.MaxAllocPeerRequestDataPerConn = s.cfg.requestMemoryPerConn()
	cfg.EstablishedConnsPerTorrent = s.cfg.ConnsPerTorrent
	// The library's own limiter stays off: it serves whoever asks when a timer
	// fires, knows no classes, and wants a burst of a whole request. See limiter.
	cfg.DefaultStorage = noStorage{} // or it would open a database in the working directory
	cfg.Callbacks = s.callbacks()

	cl, err := torrent.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	cl.AddDialer(streamDialer{s})
	cl.AddDialer(&tcpDialer{s: s})
	cl.AddListener(s.inbox)
	return cl, nil
}

// noStorage is for torrents that were given none, of which there are none.
type noStorage struct{}

var errNoStorage = errors.New("torrent was added without storage")

func (noStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{}, errNoStorage
}

// callbacks run under the client's lock: they look up, count and start
// goroutines, and never call into the client.
func (s *Swarm) callbacks() torrent.Callbacks {
	find := func(pc *torrent.PeerConn) *fetch {
		if t := pc.Torrent(); t != nil {
			return s.fetchOf(Infohash(t.InfoHash()))
		}
		return nil
	}
	return torrent.Callbacks{
		ReceiveEncryptedHandshakeSkeys: s.knock,
		PeerConnAdded: []func(*torrent.PeerConn){func(pc *torrent.PeerConn) {
			f := find(pc)
			pc.LocalLtepProtocolMap = s.extensions(pc, f != nil && f.shares())
			if f != nil {
				f.connected(pc)
			}
		}},
		PeerConnClosed: func(pc *torrent.PeerConn) {
			if f := find(pc); f != nil {
				f.disconnected(pc)
			}
		},
		ReadMessage: func(pc *torrent.PeerConn, m *pp.Message) {
			s.pace(pc)
			switch m.Type {
			case pp.Have, pp.Bitfield, pp.HaveAll:
				if f := find(pc); f != nil && !m.Keepalive {
					f.company.heard(pc, m, s.inlets.to(pc.RemoteAddr.String()))
				}
			}
		},
		ReadExtendedHandshake: func(pc *torrent.PeerConn, d *pp.ExtendedHandshakeMessage) {
			if _, ours := parsePeerAddr(pc.RemoteAddr.String()); ours {
				// Addresses heard from nodes of ours come by other ways.
				delete(d.M, pp.ExtensionNamePex)
				delete(d.M, "ut_holepunch")
			}
			if f := find(pc); f != nil {
				f.extendedHandshake(pc, d)
			}
			if d.M[introductions] != 0 {
				s.newcomer(pc)
			}
		},
		PeerConnReadExtensionMessage: []func(torrent.PeerConnReadExtensionMessageEvent){
			func(e torrent.PeerConnReadExtensionMessageEvent) {
				if f := find(e.PeerConn); f != nil {
					f.extensionMessage(e.PeerConn, e.ExtensionNumber, e.Payload)
				}
			},
		},
		ReceivedUsefulData: []func(torrent.ReceivedUsefulDataEvent){func(e torrent.ReceivedUsefulDataEvent) {
			if t := e.Peer.Torrent(); t != nil {
				if f := s.fetchOf(Infohash(t.InfoHash())); f != nil {
					f.received(e.Peer, e.Message)
				}
			}
		}},
	}
}

// knock finds the torrent an obfuscated handshake is for, and loads it. Unlike
// the other callbacks it runs without the client's lock.
func (s *Swarm) knock(matches func(skey []byte) (more bool)) {
	for _, ih := range s.known() {
		if !matches(ih[:]) {
			s.load(ih)
			return
		}
	}
}

// extensions is what is spoken with a peer beyond BEP 3 and 6.
func (s *Swarm) extensions(pc *torrent.PeerConn, share bool) *torrent.LocalLtepProtocolMap {
	m := *pc.LocalLtepProtocolMap
	m.Index = slices.Clone(m.Index)
	if _, ours := parsePeerAddr(pc.RemoteAddr.String()); ours {
		m = torrent.LocalLtepProtocolMap{Index: []pp.ExtensionName{pp.ExtensionNameMetadata, introductions}, NumBuiltin: 1}
	}
	if share {
		m.Index = append(m.Index, shares)
	}
	return &m
}
