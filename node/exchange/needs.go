package exchange

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Why an image stays. What has no such reason may make room for others.
const (
	ownImage    = "released by this node"
	pinnedImage = "pinned"
	fetched     = "fetched"
	fromOthers  = "from another registry"
	lentImage   = "kept for others"
)

// unit is an image that is here, with its files.
type unit struct {
	root     digest.Digest
	infohash string   // "" for one of another registry that nobody released
	names    []string // under which it was pulled from another registry
	name     string   // for people
	size     int64
	files    []digest.Digest
	why      string
	used     time.Time // last
	holders  int       // others that are known to have it
	counted  bool
	refused  bool // no release of it is accepted any more
}

// stays tells whether the quota has no say in it.
func (u *unit) stays() bool { return u.why == ownImage || u.why == pinnedImage }

// stock is what is needed, and by what.
type stock struct {
	shelf map[digest.Digest]bool // by the local registry
	loose map[digest.Digest]bool // by pins that are no units, and by proposals
	units []*unit
	stale []store.Held // records of images that are not here whole
}

// needed is everything.
func (s *stock) needed() map[digest.Digest]bool {
	all := map[digest.Digest]bool{}
	for _, set := range []map[digest.Digest]bool{s.shelf, s.loose} {
		for d := range set {
			all[d] = true
		}
	}
	for _, u := range s.units {
		for _, d := range u.files {
			all[d] = true
		}
	}
	return all
}

