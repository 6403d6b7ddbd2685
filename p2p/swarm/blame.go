package swarm

import (
	"crypto/sha256"
	"net"
	"sync"
)

// A blame finds out who sent wrong bytes, and credits who sent right ones.
//
// It is told of each chunk as it arrives. When a piece turns out wrong and one
// peer sent all of it, that peer is guilty. When several did, what each of them
// sent is remembered by hash and the piece is fetched again, then from one peer
// alone (see examine); once it is right, whoever had sent something else for
// any part of it is guilty, with certainty.
type blame struct {
	verified func(peer string, n int64) // right bytes
	guilty   func(peer string)          // wrong bytes; once a peer
	examine  func(on bool)              // one peer at a time, until further notice

	mu        sync.Mutex
	shares    map[int][]share   // by piece: chunks of the attempt under way
	evidence  map[int][]exhibit // by piece: chunks of failed attempts
	banned    map[string]bool   // by banKey
	credit    map[string]int64
	pieceLen  int64
	suspicion bool // evidence is not empty
}

type share struct {
	peer   string
	off, n int64 // in the piece
}

type exhibit struct {
	share
	sum [sha256.Size]byte
}

// maxExhibits bounds what is remembered of one piece.
const maxExhibits = 4096

func newBlame() *blame {
	return &blame{
		shares:   map[int][]share{},
		evidence: map[int][]exhibit{},
		banned:   map[string]bool{},
		credit:   map[string]int64{},
	}
}

// received notes who sent a chunk that was accepted.
func (b *blame) received(peer string, piece int, off, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shares[piece] = append(b.shares[piece], share{peer, off, n})
}

// readAt reads from the flat bytes of the torrent.
type readAt func(off int64, b []byte) error

// good closes the case of a piece that is right now. It reports whether any of
// it came from peers.
func (b *blame) good(piece int, read readAt) bool {
	b.mu.Lock()
	shares, evidence := b.shares[piece], b.evidence[piece]
	delete(b.shares, piece)
	delete(b.evidence, piece)
	sent := map[string]int64{}
	for _, s := range shares {
		sent[s.peer] += s.n
		b.credit[s.peer] += s.n
	}
	cleared := b.suspicion && len(b.evidence) == 0
	if cleared {
		b.suspicion = false
	}
	b.mu.Unlock()

	for peer, n := range sent {
		b.verified(peer, n)
	}
	for _, e := range evidence {
		if sum, err := b.sum(piece, e.share, read); err == nil && sum != e.sum {
			b.ban(e.peer)
		}
	}
	if cleared {
		b.examine(false)
	}
	return len(shares) > 0
}

// forget drops what was noted of a piece that must be fetched again.
func (b *blame) forget(piece int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shares, piece)
}

// bad opens the case of a piece that is wrong. The bytes are still on disk: no
// chunk of it is asked for again before this returns.
func (b *blame) bad(piece int, read readAt) {
	b.mu.Lock()
	shares := b.shares[piece]
	delete(b.shares, piece)
	b.mu.Unlock()

	senders := map[string]bool{}
	for _, s := range shares {
		senders[banKey(s.peer)] = true
	}
	switch len(senders) {
	case 0: // found wrong on disk
		return
	case 1:
		b.ban(shares[0].peer)
		return
	}
	var exhibits []exhibit
	for _, s := range shares {
		if sum, err := b.sum(piece, s, read); err == nil {
			exhibits = append(exhibits, exhibit{s, sum})
		}
	}
	b.mu.Lock()
	all := append(b.evidence[piece], exhibits...)
	b.evidence[piece] = all[max(0, len(all)-maxExhibits):]
	b.suspicion = true
	b.mu.Unlock()
	b.examine(true)
}

func (b *blame) sum(piece int, s share, read readAt) ([sha256.Size]byte, error) {
	buf := make([]byte, s.n)
	if err := read(int64(piece)*b.pieceLen+s.off, buf); err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(buf), nil
}

func (b *blame) ban(peer string) {
	key := banKey(peer)
	b.mu.Lock()
	again := b.banned[key]
	b.banned[key] = true
	b.mu.Unlock()
	if !again {
		b.guilty(peer)
	}
}

// banQuietly bans a peer without telling anybody.
func (b *blame) banQuietly(peer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.banned[banKey(peer)] = true
}

func (b *blame) setPieceLength(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pieceLen = n
}

func (b *blame) isBanned(peer string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.banned[banKey(peer)]
}

func (b *blame) credits() map[string]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]int64, len(b.credit))
	for p, n := range b.credit {
		out[p] = n
	}
	return out
}

// banKey is what a peer cannot change cheaply: the id of one of ours, the IP
// address of an ordinary client. On loopback, where all clients share one
// address, it is the address and port.
func banKey(peer string) string {
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		return peer
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsLoopback() {
		return peer
	}
	return host
}
