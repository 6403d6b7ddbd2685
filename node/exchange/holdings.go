package exchange

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// holding is an image that is here whole, accepted, and therefore seeded.
type holding struct {
	Record store.Held
	Map    image.TorrentMap
}

// uses are when somebody here used a held image last.
type uses map[swarm.Infohash]time.Time

// holdings is the stock of images held, as the doors ask for it: what may be
// given to peers is what some accepted release covers, and nothing else.
type holdings struct {
	mu     sync.RWMutex
	images map[swarm.Infohash]*holding
	// cover has the held images that a blob belongs to.
	cover map[digest.Digest][]swarm.Infohash
	// layer finds the blob of a layer torrent.
	layer map[swarm.Infohash]digest.Digest
	// verdicts are those of this epoch on images, as far as somebody asked.
	verdicts map[swarm.Infohash]bool
	epoch    int
	used     uses
}

func newHoldings() *holdings {
	return &holdings{
		images: map[swarm.Infohash]*holding{},
		cover:  map[digest.Digest][]swarm.Infohash{},
		layer:  map[swarm.Infohash]digest.Digest{},

		verdicts: map[swarm.Infohash]bool{},
		used:     uses{},
	}
}

func (h *holdings) add(ih swarm.Infohash, hold *holding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.images[ih]; known {
		return
	}
	h.images[ih] = hold
	h.cover[hold.Record.Map] = append(h.cover[hold.Record.Map], ih)
	for _, b := range hold.Map.Blobs {
		h.cover[b.Digest] = append(h.cover[b.Digest], ih)
		if b.Infohash == "" {
			continue
		}
		if lih, err := swarm.ParseInfohash(b.Infohash); err == nil {
			h.layer[lih] = b.Digest
		}
	}
}

// remove takes an image out of the stock.
func (h *holdings) remove(ih swarm.Infohash) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(ih)
}

// drop does so. The caller holds mu.
func (h *holdings) drop(ih swarm.Infohash) {
	hold, ok := h.images[ih]
	if !ok {
		return
	}
	delete(h.images, ih)
	delete(h.used, ih)
	delete(h.verdicts, ih)
	h.uncover(hold.Record.Map, ih)
	for _, b := range hold.Map.Blobs {
		h.uncover(b.Digest, ih)
		if _, covered := h.cover[b.Digest]; covered || b.Infohash == "" {
			continue
		}
		if lih, err := swarm.ParseInfohash(b.Infohash); err == nil {
			delete(h.layer, lih)
		}
	}
}

func (h *holdings) uncover(d digest.Digest, ih swarm.Infohash) {
	left := slices.DeleteFunc(slices.Clone(h.cover[d]), func(of swarm.Infohash) bool { return of == ih })
	if h.cover[d] = left; len(left) == 0 {
		delete(h.cover, d)
	}
}

// removeIdle takes an image out of the stock that nobody used since a time.
func (h *holdings) removeIdle(ih swarm.Infohash, since time.Time) (*holding, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hold, ok := h.images[ih]
	if !ok || !h.lastUsed(ih).Before(since) {
		return nil, false
	}
	h.drop(ih)
	return hold, true
}

// take is image for who uses it.
func (h *holdings) take(ih swarm.Infohash, now time.Time) (*holding, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hold, ok := h.images[ih]
	if ok {
		h.used[ih] = now
	}
	return hold, ok
}

// lastUse is when somebody used an image last, at the latest when it came.
func (h *holdings) lastUse(ih swarm.Infohash) time.Time {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.lastUsed(ih)
}

// lastUsed does so. The caller holds mu.
func (h *holdings) lastUsed(ih swarm.Infohash) time.Time {
	if at, ok := h.used[ih]; ok {
		return at
	}
	if hold, ok := h.images[ih]; ok {
		return hold.Record.Added
	}
	return time.Time{}
}

func (h *holdings) image(ih swarm.Infohash) (*holding, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	hold, ok := h.images[ih]
	return hold, ok
}

// with are the held images that a blob belongs to.
func (h *holdings) with(d digest.Digest) []swarm.Infohash {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return slices.Clone(h.cover[d])
}

