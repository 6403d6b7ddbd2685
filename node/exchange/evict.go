package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/kv"
	"github.com/dockchains/dockchain/p2p/swarm"
)

const (
	// lowWater: when images give way, a part of this many of the quota is left
	// empty, so that the next fetch does not begin with it again.
	lowWater = 10
	// vainFor is how long it is not tried again to make room where none can be had.
	vainFor = 10 * time.Second
)

// giveWay has images go until no more bytes are used than target, those first that
// are missed least. Where somebody waits for room that cannot be made, none go.
func (c *collection) giveWay(ctx context.Context, s *stock, before time.Time, target int64, pressed bool) error {
	if !pressed {
		return nil
	}
	p, err := c.newPlan(s, before)
	if err != nil {
		return err
	}
	victims := p.choose(s.units, c.x.storage.cfg.KeepSeeders, c.x.now(), c.settled(), target)
	if c.room > 0 && p.used > c.x.Blobs.Usage().Used()-c.room {
		return nil
	}
	for _, v := range victims {
		if !c.req.DryRun && !c.x.evict(ctx, v, c.settled()) {
			continue
		}
		c.res.Images++
		c.add(CollectedItem{Kind: "image", Name: v.name, Digest: v.root.String(), Bytes: p.frees[v], Why: c.whyEvicted(v)})
		s.units = slices.DeleteFunc(s.units, func(u *unit) bool { return u == v })
	}
	return nil
}

// settled is since when an image must not have been used to give way.
func (c *collection) settled() time.Time {
	age := max(time.Since(c.x.Blobs.Oldest()), c.x.storage.cfg.Settle)
	return c.x.now().Add(-age)
}

func (c *collection) whyEvicted(u *unit) string {
	var parts []string
	if u.refused {
		parts = append(parts, "no release of it is accepted any more")
	}
	parts = append(parts, u.why, "last used "+u.used.UTC().Format(time.RFC3339))
	if u.counted {
		parts = append(parts, fmt.Sprintf("%d others hold it", u.holders))
	}
	return strings.Join(parts, ", ")
}

// plan is what goes if certain images go.
type plan struct {
	sizes map[digest.Digest]int64 // of the files that are here
	by    map[digest.Digest]int   // how many need them
	used  int64                   // bytes, as far as is decided
	frees map[*unit]int64
}

