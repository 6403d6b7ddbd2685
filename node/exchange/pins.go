package exchange

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
	"github.com/dockchains/dockchain/node/upstream"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// maxPins bounds the pins of a node, and what it follows.
const maxPins = 10_000

// PinRequest asks for an image to be kept whatever the quota says.
type PinRequest struct {
	// Target is a magnet link, a reference, or the digest of an image that is here.
	Target string `json:"target"`
	// Follow keeps the newest release of a repository pinned: "alice/app", or of
	// one tag of it, "alice/app:1".
	Follow bool `json:"follow,omitempty"`
	// NoFetch pins only what is here whole.
	NoFetch bool          `json:"no_fetch,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"` // as of a fetch
}

// Pin is an image that is kept.
type Pin struct {
	Digest   string    `json:"digest"` // of its first document
	Ref      string    `json:"ref,omitempty"`
	Infohash string    `json:"infohash,omitempty"` // "" for one that nobody released
	Magnet   string    `json:"magnet,omitempty"`
	Size     int64     `json:"size"`
	Added    time.Time `json:"added"`
	Follows  string    `json:"follows,omitempty"` // because of that
	Whole    bool      `json:"whole"`             // all of it is here
	// Holders is how many nodes answered that they hold it when they were counted
	// last, this one among them; nil: they were not counted.
	Holders *int      `json:"holders,omitempty"`
	Counted time.Time `json:"counted,omitzero"`
}

// Followed is a repository whose newest release is kept pinned.
type Followed struct {
	Name   string    `json:"name"` // AUTHOR/REPO[:TAG]
	Added  time.Time `json:"added"`
	Digest string    `json:"digest,omitempty"` // that is pinned for it
	Error  string    `json:"error,omitempty"`  // why the newest is not
}

// Pins are all of them.
type Pins struct {
	Pins    []Pin      `json:"pins"`
	Follows []Followed `json:"follows"`
}

// Pin keeps an image, which is fetched if it is not here. It is durable when Pin
// returns.
func (x *Exchange) Pin(ctx context.Context, req PinRequest, report func(Progress)) (Pin, error) {
	if req.Follow {
		return x.pinFollowed(ctx, req, report)
	}
	release := x.Blobs.Lease() // so that it does not go between its coming and its pin
	defer release()
	rec, err := x.findPin(ctx, req, report)
	if err == nil {
		err = x.putPin(rec)
	}
	if err != nil {
		return Pin{}, err
	}
	x.storage.pins.wake()
	return x.describePin(rec), nil
}

// findPin finds what is to be pinned, and brings it.
func (x *Exchange) findPin(ctx context.Context, req PinRequest, report func(Progress)) (pinRecord, error) {
	rec := pinRecord{Added: x.now().UTC().Truncate(time.Second)}
	if d := digest.Digest(req.Target); image.CheckDigest(d) == nil {
		return x.pinDigest(ctx, rec, d, req, report)
	}
	if x.isThirdParty(req.Target) {
		return x.pinUpstream(ctx, rec, req)
	}
	t, err := x.parseTarget(req.Target)
	if err != nil {
		return rec, err
	}
	if req.NoFetch {
		return x.pinHere(ctx, rec, t)
	}
	got, err := x.Fetch(ctx, FetchRequest{Target: req.Target, Timeout: req.Timeout}, report)
	if err != nil {
		return rec, err
	}
	m, err := swarm.ParseMagnet(got.Magnet)
	if err != nil {
		return rec, err
	}
	rec.Digest, rec.Infohash, rec.Author = digest.Digest(got.Digest), m.Infohash.String(), ledger.AuthorID(got.Author)
	rec.Name, rec.Size = m.Name, got.Size
	return rec, nil
}

// pinHere finds a release that is held.
func (x *Exchange) pinHere(ctx context.Context, rec pinRecord, t target) (pinRecord, error) {
	t, err := x.follow(t)
	if err != nil {
		return rec, err
	}
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return rec, err
	}
	for _, r := range records {
		ih, err := swarm.ParseInfohash(r.Infohash)
		if err != nil {
			return rec, err
		}
		if hold, ok := x.holdings.take(ih, x.now()); ok {
			rec.Digest, rec.Infohash, rec.Author, rec.Name, rec.Size = r.Digest, r.Infohash, r.Author, r.Repo+":"+r.Tag, hold.Map.Size
			return rec, nil
		}
	}
	return rec, fmt.Errorf("%w: %s is not here whole", ErrNotFound, t.text)
}

// pinDigest pins what is here under a digest: an image that is held, one that was
// pushed or pulled from another registry, or else one that somebody released.
func (x *Exchange) pinDigest(ctx context.Context, rec pinRecord, d digest.Digest, req PinRequest, report func(Progress)) (pinRecord, error) {
	places, err := x.Store.ReleasesOfDigest(d)
	if err != nil {
		return rec, err
	}
	for _, at := range places {
		r, err := x.recordAt(ctx, at)
		if err != nil {
			return rec, err
		}
		target := pinRecord{Infohash: r.Infohash, Author: r.Author, Name: r.Repo + ":" + r.Tag, Size: r.Size}.target()
		if got, err := x.findPin(ctx, PinRequest{Target: target, NoFetch: req.NoFetch, Timeout: req.Timeout}, report); err == nil {
			return got, nil
		}
	}
	if _, err := x.Blobs.Use(d); err != nil {
		return rec, fmt.Errorf("%w: %s", ErrNotFound, d)
	}
	b, err := x.readBlob(d, image.MaxManifest)
	if err != nil {
		return rec, err
	}
	if _, err := image.Parse("", b); err != nil {
		return rec, fmt.Errorf("%w: %s is no image: %w", ErrBadRequest, d, err)
	}
	rec.Digest = d
	if x.isUpstreamRoot(d) {
		return rec, x.measurePin(&rec)
	}
	missing := digest.Digest("")
	err = x.reach(d, func(of digest.Digest, size int64) {
		rec.Size += size
		if _, err := x.Blobs.Use(of); err != nil {
			missing = of
		}
	})
	if err == nil && missing != "" {
		err = fmt.Errorf("%w: %s, which %s needs, is not here", ErrNotFound, missing, d)
	}
	return rec, err
}

