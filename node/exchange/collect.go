package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// What nobody needs is collected in steps, each of which a crash may follow; the next
// collection goes on from there.
//
//	1  links of the local registry that no manifest needs go (registry.Keeper)
//	2  images that make room for others: the record first, then they are not seeded
//	   and announced any more
//	3  files that nothing needs go (blobs.Store.Collect), with downloads given up
//	4  torrents of what is not here are forgotten
//
// What needs a file is found out before the first one goes. Whoever brings or finds
// one after that is known to the blob store, which looks before each removal.

// partialGrace is how long a download that nobody goes on with stays.
const partialGrace = 7 * 24 * time.Hour

// CollectRequest asks for what nobody needs to be removed.
type CollectRequest struct {
	// DryRun removes nothing and tells what would go.
	DryRun bool `json:"dry_run,omitempty"`
	// Grace is how long what nothing needs stays, in nanoseconds. Nil: as the node
	// is configured.
	Grace *time.Duration `json:"grace,omitempty"`
	// To has images give way that may, until so many bytes are used. Nil: as the
	// quota has it.
	To *int64 `json:"to,omitempty"`
}

// Collected is what went.
type Collected struct {
	DryRun  bool            `json:"dry_run,omitempty"`
	Items   []CollectedItem `json:"items"`
	Freed   int64           `json:"freed"`   // bytes of files
	Used    int64           `json:"used"`    // bytes, after it
	Quota   int64           `json:"quota"`   // 0: none
	Images  int             `json:"images"`  // that gave way
	Files   int             `json:"files"`   // that went
	Seconds float64         `json:"seconds"` // that it took
}

// CollectedItem is one thing that went. Of images the bytes are those that nothing
// else needs, and they are told again of their files.
type CollectedItem struct {
	Kind   string `json:"kind"` // image, file, download, link
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
	Why    string `json:"why"`
}

// collection is one run.
type collection struct {
	x     *Exchange
	req   CollectRequest
	began time.Time
	grace time.Duration
	room  int64 // bytes wanted at once; 0: nobody waits
	res   Collected
}

// Collect removes what nobody needs, and has images give way where there is more
// than the quota.
func (x *Exchange) Collect(ctx context.Context, req CollectRequest, report func(Progress)) (Collected, error) {
	c := &collection{x: x, req: req, grace: x.storage.cfg.Grace}
	if req.Grace != nil {
		if *req.Grace < 0 {
			return Collected{}, fmt.Errorf("%w: a grace below 0", ErrBadRequest)
		}
		c.grace = *req.Grace
	}
	if req.To != nil && *req.To < 0 {
		return Collected{}, fmt.Errorf("%w: fewer than 0 bytes", ErrBadRequest)
	}
	err := c.locked(ctx, reporter(report))
	return c.res, err
}

// locked runs when no other does.
func (c *collection) locked(ctx context.Context, report func(Progress)) error {
	st := c.x.storage
	select {
	case st.collecting <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-st.collecting }()
	c.began = time.Now()
	err := c.run(ctx, report)
	u := c.x.Blobs.Usage()
	c.res.DryRun, c.res.Used, c.res.Quota = c.req.DryRun, u.Used(), u.Quota
	c.res.Seconds = time.Since(c.began).Seconds()
	if c.res.Items == nil {
		c.res.Items = []CollectedItem{}
	}
	if c.req.DryRun {
		c.res.Used = max(c.res.Used-c.res.Freed, 0)
		return err
	}
	st.runs.Add(1)
	st.collected.Add(c.res.Freed)
	st.evicted.Add(int64(c.res.Images))
	st.mu.Lock()
	st.last = c.x.now().UTC()
	st.mu.Unlock()
	if c.res.Freed > 0 || err != nil {
		c.x.log.Info("collected what nobody needs", "images", c.res.Images, "files", c.res.Files, "bytes", c.res.Freed, "elapsed", time.Since(c.began), "err", err)
	}
	return err
}

func (c *collection) add(i CollectedItem) { c.res.Items = append(c.res.Items, i) }