// takeStock finds out what is needed. Whoever brings something meanwhile is known to
// the blob store.
func (x *Exchange) takeStock(ctx context.Context, before time.Time, dry bool, unlinked func(string, digest.Digest)) (*stock, error) {
	s := &stock{shelf: map[digest.Digest]bool{}, loose: map[digest.Digest]bool{}}
	if err := x.heldUnits(ctx, s); err != nil {
		return nil, fmt.Errorf("reading the images held: %w", err)
	}
	if err := x.upstreamUnits(s); err != nil {
		return nil, fmt.Errorf("reading the images of other registries: %w", err)
	}
	if err := x.looseNeeds(s); err != nil {
		return nil, fmt.Errorf("reading pins: %w", err)
	}
	if x.Shelf != nil {
		err := x.Shelf.Needs(ctx, before, dry, func(d digest.Digest) { s.shelf[d] = true }, unlinked)
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// heldUnits are the images that are held, and the records of those that are not
// whole: what is pinned of them is needed, and the rest is not.
func (x *Exchange) heldUnits(ctx context.Context, s *stock) error {
	records, err := x.Store.AllHeld()
	if err != nil {
		return err
	}
	for _, rec := range records {
		ih, err := swarm.ParseInfohash(rec.Infohash)
		if err != nil {
			return err
		}
		hold, ok := x.holdings.image(ih)
		if !ok {
			if m, err := x.readMap(rec.Map); err == nil && x.isPinned(rec.Root.Digest) {
				s.loose[rec.Map] = true
				for _, b := range m.Blobs {
					s.loose[b.Digest] = true
				}
			} else if !x.isPinned(rec.Root.Digest) {
				s.stale = append(s.stale, rec)
			}
			continue
		}
		u := &unit{
			root: rec.Root.Digest, infohash: rec.Infohash, size: hold.Map.Size, files: []digest.Digest{rec.Map},
			used: x.holdings.lastUse(ih), name: x.imageName(ctx, ih, rec.Root.Digest),
		}
		for _, b := range hold.Map.Blobs {
			u.files = append(u.files, b.Digest)
		}
		if u.why, err = x.whyHeld(ih, rec.Root.Digest); err != nil {
			return err
		}
		u.holders, u.counted = x.storage.counts.of(ih)
		u.refused = !u.stays() && !x.mayGive(ctx, ih)
		s.units = append(s.units, u)
	}
	return ctx.Err()
}

func (x *Exchange) whyHeld(ih swarm.Infohash, root digest.Digest) (string, error) {
	if x.isPinned(root) {
		return pinnedImage, nil
	}
	places, err := x.Store.ReleasesOf(ih.String())
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(places, func(at store.ReleaseAt) bool { return at.Author == x.Me.ID }) {
		return ownImage, nil
	}
	if x.isLent(ih) {
		return lentImage, nil
	}
	return fetched, nil
}

// imageName is what a person would call an image.
func (x *Exchange) imageName(ctx context.Context, ih swarm.Infohash, root digest.Digest) string {
	places, err := x.Store.ReleasesOf(ih.String())
	if err == nil && len(places) > 0 {
		if rec, err := x.recordAt(ctx, places[0]); err == nil {
			return x.refOf(rec.Author, rec.Repo, rec.Tag)
		}
	}
	return root.String()
}

// upstreamUnits are the images that were pulled from other registries.
func (x *Exchange) upstreamUnits(s *stock) error {
	byRoot := map[digest.Digest]*unit{}
	err := x.Store.Upstream().View(func(tx kv.Txn) error {
		for key, b := range tx.Each(imageKey, "") {
			a, err := decodeAnswer(b)
			if err != nil {
				continue // nothing can be read by it either
			}
			name, _, _ := strings.Cut(key, "@")
			u := byRoot[a.Root.Digest]
			if u == nil {
				u = &unit{root: a.Root.Digest, name: name + "@" + a.Root.Digest.String(), why: fromOthers, used: x.lastTouch(a.Root.Digest, a.Checked)}
				byRoot[a.Root.Digest] = u
			}
			u.names = append(u.names, name)
		}
		return tx.Err()
	})
	if err != nil {
		return err
	}
	for _, u := range byRoot {
		if x.isPinned(u.root) {
			u.why = pinnedImage
		}
		err := x.reach(u.root, func(d digest.Digest, size int64) {
			u.files = append(u.files, d)
			u.size += size
		})
		if err != nil {
			return err
		}
		s.units = append(s.units, u)
	}
	return nil
}

// looseNeeds are what pins need that are no units, and proposals.
func (x *Exchange) looseNeeds(s *stock) error {
	roots := map[digest.Digest]bool{}
	for _, p := range x.storage.pins.list() {
		roots[p.Digest] = true
	}
	proposed, err := x.proposed()
	if err != nil {
		return err
	}
	for _, p := range proposed {
		roots[p.Root] = true
		s.loose[p.Map] = true
	}
	for root := range roots {
		if err := x.reach(root, func(d digest.Digest, _ int64) { s.loose[d] = true }); err != nil {
			return err
		}
	}
	return nil
}

// reach tells each blob that a document refers to, with its size, whether or not it
// is here, and itself. A document that is not here, or is none, refers to nothing;
// one that cannot be read is an error, for what it refers to must stay.
func (x *Exchange) reach(root digest.Digest, tell func(d digest.Digest, size int64)) error {
	seen := map[digest.Digest]bool{}
	var walk func(d digest.Digest, size int64, depth int) error
	walk = func(d digest.Digest, size int64, depth int) error {
		if seen[d] || depth > image.MaxDepth {
			return nil
		}
		seen[d] = true
		have, err := x.Blobs.Stat(d)
		if notFound(err) {
			tell(d, size)
			return nil
		}
		if err != nil {
			return err
		}
		tell(d, have)
		if have > image.MaxManifest {
			return nil
		}
		b, err := x.readBlob(d, image.MaxManifest)
		if err != nil {
			return err
		}
		doc, err := image.Parse("", b)
		if err != nil {
			return nil //nolint:nilerr // a layer or a config
		}
		for _, m := range doc.Manifests {
			if err := walk(m.Digest, m.Size, depth+1); err != nil {
				return err
			}
		}
		leaf := func(l image.Descriptor) {
			if !seen[l.Digest] && !image.IsForeign(l.MediaType) {
				seen[l.Digest] = true
				tell(l.Digest, l.Size)
			}
		}
		if doc.Config != nil {
			leaf(*doc.Config)
		}
		for _, l := range doc.Layers {
			leaf(l)
		}
		return nil
	}
	return walk(root, 0, 0)
}
