package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
)

const (
	// maxDeliveries bounds the images on their way to clients at once.
	maxDeliveries = 64
	// maxWanted bounds the blobs of an image that are brought out of turn at once,
	// because a client reads them.
	maxWanted = 6
)

// delivery is an image of an author on its way to clients, who read what is here
// of it before the rest is. There is one for each release, however many ask.
type delivery struct {
	x *Exchange
	t target
	c *candidate

	readable chan struct{} // closed when the documents and configs are here
	start    chan struct{} // closed when somebody wants more than those
	once     sync.Once
	wants    chan digest.Digest

	mu    sync.Mutex
	names map[string]bool // AUTHOR-ID/REPO by which it was asked for
	blobs map[digest.Digest]image.TorrentBlob
	load  func() (fromPeers, fromDisk int64) // so far; nil until something is fetched
	pulls []*ongoing                         // of the list, which wait for the end
	over  bool
}

func (x *Exchange) newDelivery(t target, c *candidate) *delivery {
	return &delivery{
		x: x, t: t, c: c,
		readable: make(chan struct{}), start: make(chan struct{}), wants: make(chan digest.Digest, 64),
		names: map[string]bool{},
	}
}

// readable waits with others for the image of a release to be readable, and leaves
// it to go on. peek: nobody wants more than the documents yet.
func (x *Exchange) readable(ctx context.Context, t target, c *candidate, peek bool) (*effort[*delivery], func(), error) {
	key := c.release.Infohash + "/" + string(c.author)
	e, leave, err := x.deliveries.join(key,
		func() *delivery { return x.newDelivery(t, c) },
		func(ctx context.Context, e *effort[*delivery]) error { return e.of.run(ctx) })
	if err != nil {
		return nil, nil, err
	}
	e.of.ask(t, peek)
	select {
	case <-e.of.readable:
		return e, leave, nil
	case <-e.done:
		err = e.err
		if err == nil {
			return e, leave, nil
		}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	leave()
	return nil, nil, err
}

// ask notes the name by which somebody asks, and whether for more than documents.
func (d *delivery) ask(t target, peek bool) {
	if t.magnet == nil {
		d.mu.Lock()
		d.names[repoName(t)] = true
		d.mu.Unlock()
	}
	if !peek {
		d.once.Do(func() { close(d.start) })
	}
}

// covers tells whether a blob belongs to the image, asked for by a name.
func (d *delivery) covers(name string, of digest.Digest) (image.TorrentBlob, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.blobs[of]
	return b, ok && d.names[name]
}

// note has a pull on the list wait for the end.
func (d *delivery) note(o *ongoing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o == nil || d.over || slices.Contains(d.pulls, o) || len(d.pulls) >= maxPulls {
		return
	}
	joins := len(d.pulls) > 0
	d.pulls = append(d.pulls, o)
	d.x.pulls.change(o, func(o *ongoing) {
		o.active++
		if joins {
			o.because("it joined a transfer under way, which counts the bytes")
		}
	})
}

// tellPulls tells the list how the transfer ended.
func (d *delivery) tellPulls(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	for i, o := range d.pulls {
		d.x.pulls.change(o, func(o *ongoing) {
			o.active = max(o.active-1, 0)
			if d.load != nil && i == 0 {
				fromPeers, fromDisk := d.load()
				o.FromPeers, o.FromDisk = o.FromPeers+fromPeers, o.FromDisk+fromDisk
			}
			if err != nil {
				o.failed = true
				o.because(err.Error())
			}
		})
	}
}

// run brings the image, and checks it as Fetch does.
func (d *delivery) run(ctx context.Context) (err error) {
	defer func() { d.tellPulls(err) }()
	stall, ctx := newStall(ctx, d.x.Pulling.patience(), ErrTimeout)
	defer stall.cancel(nil)
	done := d.x.transfer.begin(d.t.text, d.c.release.Size)
	defer done.end()
	grown := growth(stall.progressed)
	stall.holdWhile(d.x.isPaused)
	got, err := d.x.obtainFor(ctx, d.t, d.c, d.stages(stall), func(p Progress) {
		grown(p)
		done.update(p)
	})
	if err != nil {
		return stallError(ctx, spaceError(err))
	}
	claim := d.t.claim(d.c.proved)
	claim.Content = &ledger.Content{Digest: got.held.Map.Image.Digest, Infohash: got.infohash.String()}
	if v := d.x.verdict(ctx, &claim); !v.Accepted {
		return &RejectedError{Ref: d.t.text, Verdict: v}
	}
	d.x.use(d.c.author, true)
	return nil
}

// stages are what an image passes through that is read before it is here whole.
type stages struct {
	// documentsHere is called when all of its documents and configs are here, and
	// returns when the rest is wanted.
	documentsHere func(ctx context.Context, dl *download, m image.TorrentMap) error
	// wants are blobs that somebody waits for.
	wants <-chan digest.Digest
}

func (d *delivery) stages(stall *stall) *stages {
	return &stages{wants: d.wants, documentsHere: func(ctx context.Context, dl *download, m image.TorrentMap) error {
		d.mu.Lock()
		d.blobs = make(map[digest.Digest]image.TorrentBlob, len(m.Blobs))
		for _, b := range m.Blobs {
			d.blobs[b.Digest] = b
		}
		d.load = func() (int64, int64) {
			fromPeers, _ := dl.sources()
			return fromPeers, dl.resumed()
		}
		d.mu.Unlock()
		close(d.readable)
		stall.stop()
		defer stall.progressed()
		select {
		case <-d.start:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}}
}

// want has a blob brought before others.
func (d *delivery) want(of digest.Digest) {
	d.once.Do(func() { close(d.start) })
	select {
	case d.wants <- of:
	default: // it comes when its turn is
	}
}

// growth calls progressed when something has arrived, for reports come also while
// nothing does.
func growth(progressed func()) func(Progress) {
	var mu sync.Mutex
	seen := map[string]int64{}
	return func(p Progress) {
		mu.Lock()
		more := p.Done > seen[p.Step+p.Item]
		seen[p.Step+p.Item] = max(p.Done, seen[p.Step+p.Item])
		mu.Unlock()
		if more {
			progressed()
		}
	}
}

// documents gets all documents and configs of an image, from its root, and so finds
// out whether the torrent map lists the blobs of the image, and no others.
func (d *download) documents(ctx context.Context, c *candidate, m image.TorrentMap) error {
	listed := make(map[digest.Digest]image.TorrentBlob, len(m.Blobs))
	for _, b := range m.Blobs {
		listed[b.Digest] = b
	}
	get := func(ctx context.Context, want image.Descriptor) ([]byte, error) {
		b, ok := listed[want.Digest]
		if !ok {
			return nil, errOtherBlobs
		}
		if err := d.blob(ctx, b); err != nil {
			return nil, &fetchError{want.Digest, err}
		}
		return d.x.readDocument(ctx, want)
	}
	img, err := image.Walk(ctx, rootOf(m), get)
	var fetching *fetchError
	switch {
	case errors.As(err, &fetching):
		return err
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && !sameBlobs(img, m):
		err = errOtherBlobs
	}
	if err != nil {
		return d.x.contentRefused(ctx, c, "", fmt.Errorf("the image does not read: %w", err))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelBlobs)
	for _, b := range img.Blobs {
		if b.Role == image.RoleConfig {
			g.Go(func() error { return d.blobNamed(ctx, listed[b.Digest]) })
		}
	}
	return g.Wait()
}

var errOtherBlobs = errors.New("its torrent map lists other blobs than the image has")

// fetchError is that of a document which could not be had, which says nothing of
// the image.
type fetchError struct {
	digest digest.Digest
	err    error
}

func (e *fetchError) Error() string { return fmt.Sprintf("fetching %s: %v", e.digest, e.err) }

func (e *fetchError) Unwrap() error { return e.err }