func (c *collection) run(ctx context.Context, report func(Progress)) error {
	report(Progress{Step: "look"})
	// What is relied on now stays, also when it is no longer by the time the files go.
	began := c.x.Blobs.Cutoff(c.began)
	before := c.x.Blobs.Cutoff(c.began.Add(-c.grace))
	s, err := c.x.takeStock(ctx, before, c.req.DryRun, func(repo string, d digest.Digest) {
		c.add(CollectedItem{Kind: "link", Name: repo, Digest: d.String(), Why: "no manifest of the repository needs it"})
	})
	if err != nil {
		return err
	}
	c.dropStale(s)
	target, pressed := c.target()
	if pressed { // what fetches left behind goes before images do
		before = began
	}
	if err := c.giveWay(ctx, s, before, target, pressed); err != nil {
		return err
	}
	needed := s.needed()
	report(Progress{Step: "remove"})
	file := func(kind, why string) func(d digest.Digest, size int64) {
		return func(d digest.Digest, size int64) {
			c.res.Files++
			c.res.Freed += size
			c.add(CollectedItem{Kind: kind, Digest: d.String(), Bytes: size, Why: why})
			report(Progress{Step: "remove", Done: c.res.Freed})
		}
	}
	err = c.x.Blobs.Collect(before, c.req.DryRun, func(d digest.Digest) bool { return needed[d] }, file("file", "nothing needs it"))
	left := c.began.Add(-partialGrace)
	if pressed || c.req.Grace != nil {
		left = before
	}
	err = errors.Join(err, c.x.Blobs.CollectPartials(left, c.req.DryRun, file("download", "nobody goes on with it")))
	if c.req.DryRun {
		return spaceError(err)
	}
	return spaceError(errors.Join(err, c.forgetTorrents(needed)))
}

// target is how many bytes may be used afterwards; pressed tells that it is fewer
// than are.
func (c *collection) target() (bytes int64, pressed bool) {
	u := c.x.Blobs.Usage()
	used := u.Used()
	bytes = used
	if c.req.To != nil {
		bytes = min(bytes, *c.req.To)
	}
	if u.Quota > 0 && used > u.Quota {
		bytes = min(bytes, u.Quota-u.Quota/lowWater)
	}
	if u.Disk > 0 && u.Free < u.KeepFree {
		bytes = min(bytes, used-(u.KeepFree-u.Free))
	}
	if c.room > 0 {
		bytes = min(bytes, used-c.room-u.Quota/lowWater)
	}
	return max(bytes, 0), bytes < used
}

// dropStale forgets records of images that are not here whole and that nobody
// pinned: they can be fetched again.
func (c *collection) dropStale(s *stock) {
	for _, rec := range s.stale {
		if !c.x.Blobs.IsIdle(rec.Root.Digest, c.began) {
			continue // it is just being held
		}
		c.add(CollectedItem{Kind: "image", Digest: rec.Root.Digest.String(), Why: "it is not here whole"})
		if c.req.DryRun {
			continue
		}
		if err := c.x.Store.DeleteHeld(rec.Infohash); err != nil {
			c.x.log.Warn("record of an image that is not here whole stays", "digest", rec.Root.Digest, "err", err)
		}
	}
}

// forgetTorrents forgets the torrents of layers that are not here and of images that
// are not held, and ends their being seeded and announced.
func (c *collection) forgetTorrents(needed map[digest.Digest]bool) error {
	x := c.x
	all, err := x.Store.AllTorrents()
	if err != nil {
		return err
	}
	var going []store.Torrent
	for _, t := range all {
		ih, err := swarm.ParseInfohash(t.Infohash)
		if err != nil || needed[t.Digest] || !x.Blobs.IsIdle(t.Digest, c.began) {
			continue
		}
		if _, held := x.holdings.image(ih); held {
			continue
		}
		if _, err := x.Blobs.Stat(t.Digest); err == nil {
			continue // it is to be collected another time
		}
		going = append(going, t)
		if x.Net != nil && t.Kind == store.LayerTorrent {
			x.Net.StopProvide(blobKey(t.Digest))
		}
		if x.Swarm != nil {
			x.Swarm.Unseed(ih)
		}
	}
	if err := x.Store.DeleteTorrents(going...); err != nil {
		return fmt.Errorf("forgetting torrents: %w", err)
	}
	return nil
}

// proposedRelease is the content of a release that others have yet to sign.
type proposedRelease struct {
	Root digest.Digest `json:"root"`
	Map  digest.Digest `json:"map"`
	At   time.Time     `json:"at"`
}

// proposedFor is how long that content is kept.
const proposedFor = 30 * 24 * time.Hour

func decodeProposed(b []byte) (p proposedRelease, err error) {
	if err := decodeStrict(b, &p); err != nil {
		return p, err
	}
	return p, errors.Join(image.CheckDigest(p.Root), image.CheckDigest(p.Map))
}