// newPlan counts what is used when what nothing needs is gone.
func (c *collection) newPlan(s *stock, before time.Time) (*plan, error) {
	p := &plan{sizes: map[digest.Digest]int64{}, by: map[digest.Digest]int{}, frees: map[*unit]int64{}, used: c.x.Blobs.Usage().Used()}
	for _, set := range []map[digest.Digest]bool{s.shelf, s.loose} {
		for d := range set {
			p.by[d]++
		}
	}
	for _, u := range s.units {
		for _, d := range u.files {
			p.by[d]++
		}
	}
	err := c.x.Blobs.Walk(func(d digest.Digest, size int64) error {
		p.sizes[d] = size
		if p.by[d] == 0 && c.x.Blobs.IsIdle(d, before) {
			p.used -= size
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, c.x.Blobs.CollectPartials(before, true, func(_ digest.Digest, size int64) { p.used -= size })
}

// choose picks the images that go: of those that may, and that nobody used since
// settled, first what is not accepted any more, then what has holders enough, those
// that were unused the longest and that the most others hold; what has too few
// holders last.
func (p *plan) choose(units []*unit, keep int, now, settled time.Time, target int64) []*unit {
	var may []*unit
	for _, u := range units {
		if !u.stays() && u.used.Before(settled) {
			may = append(may, u)
		}
	}
	slices.SortStableFunc(may, func(a, b *unit) int {
		return cmp.Or(
			cmp.Compare(a.rank(keep), b.rank(keep)),
			cmp.Compare(b.weight(now), a.weight(now)),
			cmp.Compare(a.root, b.root),
		)
	})
	var out []*unit
	for _, u := range may {
		if p.used <= target {
			break
		}
		freed := int64(0)
		for _, d := range u.files {
			if p.by[d]--; p.by[d] == 0 {
				freed += p.sizes[d]
			}
		}
		p.frees[u] = freed
		p.used -= freed
		out = append(out, u)
	}
	return out
}

// rank is which images go before others, whatever their age.
func (u *unit) rank(keep int) int {
	switch {
	case u.refused:
		return 0
	case keep > 0 && u.why != fromOthers && u.holders < keep:
		return 2
	}
	return 1
}

// weight grows with the time that an image was not used and with the number of those
// who have it too. The registry that it came from is one of them.
func (u *unit) weight(now time.Time) float64 {
	holders := float64(u.holders)
	if u.why == fromOthers {
		holders++
	}
	return math.Max(now.Sub(u.used).Seconds(), 0) * (1 + holders)
}

// evict gives an image up, unless somebody used it since settled or pinned it. What
// a crash in it leaves, the next collection finds.
func (x *Exchange) evict(ctx context.Context, u *unit, settled time.Time) bool {
	if x.isPinned(u.root) {
		return false
	}
	var err error
	if u.infohash == "" {
		err = x.evictUpstream(u, settled)
	} else {
		err = x.evictHeld(ctx, u, settled)
	}
	if err != nil {
		if !errors.Is(err, errInUse) {
			x.log.Warn("image is not given up", "digest", u.root, "err", err)
		}
		return false
	}
	x.forgetUsed(u.root)
	return true
}

var errInUse = errors.New("somebody uses it")

func (x *Exchange) evictHeld(ctx context.Context, u *unit, settled time.Time) error {
	ih, err := swarm.ParseInfohash(u.infohash)
	if err != nil {
		return err
	}
	hold, ok := x.holdings.removeIdle(ih, settled)
	if !ok {
		return errInUse
	}
	if err := x.Store.DeleteHeld(u.infohash); err != nil {
		x.holdings.add(ih, hold) // it is here as before
		return err
	}
	x.forgetLent(ih)
	if x.Net != nil && x.Swarm != nil {
		x.unseed(ctx, ih, hold)
	}
	return nil
}

// evictUpstream forgets an image of another registry, and which tags meant it.
func (x *Exchange) evictUpstream(u *unit, settled time.Time) error {
	if !x.lastTouch(u.root, time.Time{}).Before(settled) {
		return errInUse
	}
	err := x.Store.Upstream().Update(func(tx kv.Txn) error {
		var keys []string
		for _, name := range u.names {
			keys = append(keys, imageKey+name+"@"+u.root.String())
			for tag, b := range tx.Each(tagKey+name+":", "") {
				if a, err := decodeAnswer(b); err == nil && a.Root.Digest == u.root {
					keys = append(keys, tagKey+name+":"+tag)
				}
			}
		}
		if err := tx.Err(); err != nil {
			return err
		}
		for _, key := range keys {
			if err := tx.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		x.grants.forget()
	}
	return err
}

// forget has the grants read anew.
func (g *grants) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.names, g.size = nil, 0
}

// freeSpace makes room for so many more bytes, if it can be made: it is the
// blobs.MakeRoom of this node.
func (x *Exchange) freeSpace(ctx context.Context, need int64) {
	st := x.storage
	st.mu.Lock()
	vain := time.Since(st.vain) < vainFor
	st.mu.Unlock()
	if vain {
		st.refused.Add(1)
		return
	}
	c := &collection{x: x, grace: st.cfg.Grace, room: need}
	if err := c.locked(ctx, func(Progress) {}); err != nil {
		x.log.Warn("room is not made", "err", err)
	}
	if c.res.Freed < need {
		st.refused.Add(1)
		st.mu.Lock()
		st.vain = time.Now()
		st.mu.Unlock()
	}
}

// keepRoom collects now and then, until ctx ends.
func (x *Exchange) keepRoom(ctx context.Context) {
	every := x.storage.cfg.Every
	if every <= 0 {
		return
	}
	for wait := min(every, 5*time.Minute); pause(ctx, wait-rand.N(wait/10+1)); wait = every {
		if _, err := x.Collect(ctx, CollectRequest{}, nil); err != nil && ctx.Err() == nil {
			x.log.Warn("what nobody needs is not collected", "err", err)
		}
	}
}

// What was used when, beyond what is held: the bucket store.Storage has
//
//	used/sha256:…       -> TIME: when an image was used last, by its root
//	pin/sha256:…        -> pinRecord
//	follow/bafk…/app    -> followRecord
//	lent/2f72…          -> TIME: since when an image is kept for others
//	proposed/sha256:…   -> proposedRelease
const (
	usedKey     = "used/"
	pinKey      = "pin/"
	followKey   = "follow/"
	lentKey     = "lent/"
	proposedKey = "proposed/"
)

// touch notes that an image is used now, which is written down now and then.
func (x *Exchange) touch(root digest.Digest) {
	x.storage.mu.Lock()
	defer x.storage.mu.Unlock()
	x.storage.touched[root] = x.now()
}

// lastTouch is when an image was used last; otherwise, if nobody used it since.
func (x *Exchange) lastTouch(root digest.Digest, otherwise time.Time) time.Time {
	x.storage.mu.Lock()
	at, ok := x.storage.touched[root]
	x.storage.mu.Unlock()
	if ok {
		return at
	}
	err := x.Store.Storage().View(func(tx kv.Txn) error {
		b, err := tx.Get(usedKey + root.String())
		if err == nil {
			at, err = decodeUsed(b)
		}
		return err
	})
	if err != nil || at.Before(otherwise) {
		return otherwise
	}
	return at
}

func decodeUsed(b []byte) (time.Time, error) { return time.Parse(time.RFC3339, string(b)) }

// storeTouched writes down what was used.
func (x *Exchange) storeTouched() {
	st := x.storage
	st.mu.Lock()
	all := maps.Clone(st.touched)
	st.mu.Unlock()
	if len(all) == 0 {
		return
	}
	err := x.Store.Storage().Update(func(tx kv.Txn) error {
		for root, at := range all {
			if err := tx.Set(usedKey+root.String(), at.UTC().AppendFormat(nil, time.RFC3339)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.log.Warn("when images were used is not kept", "err", err)
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for root, at := range all {
		if st.touched[root].Equal(at) {
			delete(st.touched, root)
		}
	}
}

// forgetUsed forgets when an image was used that is here no more. That it is not
// forgotten costs a record.
func (x *Exchange) forgetUsed(root digest.Digest) {
	x.storage.mu.Lock()
	delete(x.storage.touched, root)
	x.storage.mu.Unlock()
	if err := x.Store.Storage().Update(func(tx kv.Txn) error { return tx.Delete(usedKey + root.String()) }); err != nil {
		x.log.Warn("record of an image that gave way stays", "digest", root, "err", err)
	}
}

// keepProposed keeps the content of a release until it is signed.
func (x *Exchange) keepProposed(root, torrents digest.Digest) error {
	return x.Store.Storage().Update(func(tx kv.Txn) error {
		return tx.Set(proposedKey+root.String(), encode(proposedRelease{Root: root, Map: torrents, At: x.now().UTC()}))
	})
}

// proposed are the releases that wait to be signed. Those that waited for too long
// are forgotten.
func (x *Exchange) proposed() (all []proposedRelease, err error) {
	var old []string
	err = x.Store.Storage().View(func(tx kv.Txn) error {
		for key, b := range tx.Each(proposedKey, "") {
			if p, err := decodeProposed(b); err == nil && x.now().Sub(p.At) < proposedFor {
				all = append(all, p)
			} else {
				old = append(old, proposedKey+key)
			}
		}
		return tx.Err()
	})
	if err != nil || len(old) == 0 {
		return all, err
	}
	return all, x.Store.Storage().Update(func(tx kv.Txn) error {
		var errs []error
		for _, key := range old {
			errs = append(errs, tx.Delete(key))
		}
		return errors.Join(errs...)
	})
}