// given is the verdict on an image, if it is known.
func (h *holdings) given(ih swarm.Infohash) (ok, known bool, epoch int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	ok, known = h.verdicts[ih]
	return ok, known, h.epoch
}

// setGiven keeps a verdict that was asked for in an epoch.
func (h *holdings) setGiven(ih swarm.Infohash, ok bool, epoch int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch == h.epoch {
		h.verdicts[ih] = ok
	}
}

// forgetGiven begins another epoch.
func (h *holdings) forgetGiven() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch++
	clear(h.verdicts)
}

func (h *holdings) layerBlob(ih swarm.Infohash) (digest.Digest, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	d, ok := h.layer[ih]
	return d, ok
}

func (h *holdings) all() []*holding {
	h.mu.RLock()
	defer h.mu.RUnlock()
	out := make([]*holding, 0, len(h.images))
	for _, hold := range h.images {
		out = append(out, hold)
	}
	return out
}

// loadHoldings reads the records of held images back at the start. A record
// whose torrent map or blobs are gone is passed over with a warning: the image
// can be fetched again.
func (x *Exchange) loadHoldings() error {
	records, err := x.Store.AllHeld()
	if err != nil {
		return err
	}
	for _, rec := range records {
		hold, ih, err := x.readHolding(rec)
		if err != nil {
			x.log.Warn("held image is incomplete", "digest", rec.Root.Digest, "err", err)
			continue
		}
		x.holdings.add(ih, hold)
		if at := x.lastTouch(rec.Root.Digest, rec.Added); at.After(rec.Added) {
			x.holdings.take(ih, at)
		}
	}
	return nil
}

// holdReleased holds the images of this node's own releases that are here but
// not held: a crash came between the signing and the holding.
func (x *Exchange) holdReleased(ctx context.Context) error {
	return x.Ledger.EntriesOf(ctx, x.Me.ID, 0, func(e *ledger.Entry) error {
		if e.Release == nil {
			return nil
		}
		ih, err := swarm.ParseInfohash(e.Release.Infohash)
		if err != nil {
			return nil // an entry that decodes has a good one
		}
		if _, held := x.holdings.image(ih); held {
			return nil
		}
		rec := store.Held{
			Infohash: e.Release.Infohash, Map: e.Release.Torrents.Digest, Size: e.Release.Size,
			Root: image.Descriptor{MediaType: e.Release.Image.MediaType, Digest: e.Release.Image.Digest, Size: e.Release.Image.Size},
		}
		hold, _, err := x.readHolding(rec)
		if err != nil {
			x.log.Debug("own release is not here whole", "digest", rec.Root.Digest, "err", err)
			return nil
		}
		if _, err := x.hold(ctx, hold.Map, rec.Map); err != nil {
			x.log.Warn("own release is not held", "digest", rec.Root.Digest, "err", err)
		}
		return nil
	})
}

func (x *Exchange) readHolding(rec store.Held) (*holding, swarm.Infohash, error) {
	ih, err := swarm.ParseInfohash(rec.Infohash)
	if err != nil {
		return nil, ih, err
	}
	m, err := x.readMap(rec.Map)
	if err != nil {
		return nil, ih, fmt.Errorf("reading its torrent map: %w", err)
	}
	for _, b := range m.Blobs {
		size, err := x.Blobs.Stat(b.Digest)
		if err != nil {
			return nil, ih, fmt.Errorf("looking for blob %s: %w", b.Digest, err)
		}
		if size != b.Size {
			return nil, ih, fmt.Errorf("blob %s has %d bytes instead of %d", b.Digest, size, b.Size)
		}
	}
	return &holding{Record: rec, Map: m}, ih, nil
}

// readMap reads a torrent map that is here.
func (x *Exchange) readMap(d digest.Digest) (image.TorrentMap, error) {
	b, err := x.readBlob(d, image.MaxManifest)
	if err != nil {
		return image.TorrentMap{}, err
	}
	return image.ParseTorrentMap(b)
}
