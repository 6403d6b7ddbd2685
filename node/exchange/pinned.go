package exchange

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// pinRecord is what is kept of a pin.
type pinRecord struct {
	Digest   digest.Digest   `json:"digest"`
	Infohash string          `json:"infohash,omitempty"`
	Author   ledger.AuthorID `json:"author,omitempty"`
	Name     string          `json:"name,omitempty"` // REPO:TAG
	Size     int64           `json:"size"`
	Added    time.Time       `json:"added"`
	Follows  string          `json:"follows,omitempty"` // key of a followRecord
}

func decodePin(b []byte) (p pinRecord, err error) {
	if err := decodeStrict(b, &p); err != nil {
		return p, err
	}
	if p.Infohash != "" {
		_, err = swarm.ParseInfohash(p.Infohash)
	}
	return p, errors.Join(err, image.CheckDigest(p.Digest))
}

// target is what a pin is fetched by.
func (p pinRecord) target() string {
	ih, err := swarm.ParseInfohash(p.Infohash)
	if err != nil {
		return ""
	}
	return swarm.Magnet{Infohash: ih, Name: p.Name, Size: p.Size, Author: string(p.Author)}.String()
}

// pins are those in force, as records of the bucket store.Storage.
type pins struct {
	mu      sync.Mutex
	byRoot  map[digest.Digest]pinRecord
	follows map[string]followRecord // by AUTHOR-ID/REPO[:TAG]
	changed chan struct{}           // somebody should look after them
}

func (p *pins) list() []pinRecord {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.byRoot), func(a, b pinRecord) int { return a.Added.Compare(b.Added) })
}

func (p *pins) wake() {
	select {
	case p.changed <- struct{}{}:
	default: // it will be
	}
}

func (x *Exchange) isPinned(root digest.Digest) bool {
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.byRoot[root]
	return ok
}

func (x *Exchange) loadPins() error {
	p := &x.storage.pins
	p.byRoot, p.follows = map[digest.Digest]pinRecord{}, map[string]followRecord{}
	err := x.Store.Storage().View(func(tx kv.Txn) error {
		for key, b := range tx.Each(pinKey, "") {
			rec, err := decodePin(b)
			if err != nil {
				return fmt.Errorf("%s%s: %w", pinKey, key, err)
			}
			p.byRoot[rec.Digest] = rec
		}
		for key, b := range tx.Each(followKey, "") {
			rec, err := decodeFollow(b)
			if err != nil {
				return fmt.Errorf("%s%s: %w", followKey, key, err)
			}
			p.follows[key] = rec
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("reading pins: %w", err)
	}
	return nil
}

func (x *Exchange) putPin(rec pinRecord) error {
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, known := p.byRoot[rec.Digest]; known {
		rec.Added = old.Added
		if rec.Follows != "" && old.Follows == "" {
			rec.Follows = "" // somebody wants it by itself too
		}
	} else if len(p.byRoot) >= maxPins {
		return fmt.Errorf("%w: at most %d images can be pinned", ErrBadRequest, maxPins)
	}
	err := x.Store.Storage().Update(func(tx kv.Txn) error { return tx.Set(pinKey+rec.Digest.String(), encode(rec)) })
	if err != nil {
		return fmt.Errorf("keeping the pin: %w", spaceError(err))
	}
	p.byRoot[rec.Digest] = rec
	return nil
}

func (x *Exchange) dropPin(root digest.Digest) error {
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := p.byRoot[root]
	err := x.Store.Storage().Update(func(tx kv.Txn) error { return tx.Delete(pinKey + root.String()) })
	if err != nil {
		return fmt.Errorf("forgetting the pin: %w", spaceError(err))
	}
	delete(p.byRoot, root)
	if ih, err := swarm.ParseInfohash(rec.Infohash); err == nil && x.Swarm != nil {
		x.Swarm.Keep(ih, false)
	}
	return nil
}
