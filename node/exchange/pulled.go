package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/upstream"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// PullConfig is how images are pulled through the registry. The zero value is the
// default.
type PullConfig struct {
	// Patience bounds the time without progress of a pull. Clients wait 100 seconds
	// and more, so this end gives up first, with a reason. Default 30 s.
	Patience time.Duration
	// Fresh is how long the answer of a third-party registry to a tag counts before
	// it is asked again. Default 10 s; below 0: not at all.
	Fresh time.Duration
	// SwarmBudget is how long somebody is looked for who has a layer of a
	// third-party image, before its registry is asked. Default 200 ms.
	SwarmBudget time.Duration
	// SwarmPatience is how long peers may bring nothing of it before the registry is
	// asked for the rest. Default 5 s.
	SwarmPatience time.Duration
	// Linger is how long a transfer goes on that no client waits for any more: one
	// that was cut off comes back, and one that asked for a manifest asks for the
	// layers next. What came by then stays, and whoever asks later goes on from it.
	// Default 2 min.
	Linger time.Duration
}

func (c PullConfig) linger() time.Duration {
	if c.Linger <= 0 {
		return 2 * time.Minute
	}
	return c.Linger
}

func (c PullConfig) swarmBudget() time.Duration {
	if c.SwarmBudget <= 0 {
		return 200 * time.Millisecond
	}
	return c.SwarmBudget
}

func (c PullConfig) swarmPatience() time.Duration {
	if c.SwarmPatience <= 0 {
		return 5 * time.Second
	}
	return c.SwarmPatience
}

func (c PullConfig) patience() time.Duration {
	if c.Patience <= 0 {
		return 30 * time.Second
	}
	return c.Patience
}

// ErrBusy: as much is under way as this node does at once.
var ErrBusy = errors.New("too many transfers at once")

// PullRequest asks for an image on behalf of a client of the registry.
type PullRequest struct {
	Target string // "alice/app:1.0", "bafk…/app@sha256:…", "quay.io/org/app:1.0"
	Client string // user agent, for the list of pulls
	// Peek: only the root is looked at, as by HEAD. Layers are fetched when
	// somebody pulls the image or opens one.
	Peek bool
}

// Pulled is an image that a client may read.
type Pulled struct {
	// Root is verified: its document and all documents below it are here or can be
	// opened with OpenContent.
	Root image.Descriptor
	// Stale, if it is not zero, says that the registry upstream could not be asked,
	// and that this is its last good answer, of that time.
	Stale time.Time
}

// Pull resolves a name and returns as soon as the documents of the image are here
// and the verdict on its release is good. Its layers go on arriving: OpenContent
// reads them meanwhile. When they are all here, the verdict is asked for again, on
// the content, and an image that it refuses is not held, given or opened any more.
//
// However many pull the same image, it is fetched once. When all of them leave, the
// fetch goes on for a while.
//
// A name in a third-party registry, "quay.io/org/app:1.0", is resolved there; see
// thirdparty.go.
func (x *Exchange) Pull(ctx context.Context, req PullRequest) (Pulled, error) {
	if x.isThirdParty(req.Target) {
		name := req.Target
		if ref, err := upstream.ParseRef(req.Target); err == nil {
			name = ref.Name()
		}
		o := x.noted(req, name)
		got, err := x.pullUpstream(ctx, req)
		x.pulls.resolved(o, got, err)
		return got, err
	}
	t, err := x.parseTarget(req.Target)
	if err != nil {
		return Pulled{}, err
	}
	o := x.noted(req, repoName(t))
	root, err := x.pullReleased(ctx, req, t, o)
	got := Pulled{Root: root}
	x.pulls.resolved(o, got, err)
	return got, err
}

// noted puts a pull on the list; nil where nobody pulls yet.
func (x *Exchange) noted(req PullRequest, repo string) *ongoing {
	if req.Peek {
		return nil
	}
	return x.pulls.begin(req, repo)
}

func (x *Exchange) pullReleased(ctx context.Context, req PullRequest, t target, o *ongoing) (image.Descriptor, error) {
	asked := t
	if d, ok := x.documentHere(ctx, t, req.Peek); ok {
		x.noteHere(o, repoName(t), d.Digest)
		return d, nil
	}
	c, t, err := x.findToPull(ctx, t)
	if err != nil {
		return image.Descriptor{}, err
	}
	if root, held, err := x.heldRoot(ctx, t, c); held || err != nil {
		x.pulls.change(o, func(o *ongoing) {
			if held && o.FromDisk+o.FromPeers == 0 {
				o.FromDisk = c.release.Size
				o.because("it is here")
			}
		})
		return root, err
	}
	if x.Net == nil {
		return image.Descriptor{}, ErrOffline
	}
	e, leave, err := x.readable(ctx, t, c, req.Peek)
	if err != nil {
		return image.Descriptor{}, err
	}
	defer leave()
	e.of.note(o)
	e.of.ask(asked, req.Peek) // the name as the client knows it, where the repository moved
	r := c.release.Image
	return image.Descriptor{MediaType: r.MediaType, Digest: r.Digest, Size: r.Size}, nil
}

