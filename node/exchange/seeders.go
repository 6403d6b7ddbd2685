package exchange

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// maxCounted bounds the holders of an image that are asked.
	maxCounted = 32
	// countWithin bounds the count of one image.
	countWithin = 15 * time.Second
	// countedUnpinned is how many images that may give way are counted in one round,
	// once the quota is nearly used up, those first that were unused the longest.
	countedUnpinned = 16
	// scarceFaster is how much more often than others images are looked after that
	// have too few holders.
	scarceFaster = 5
)

// count is how many others answered that they hold an image.
type count struct {
	others int
	at     time.Time
	rank   int // of this node among all who hold it
}

type counts struct {
	mu  sync.Mutex
	all map[swarm.Infohash]count
}

func (c *counts) get(ih swarm.Infohash) (count, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.all[ih]
	return n, ok
}

// of is how many others hold an image, 0 where they were not counted.
func (c *counts) of(ih swarm.Infohash) (others int, counted bool) {
	n, ok := c.get(ih)
	return n.others, ok
}

// maxCounts bounds the images whose holders are remembered.
const maxCounts = 100_000

func (c *counts) set(ih swarm.Infohash, n count) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= maxCounts {
		c.all = map[swarm.Infohash]count{}
	}
	c.all[ih] = n
}

// isScarce tells whether fewer nodes than there should be hold a pinned image, as far
// as is known.
func (x *Exchange) isScarce(rec pinRecord) bool {
	ih, err := swarm.ParseInfohash(rec.Infohash)
	if err != nil || x.storage.cfg.KeepSeeders <= 0 {
		return false
	}
	c, known := x.storage.counts.get(ih)
	holders := c.others
	if _, whole := x.holdings.image(ih); whole {
		holders++
	}
	return known && holders < x.storage.cfg.KeepSeeders
}

// countHolders asks whom the DHT names as holders of an image, and those connected,
// whether they have it. Who answers has it as far as it says so: a liar can make an
// image seem to be held by one more.
func (x *Exchange) countHolders(ctx context.Context, ih swarm.Infohash, root digest.Digest) count {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	var mu sync.Mutex
	var holders []peer.ID
	asked := map[peer.ID]bool{x.Net.ID(): true}
	var wg sync.WaitGroup
	slots := make(chan struct{}, askParallel)
	ask := func(p peer.ID) {
		if asked[p] || len(asked) > 2*maxCounted {
			return
		}
		asked[p] = true
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if _, err := x.Net.Request(ctx, p, OpLayer, encode(layerRequest{Digest: root})); err == nil {
				mu.Lock()
				holders = append(holders, p)
				mu.Unlock()
			}
		})
	}
	connected := x.Net.Connected()
	for _, p := range connected[:min(len(connected), maxCounted)] {
		ask(p)
	}
	for info := range x.Net.FindProviders(ctx, infohashKey(ih), maxCounted) {
		ask(info.ID)
	}
	wg.Wait()
	n := count{others: len(holders), at: x.now().UTC()}
	mine := placeOf(ih, x.Net.ID())
	for _, p := range holders {
		theirs := placeOf(ih, p)
		if bytes.Compare(theirs[:], mine[:]) < 0 {
			n.rank++
		}
	}
	x.storage.counts.set(ih, n)
	return n
}

// placeOf orders those who hold an image, in another way for each image, and in the
// same way for all of them.
func placeOf(ih swarm.Infohash, p peer.ID) [sha256.Size]byte {
	return sha256.Sum256([]byte(ih.String() + "/" + string(p)))
}

// keepSeeded looks after pinned images until ctx ends: what was lost of them is
// fetched again, their holders are counted, and where there are too few it is done
// more often, they are announced anew and others are asked to hold them too.
func (x *Exchange) keepSeeded(ctx context.Context) {
	cfg := x.storage.cfg
	tries := map[swarm.Infohash]int{}
	next := map[digest.Digest]time.Time{}
	wait := min(time.Second, cfg.CheckEvery)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-x.storage.pins.changed:
			timer.Stop()
		case <-timer.C:
		}
		x.keepFollowed(ctx)
		for _, rec := range x.storage.pins.list() {
			if ctx.Err() != nil {
				return
			}
			if time.Now().Before(next[rec.Digest]) {
				continue
			}
			every := cfg.CheckEvery
			if x.keepPinned(ctx, rec, tries) {
				every /= scarceFaster
			}
			next[rec.Digest] = time.Now().Add(every)
		}
		x.countUnpinned(ctx)
		wait = max(cfg.CheckEvery/scarceFaster, 10*time.Millisecond)
	}
}