// pinUpstream pins an image of another registry: what clients pulled of it, and pull
// from now on, as only they know which platforms they want.
func (x *Exchange) pinUpstream(ctx context.Context, rec pinRecord, req PinRequest) (pinRecord, error) {
	ref, err := upstream.ParseRef(req.Target)
	if err != nil {
		return rec, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if last, ok := x.lastAnswer(ref); ok && x.isHere(last.Root) && req.NoFetch {
		rec.Digest = last.Root.Digest
		return rec, x.measurePin(&rec)
	}
	if req.NoFetch {
		return rec, fmt.Errorf("%w: %s was not pulled", ErrNotFound, req.Target)
	}
	got, err := x.Pull(ctx, PullRequest{Target: req.Target, Client: "dockchain", Peek: true})
	if err != nil {
		return rec, err
	}
	rec.Digest = got.Root.Digest
	return rec, x.measurePin(&rec)
}

// measurePin finds out how large an image is.
func (x *Exchange) measurePin(rec *pinRecord) error {
	return x.reach(rec.Digest, func(_ digest.Digest, size int64) { rec.Size += size })
}

// isUpstreamRoot tells whether an image was pulled from another registry.
func (x *Exchange) isUpstreamRoot(d digest.Digest) bool {
	found := false
	err := x.Store.Upstream().View(func(tx kv.Txn) error {
		for key := range tx.Each(imageKey, "") {
			if strings.HasSuffix(key, "@"+d.String()) {
				found = true
				break
			}
		}
		return tx.Err()
	})
	return found && err == nil
}

// Unpin takes a pin back, or stops following. The image stays until its room is
// needed.
func (x *Exchange) Unpin(_ context.Context, target string) error {
	match, err := x.pinMatcher(target)
	if err != nil {
		return err
	}
	key, isFollow := x.followedAs(target)
	if isFollow {
		if err := x.unfollow(key); err != nil {
			return err
		}
	}
	n := 0
	for _, rec := range x.storage.pins.list() {
		if isFollow && rec.Follows == key || match(rec) {
			if err := x.dropPin(rec.Digest); err != nil {
				return err
			}
			n++
		}
	}
	if n == 0 && !isFollow {
		return fmt.Errorf("%w: %s is not pinned", ErrNotFound, target)
	}
	return nil
}

// pinMatcher tells the pins that a person means: by digest, link or name.
func (x *Exchange) pinMatcher(target string) (func(pinRecord) bool, error) {
	if d := digest.Digest(target); image.CheckDigest(d) == nil {
		return func(p pinRecord) bool { return p.Digest == d }, nil
	}
	if x.isThirdParty(target) {
		ref, err := upstream.ParseRef(target)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
		}
		last, ok := x.lastAnswer(ref)
		return func(p pinRecord) bool { return ok && p.Digest == last.Root.Digest || p.Digest == ref.Digest }, nil
	}
	t, err := x.parseTarget(target)
	if err != nil {
		return nil, err
	}
	return func(p pinRecord) bool {
		if t.magnet != nil {
			return p.Infohash == t.infohash()
		}
		if t.ref.Digest != "" && t.ref.Digest != p.Digest {
			return false
		}
		return p.Author == t.author && (p.Name == t.ref.Repo+":"+t.ref.Tag || t.ref.Tag == "" && strings.HasPrefix(p.Name, t.ref.Repo+":"))
	}, nil
}

// Pins lists the pins, the oldest first.
func (x *Exchange) Pins(context.Context) (Pins, error) {
	all := Pins{Pins: []Pin{}, Follows: []Followed{}}
	for _, rec := range x.storage.pins.list() {
		all.Pins = append(all.Pins, x.describePin(rec))
	}
	p := &x.storage.pins
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(p.follows)) {
		f := p.follows[key]
		all.Follows = append(all.Follows, Followed{Name: x.followName(key), Added: f.Added, Digest: f.Digest.String(), Error: f.failed})
	}
	return all, nil
}

func (x *Exchange) describePin(rec pinRecord) Pin {
	p := Pin{Digest: rec.Digest.String(), Infohash: rec.Infohash, Magnet: rec.target(), Size: rec.Size, Added: rec.Added}
	if rec.Follows != "" {
		p.Follows = x.followName(rec.Follows)
	}
	ih, err := swarm.ParseInfohash(rec.Infohash)
	if err != nil {
		p.Whole = true
		err := x.reach(rec.Digest, func(d digest.Digest, _ int64) {
			if _, err := x.Blobs.Stat(d); err != nil {
				p.Whole = false
			}
		})
		p.Whole = p.Whole && err == nil
		return p
	}
	if repo, tag, ok := strings.Cut(rec.Name, ":"); ok {
		p.Ref = x.refOf(rec.Author, repo, tag)
	}
	_, p.Whole = x.holdings.image(ih)
	c, known := x.storage.counts.get(ih)
	if known {
		n := c.others
		if p.Whole {
			n++
		}
		p.Holders, p.Counted = &n, c.at
	}
	return p
}

// pinFigures counts pins, and those with too few holders.
func (x *Exchange) pinFigures() (pinned, scarce int) {
	for _, rec := range x.storage.pins.list() {
		pinned++
		if x.isScarce(rec) {
			scarce++
		}
	}
	return pinned, scarce
}
