package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/upstream"
)

// Upstream is what the roads need of third-party registries.
type Upstream interface {
	Head(ctx context.Context, ref upstream.Ref) (digest.Digest, error)
	Manifest(ctx context.Context, ref upstream.Ref) (image.Descriptor, []byte, error)
	Blob(ctx context.Context, ref upstream.Ref, d digest.Digest, from, to int64) (io.ReadCloser, error)
}

var (
	// ErrUpstream: a third-party registry cannot be asked, and gave no answer before
	// that would do.
	ErrUpstream = errors.New("the registry behind this name cannot be asked")
	// ErrUpstreamDenied: it does not give the image to who asks.
	ErrUpstreamDenied = errors.New("the registry behind this name refuses")
	// ErrUpstreamLimited: it was asked too often.
	ErrUpstreamLimited = errors.New("the registry behind this name was asked too often")
)

// isThirdParty tells whether a name is one in another registry: its first component
// has a dot or a port, and is no petname.
func (x *Exchange) isThirdParty(name string) bool {
	first, _, ok := strings.Cut(name, "/")
	if !ok || !upstream.IsHost(first) || strings.HasPrefix(strings.ToLower(name), "magnet:") {
		return false
	}
	_, err := x.Store.Alias(first)
	return err != nil
}

// pullUpstream finds out what a name in another registry means. Its documents and
// layers are brought when they are opened.
func (x *Exchange) pullUpstream(ctx context.Context, req PullRequest) (Pulled, error) {
	ref, err := upstream.ParseRef(req.Target)
	if err != nil {
		return Pulled{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if x.Upstream == nil {
		return Pulled{}, ErrOffline
	}
	if ref.Digest != "" {
		return x.pullByDigest(ctx, ref)
	}
	e, leave, err := x.asking.join(ref.String(),
		func() *asked { return &asked{} },
		func(ctx context.Context, e *effort[*asked]) (err error) {
			ctx, cancel := context.WithTimeout(ctx, x.Pulling.patience())
			defer cancel()
			e.of.got, err = x.resolveTag(ctx, ref)
			return err
		})
	if err != nil {
		return Pulled{}, err
	}
	defer leave()
	select {
	case <-e.done:
		return e.of.got, e.err
	case <-ctx.Done():
		return Pulled{}, context.Cause(ctx)
	}
}

// asked is one question to a registry, for all who ask it at once.
type asked struct{ got Pulled }

func (x *Exchange) pullByDigest(ctx context.Context, ref upstream.Ref) (Pulled, error) {
	c, err := x.openUpstream(ctx, ref.Name(), ref.Digest)
	if err == nil {
		defer c.Close()
		var b []byte
		if c.Size() <= image.MaxManifest {
			b, err = io.ReadAll(c)
		}
		if err == nil {
			doc, perr := image.Parse("", b)
			if perr != nil {
				return Pulled{}, fmt.Errorf("%w: %s is no manifest", ErrNotFound, ref.Digest)
			}
			return Pulled{Root: image.Descriptor{MediaType: doc.MediaType, Digest: ref.Digest, Size: int64(len(b))}}, nil
		}
	}
	root, err := x.fetchDocument(ctx, ref)
	if err != nil {
		return Pulled{}, err
	}
	return Pulled{Root: root}, x.grants.add(x, ref.Name(), root)
}

// resolveTag asks the registry what a tag means, unless it was asked a moment ago,
// and answers what it said last where it cannot be asked.
func (x *Exchange) resolveTag(ctx context.Context, ref upstream.Ref) (Pulled, error) {
	last, known := x.lastAnswer(ref)
	known = known && x.isHere(last.Root)
	now := x.now()
	if known && now.Sub(last.Checked) < x.Pulling.fresh() && !last.Checked.After(now) {
		return Pulled{Root: last.Root}, x.grants.add(x, ref.Name(), last.Root)
	}
	root, err := x.askTag(ctx, ref, last, known)
	switch {
	case err == nil:
		if err := x.keepAnswer(ref, tagAnswer{Root: root, Checked: now.UTC()}); err != nil {
			return Pulled{}, fmt.Errorf("keeping the answer: %w", err)
		}
		return Pulled{Root: root}, x.grants.add(x, ref.Name(), root)
	case known && !errors.Is(err, upstream.ErrNotFound) && !errors.Is(err, upstream.ErrDenied) && !errors.Is(err, ErrNoSpace):
		x.upstreamStats.stale.Add(1)
		x.log.Warn("registry cannot be asked; its last answer serves", "ref", ref, "since", last.Checked, "err", err)
		return Pulled{Root: last.Root, Stale: last.Checked}, x.grants.add(x, ref.Name(), last.Root)
	}
	return Pulled{}, err
}

// askTag asks by HEAD first, which registries do not count, and for the document only
// if it is not here.
func (x *Exchange) askTag(ctx context.Context, ref upstream.Ref, last tagAnswer, known bool) (image.Descriptor, error) {
	if known {
		d, err := x.Upstream.Head(ctx, ref)
		if err != nil {
			return image.Descriptor{}, upstreamError(err)
		}
		if d == last.Root.Digest {
			return last.Root, nil
		}
	}
	return x.fetchDocument(ctx, ref)
}

// fetchDocument brings a manifest or an index from the registry.
func (x *Exchange) fetchDocument(ctx context.Context, ref upstream.Ref) (image.Descriptor, error) {
	d, b, err := x.Upstream.Manifest(ctx, ref)
	if err != nil {
		return image.Descriptor{}, upstreamError(err)
	}
	x.upstreamStats.bytes.Add(int64(len(b)))
	return d, spaceError(x.Blobs.Put(ctx, d.Digest, d.Size, bytes.NewReader(b)))
}

func (x *Exchange) isHere(d image.Descriptor) bool {
	size, err := x.Blobs.Use(d.Digest)
	return err == nil && size == d.Size
}

// upstreamError says it in the words of the roads.
func upstreamError(err error) error {
	switch {
	case errors.Is(err, upstream.ErrNotFound):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, upstream.ErrDenied):
		return fmt.Errorf("%w: %w", ErrUpstreamDenied, err)
	case errors.Is(err, upstream.ErrRateLimited):
		return fmt.Errorf("%w: %w", ErrUpstreamLimited, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUpstream, err)
}

// openUpstream opens a blob of an image that was pulled by a name, and begins to
// bring it if it is not here.
func (x *Exchange) openUpstream(ctx context.Context, name string, d digest.Digest) (Content, error) {
	want, ok := x.grants.find(x, name, d)
	if !ok {
		return nil, fmt.Errorf("%w: %s was not pulled as part of %s", ErrNotFound, d, name)
	}
	if x.isHere(want) {
		x.pulls.fromDisk(name, want)
		return x.openWhole(d)
	}
	if x.Upstream == nil {
		return nil, ErrOffline
	}
	ref, err := upstream.ParseRef(name + "@" + d.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if image.IsManifest(want.MediaType) || image.IsIndex(want.MediaType) {
		got, err := x.fetchDocument(ctx, ref)
		if err == nil && got.Size != want.Size {
			err = fmt.Errorf("%w: %s has %d bytes, not %d", ErrUpstream, d, got.Size, want.Size)
		}
		if err == nil {
			x.pulls.bytes(name, 0, got.Size)
			err = x.grants.add(x, name, want)
		}
		if err != nil {
			return nil, err
		}
		return x.openWhole(d)
	}
	e, leave, err := x.layers.join(ref.String(),
		func() *layer { return &layer{x: x, ref: ref, want: want} },
		func(ctx context.Context, e *effort[*layer]) error { return e.of.run(ctx) })
	if err != nil {
		return nil, err
	}
	return x.openComing(ctx, d, want.Size, e.done, func() error { return e.err }, leave), nil
}

// grants are what clients may read under names in other registries: what belongs to
// the images that were pulled by them.
type grants struct {
	mu    sync.Mutex
	names map[string]map[digest.Digest]image.Descriptor
	size  int
}

// maxGrants bounds the blobs remembered; beyond it all are forgotten, and read from
// the documents here again.
const maxGrants = 200_000

// add lets an image be read under a name, as far as its documents are here, and
// remembers it.
func (g *grants) add(x *Exchange, name string, root image.Descriptor) error {
	x.touch(root.Digest)
	if err := x.rememberImage(name, root); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.walk(x, g.of(x, name), root, 0)
}

// of gives the grants of a name. The caller holds mu.
func (g *grants) of(x *Exchange, name string) map[digest.Digest]image.Descriptor {
	if g.names == nil || g.size > maxGrants {
		g.names, g.size = map[string]map[digest.Digest]image.Descriptor{}, 0
	}
	m, known := g.names[name]
	if !known {
		m = map[digest.Digest]image.Descriptor{}
		g.names[name] = m
		for _, root := range x.imagesOf(name) {
			if err := g.walk(x, m, root, 0); err != nil {
				x.log.Debug("image of a registry does not read", "digest", root.Digest, "err", err)
			}
		}
	}
	return m
}

// walk adds what a document lists, and what the documents here below it do.
func (g *grants) walk(x *Exchange, m map[digest.Digest]image.Descriptor, d image.Descriptor, depth int) error {
	if _, known := m[d.Digest]; !known {
		g.size++
	}
	m[d.Digest] = d
	if !image.IsManifest(d.MediaType) && !image.IsIndex(d.MediaType) || depth > image.MaxDepth || !x.isHere(d) {
		return nil
	}
	b, err := x.readBlob(d.Digest, image.MaxManifest)
	if err != nil {
		return err
	}
	doc, err := image.Parse(d.MediaType, b)
	if err != nil {
		return err
	}
	below := append([]image.Descriptor{}, doc.Manifests...)
	if doc.Config != nil {
		below = append(below, *doc.Config)
	}
	for _, l := range doc.Layers {
		if !image.IsForeign(l.MediaType) {
			below = append(below, l)
		}
	}
	for _, c := range below {
		c = image.Descriptor{MediaType: c.MediaType, Digest: c.Digest, Size: c.Size}
		if err := g.walk(x, m, c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// find gives the descriptor of a blob that may be read under a name.
func (g *grants) find(x *Exchange, name string, d digest.Digest) (image.Descriptor, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	want, ok := g.of(x, name)[d]
	return want, ok
}

// fresh is how long an answer counts without being asked for again.
func (c PullConfig) fresh() time.Duration {
	if c.Fresh == 0 {
		return 10 * time.Second
	}
	return c.Fresh
}
