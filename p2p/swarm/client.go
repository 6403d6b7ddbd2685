package swarm

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/time/rate"
)

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
	cfg.StealRequestGrace = 300 * time.Millisecond
	cfg.MaxAllocPeerRequestDataPerConn = 4 * nodeChunk
	cfg.EstablishedConnsPerTorrent = maxConns
	if n := s.cfg.UploadLimit; n > 0 {
		cfg.UploadRateLimiter = rate.NewLimiter(rate.Limit(n), max(minUploadBurst, int(min(n/4, 64<<20))))
	}
	cfg.DefaultStorage = noStorage{} // or it would open a database in the working directory
	cfg.Callbacks = s.callbacks()

	cl, err := torrent.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	cl.AddDialer(streamDialer{s})
	cl.AddDialer(&tcpDialer{net.Dialer{}})
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
			if _, ours := parsePeerAddr(pc.RemoteAddr.String()); ours {
				pc.LocalLtepProtocolMap = nodeExtensions()
			}
			if f := find(pc); f != nil {
				f.connected(pc)
			}
		}},
		PeerConnClosed: func(pc *torrent.PeerConn) {
			if f := find(pc); f != nil {
				f.disconnected(pc)
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

// nodeExtensions is what nodes speak among themselves beyond BEP 3 and 6:
// metadata only.
func nodeExtensions() *torrent.LocalLtepProtocolMap {
	return &torrent.LocalLtepProtocolMap{Index: []pp.ExtensionName{pp.ExtensionNameMetadata}, NumBuiltin: 1}
}