// findToPull finds a release of the target whose verdict is good.
func (x *Exchange) findToPull(ctx context.Context, t target) (*candidate, target, error) {
	stall, ctx := newStall(ctx, x.Pulling.patience(), ErrTimeout)
	defer stall.cancel(nil)
	t, err := x.followFar(ctx, t)
	for err == nil {
		var c *candidate
		c, err = x.find(ctx, t)
		if further, far := x.movedOn(ctx, t, err); far {
			t, err = further, nil
			continue
		}
		if err == nil {
			return c, t, nil
		}
	}
	return nil, t, stallError(ctx, err)
}

// heldRoot gives the root of an image that is held already, if the verdict on its
// content is good too.
func (x *Exchange) heldRoot(ctx context.Context, t target, c *candidate) (image.Descriptor, bool, error) {
	ih, err := swarm.ParseInfohash(c.release.Infohash)
	if err != nil {
		return image.Descriptor{}, false, err
	}
	held, ok := x.useHeld(ih)
	if !ok || held.Map.Image.Digest != c.release.Image.Digest {
		return image.Descriptor{}, false, nil
	}
	claim := t.claim(c.proved)
	claim.Content = &ledger.Content{Digest: held.Map.Image.Digest, Infohash: ih.String()}
	if v := x.verdict(ctx, &claim); !v.Accepted {
		return image.Descriptor{}, false, &RejectedError{Ref: t.text, Verdict: v}
	}
	x.use(c.author, true)
	return rootOf(held.Map), true, nil
}

// documentHere finds a document that is named by its digest inside an image that
// may be read already, as that of one platform, which no release names.
func (x *Exchange) documentHere(ctx context.Context, t target, peek bool) (image.Descriptor, bool) {
	if t.magnet != nil || t.ref.Digest == "" {
		return image.Descriptor{}, false
	}
	f, err := x.openReleased(ctx, repoName(t), t.ref.Digest, peek)
	if err != nil {
		return image.Descriptor{}, false
	}
	defer f.Close()
	if f.Size() > image.MaxManifest {
		return image.Descriptor{}, false
	}
	b, err := io.ReadAll(f)
	if err != nil || t.ref.Digest.Algorithm().FromBytes(b) != t.ref.Digest {
		return image.Descriptor{}, false
	}
	doc, err := image.Parse("", b)
	if err != nil {
		return image.Descriptor{}, false
	}
	return image.Descriptor{MediaType: doc.MediaType, Digest: t.ref.Digest, Size: int64(len(b))}, true
}

// noteHere tells a pull of an image by digest, after somebody looked at its tag, where
// its bytes come from: with the delivery under way, or out of what is held.
func (x *Exchange) noteHere(o *ongoing, name string, d digest.Digest) {
	if o == nil {
		return
	}
	e, leave, ok := x.deliveries.find(func(del *delivery) bool {
		_, covers := del.covers(name, d)
		return covers
	})
	if ok {
		defer leave()
		if !e.ended() {
			e.of.note(o)
			return
		}
	}
	for _, ih := range x.holdings.with(d) {
		if hold, ok := x.holdings.image(ih); ok {
			x.pulls.change(o, func(o *ongoing) {
				if o.FromDisk+o.FromPeers == 0 {
					o.FromDisk = hold.Map.Size
					o.because("it is here")
				}
			})
			return
		}
	}
}

// repoName is the name of a target's repository with the id of its author.
func repoName(t target) string { return string(t.author) + "/" + t.ref.Repo }

// OpenContent opens a blob of an image that was pulled by a name, "alice/app", or
// that an accepted image covers. The reader ends with ctx.
func (x *Exchange) OpenContent(ctx context.Context, name string, d digest.Digest) (Content, error) {
	if err := image.CheckDigest(d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if x.isThirdParty(name) {
		return x.openUpstream(ctx, name, d)
	}
	ref, err := image.ParseRef(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	author, err := x.resolveAuthor(ref.Author)
	if err != nil {
		return nil, err
	}
	return x.openReleased(ctx, string(author)+"/"+ref.Repo, d, false)
}

// openReleased opens a blob that is here and may be given, or that a delivery under
// the name brings.
func (x *Exchange) openReleased(ctx context.Context, name string, d digest.Digest, peek bool) (Content, error) {
	if x.mayGiveBlob(ctx, d) {
		for _, ih := range x.holdings.with(d) {
			x.useHeld(ih)
		}
		if c, err := x.openWhole(d); err == nil || !errors.Is(err, ErrNotFound) {
			return c, err
		}
	}
	var b image.TorrentBlob
	e, leave, ok := x.deliveries.find(func(del *delivery) bool {
		got, ok := del.covers(name, d)
		if ok {
			b = got
		}
		return ok
	})
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, d)
	}
	if e.ended() && e.err != nil {
		leave()
		return nil, e.err
	}
	c := x.openComing(ctx, d, b.Size, e.done, func() error { return e.err }, leave)
	if !peek {
		e.of.want(d) // after the reader told where it begins
	}
	return c, nil
}
