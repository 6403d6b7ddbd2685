package p2p

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// maxBans bounds the list; the ban that would end first makes room.
const maxBans = 4096

// bans is the connection gater: peers on it can neither dial nor be dialled.
type bans struct {
	mu    sync.Mutex
	until map[peer.ID]time.Time
}

func newBans() *bans { return &bans{until: map[peer.ID]time.Time{}} }

func (b *bans) set(id peer.ID, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.until, id)
	if d <= 0 {
		return
	}
	if len(b.until) >= maxBans {
		b.makeRoom()
	}
	b.until[id] = time.Now().Add(d)
}

// makeRoom drops the bans that are over, else the one that ends first.
func (b *bans) makeRoom() {
	now := time.Now()
	var first peer.ID
	for id, t := range b.until {
		if t.Before(now) {
			delete(b.until, id)
		} else if first == "" || t.Before(b.until[first]) {
			first = id
		}
	}
	if len(b.until) >= maxBans {
		delete(b.until, first)
	}
}

func (b *bans) has(id peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.until[id]
	if ok && !time.Now().Before(t) {
		delete(b.until, id)
		return false
	}
	return ok
}

func (b *bans) InterceptPeerDial(id peer.ID) bool { return !b.has(id) }

func (b *bans) InterceptAddrDial(peer.ID, ma.Multiaddr) bool { return true }

func (b *bans) InterceptAccept(network.ConnMultiaddrs) bool { return true }

func (b *bans) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return !b.has(id)
}

func (b *bans) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
