package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const peerPrefix = "peer/" // + peer id -> peerRecord

// Bounds of what is kept of peers seen before.
const (
	maxPeers     = 1000
	maxPeerAddrs = 16
	maxAddr      = 256 // bytes
)

// Peer is a peer this node was connected to, and where.
type Peer struct {
	ID    string    `json:"id"`
	Addrs []string  `json:"addrs"` // multiaddrs, best first; at most 16
	Seen  time.Time `json:"seen"`  // last
}

type peerRecord struct {
	Addrs []string  `json:"addrs"`
	Seen  time.Time `json:"seen"`
}

// SavePeers adds peers to those seen before, or brings them up to date, and
// forgets the ones not seen for longest beyond 1,000; atomic. Ids and
// addresses out of bounds are left out: they are what others told.
func (s *Store) SavePeers(peers ...Peer) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.update(func(txn *badger.Txn) error {
		known, err := allPeers(txn)
		if err != nil {
			return err
		}
		merged := make(map[string]Peer, len(known)+len(peers))
		for _, p := range known {
			merged[p.ID] = p
		}
		fresh := map[string]bool{}
		for _, p := range peers {
			if p, ok := p.bounded(); ok && !p.Seen.Before(merged[p.ID].Seen) {
				merged[p.ID], fresh[p.ID] = p, true
			}
		}
		return writePeers(txn, latest(merged), fresh)
	})
}

// writePeers stores the fresh ones of the first maxPeers and drops the others.
func writePeers(txn *badger.Txn, peers []Peer, fresh map[string]bool) error {
	var errs []error
	for i, p := range peers {
		switch {
		case i >= maxPeers:
			errs = append(errs, txn.Delete([]byte(peerPrefix+p.ID)))
		case fresh[p.ID]:
			errs = append(errs, putJSON(txn, peerPrefix+p.ID, peerRecord{p.Addrs, p.Seen}))
		}
	}
	return errors.Join(errs...)
}

// bounded gives p with the addresses that can be kept.
func (p Peer) bounded() (Peer, bool) {
	var addrs []string
	for _, a := range p.Addrs {
		if a != "" && plain(a, maxAddr) && !slices.Contains(addrs, a) && len(addrs) < maxPeerAddrs {
			addrs = append(addrs, a)
		}
	}
	p.Addrs, p.Seen = addrs, p.Seen.UTC().Truncate(time.Second)
	return p, p.ID != "" && plain(p.ID, 128) && len(addrs) > 0
}

// Peers lists the peers seen before, the latest first.
func (s *Store) Peers() ([]Peer, error) {
	var peers []Peer
	err := s.view(func(txn *badger.Txn) (err error) {
		peers, err = allPeers(txn)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading peers: %w", err)
	}
	byID := make(map[string]Peer, len(peers))
	for _, p := range peers {
		byID[p.ID] = p
	}
	return latest(byID), nil
}

func allPeers(txn *badger.Txn) ([]Peer, error) {
	var peers []Peer
	for id, item := range each(txn, peerPrefix, "", true) {
		var r peerRecord
		if err := item.Value(func(b []byte) error { return decode(peerPrefix+id, b, &r) }); err != nil {
			return nil, err
		}
		peers = append(peers, Peer{id, r.Addrs, r.Seen})
	}
	return peers, nil
}

func latest(byID map[string]Peer) []Peer {
	peers := make([]Peer, 0, len(byID))
	for _, p := range byID {
		peers = append(peers, p)
	}
	slices.SortFunc(peers, func(x, y Peer) int {
		return cmp.Or(y.Seen.Compare(x.Seen), cmp.Compare(x.ID, y.ID))
	})
	return peers
}