// keepPinned looks after one image, and tells whether it has to be soon again.
func (x *Exchange) keepPinned(ctx context.Context, rec pinRecord, tries map[swarm.Infohash]int) (soon bool) {
	ih, err := swarm.ParseInfohash(rec.Infohash)
	if err != nil {
		return false // of another registry: nobody can be asked for it
	}
	if err := x.makeWhole(ctx, ih, rec); err != nil {
		x.log.Warn("pinned image is not here whole", "infohash", ih, "err", err)
		soon = true
	}
	want := x.storage.cfg.KeepSeeders
	n := x.countHolders(ctx, ih, rec.Digest)
	hold, whole := x.holdings.image(ih)
	if want <= 0 || !whole {
		return soon
	}
	if n.others+1 >= want {
		delete(tries, ih)
		x.Swarm.Keep(ih, false)
		return soon
	}
	if tries[ih]++; tries[ih] == 1 {
		x.log.Info("too few nodes hold a pinned image", "infohash", ih, "holders", n.others+1, "wanted", want)
	}
	x.Swarm.Keep(ih, true)
	x.announce(ctx, ih, hold.Map, x.ownRelease(ctx, ih))
	if tries[ih] > n.rank { // those before this one had their turn
		x.askToKeep(ctx, ih, rec, want-n.others-1)
	}
	return true
}

// makeWhole fetches what is missing of a pinned image.
func (x *Exchange) makeWhole(ctx context.Context, ih swarm.Infohash, rec pinRecord) error {
	hold, held := x.holdings.image(ih)
	if held {
		_, _, err := x.readHolding(hold.Record)
		if err == nil {
			return nil
		}
		x.log.Warn("pinned image was lost in part", "infohash", ih, "err", err)
		x.holdings.remove(ih)
		x.unseed(ctx, ih, hold)
	}
	_, err := x.Fetch(ctx, FetchRequest{Target: rec.target()}, nil)
	return err
}

// countUnpinned counts the holders of those images that give way first, when that is
// near.
func (x *Exchange) countUnpinned(ctx context.Context) {
	u := x.Blobs.Usage()
	if (u.Quota == 0 || u.Used() < u.Quota/10*8) && (u.Free == 0 || u.Free > 2*u.KeepFree) {
		return
	}
	s := &stock{}
	if err := x.heldUnits(ctx, s); err != nil {
		x.log.Warn("holders of images are not counted", "err", err)
		return
	}
	s.units = slices.DeleteFunc(s.units, (*unit).stays)
	slices.SortFunc(s.units, func(a, b *unit) int { return a.used.Compare(b.used) })
	for _, v := range s.units[:min(len(s.units), countedUnpinned)] {
		ih, err := swarm.ParseInfohash(v.infohash)
		if err != nil || ctx.Err() != nil {
			continue
		}
		if c, known := x.storage.counts.get(ih); !known || x.now().Sub(c.at) > x.storage.cfg.CheckEvery {
			x.countHolders(ctx, ih, v.root)
		}
	}
}

// askToKeep asks connected nodes, the best first, to hold an image too, until so many
// said that they will.
func (x *Exchange) askToKeep(ctx context.Context, ih swarm.Infohash, rec pinRecord, need int) {
	req := encode(keepRequest{Infohash: ih.String(), Author: string(rec.Author)})
	for _, s := range x.Reputation.Rank(reputation.Peer, peerStrings(x.Net.Connected())) {
		p, err := peer.Decode(s)
		if err != nil || need <= 0 || ctx.Err() != nil {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		b, err := x.Net.Request(ask, p, OpKeep, req)
		cancel()
		if err != nil {
			x.log.Debug("peer does not keep an image", "peer", p, "infohash", ih, "err", err)
			continue
		}
		if new, err := decodeKeep(b); err != nil {
			x.blame(p, reputation.BrokenPromise)
		} else if new {
			need--
			x.log.Debug("peer keeps an image", "peer", p, "infohash", ih)
		}
	}
}

type keepRequest struct {
	Infohash string `json:"infohash"`
	Author   string `json:"author"`
}

// keepAnswer says that the image will be held; New, that it was not before.
type keepAnswer struct {
	New bool `json:"new"`
}

func decodeKeep(b []byte) (bool, error) {
	var a keepAnswer
	err := decodeStrict(b, &a)
	return a.New, err
}

// errNotLent: this node does not keep what others ask for, or no more of it.
var errNotLent = fmt.Errorf("%w: nothing is lent here, or no more", ErrNotFound)

var errTooBusy = errors.New("enough is being fetched for others")
