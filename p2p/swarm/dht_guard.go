package swarm

import (
	"net"
	"sync"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// A cautious reads the packets of mainline DHT and passes on those that the
// library can digest: it dereferences the arguments of a query whether there are
// any or not, and allocates addresses of negative length.
type cautious struct{ net.PacketConn }

func (c cautious) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || digestible(b[:n]) {
			return n, from, err
		}
	}
}

// digestible parses a packet as the library will. Items (BEP 44) are not stored
// here, and so not looked at.
func digestible(b []byte) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	var m krpc.Msg
	if err := bencode.Unmarshal(b, &m); err != nil {
		return false
	}
	switch m.Y {
	case "q":
		return m.A != nil && m.Q != "put"
	case "r":
		return m.R != nil
	case "e":
		return m.E != nil
	}
	return false
}

// Bounds of what this node remembers for mainline DHT.
const (
	maxAnnounced        = 2000 // torrents
	maxAnnouncedPeers   = 50   // of each
	announcementsExpire = 30 * time.Minute
)

// An announcements is who told this node to have which torrent, as its part of
// the DHT. The library's own store has no bounds.
type announcements struct {
	mu   sync.Mutex
	by   map[metainfo.Hash]map[string]announcement
	tidy time.Time // when expired ones were last thrown out
}

type announcement struct {
	addr krpc.NodeAddr
	at   time.Time
}

// AddPeer implements peer_store.Interface.
func (a *announcements) AddPeer(ih metainfo.Hash, addr krpc.NodeAddr) {
	if addr.Port <= 0 || addr.Port > 65535 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.by == nil {
		a.by = map[metainfo.Hash]map[string]announcement{}
	}
	if now.Sub(a.tidy) > time.Minute {
		a.expire(now)
	}
	peers := a.by[ih]
	if peers == nil {
		if len(a.by) >= maxAnnounced {
			return
		}
		peers = map[string]announcement{}
		a.by[ih] = peers
	}
	key := addr.String()
	if _, known := peers[key]; known || len(peers) < maxAnnouncedPeers {
		peers[key] = announcement{addr, now}
	}
}

// expire throws out what is too old. The caller holds mu.
func (a *announcements) expire(now time.Time) {
	a.tidy = now
	for ih, peers := range a.by {
		for key, p := range peers {
			if now.Sub(p.at) > announcementsExpire {
				delete(peers, key)
			}
		}
		if len(peers) == 0 {
			delete(a.by, ih)
		}
	}
}

// GetPeers implements peer_store.Interface.
func (a *announcements) GetPeers(ih metainfo.Hash) []krpc.NodeAddr {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []krpc.NodeAddr
	for _, p := range a.by[ih] {
		if time.Since(p.at) <= announcementsExpire {
			out = append(out, p.addr)
		}
	}
	return out
}
