package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// parallelBlobs bounds the blobs of one image under way at once.
	parallelBlobs = 6
	// patience is how long nodes may leave a blob without a verified piece
	// before ordinary clients are asked too.
	patience = 15 * time.Second
)

// download brings the blobs of one image here. Its holders are found while it
// runs.
type download struct {
	x       *Exchange
	ih      swarm.Infohash
	report  func(Progress)
	holders *holders
	outside outside
	image   *imageHashing   // set before blobs
	ctx     context.Context // of what goes on beside; ends with close
	stop    context.CancelFunc
	looking sync.WaitGroup

	mu       sync.Mutex
	from     map[string]int64 // bytes by peer
	fromDisk int64
	seen     map[digest.Digest]bool // blobs that were here or have come
}

func (x *Exchange) newDownload(ctx context.Context, ih swarm.Infohash, report func(Progress)) *download {
	ctx, stop := context.WithCancel(ctx)
	d := &download{x: x, ih: ih, holders: newHolders(), ctx: ctx, stop: stop, from: map[string]int64{}, seen: map[digest.Digest]bool{}}
	d.outside.came = make(chan struct{})
	d.report = d.outside.heeds(report)
	d.looking.Go(func() { d.look(ctx) })
	return d
}

func (d *download) close() {
	d.stop()
	d.looking.Wait()
}

// look finds holders until the download ends, ever more seldom.
func (d *download) look(ctx context.Context) {
	for pause := lookEvery; ctx.Err() == nil; pause = min(2*pause, 15*time.Second) {
		for info := range d.x.Net.FindProviders(ctx, infohashKey(d.ih), maxProviders) {
			if info.ID != d.x.Net.ID() {
				d.holders.add(info.ID)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (d *download) got(from peer.ID, n int64) { d.gotFrom(from.String(), n) }

func (d *download) gotFrom(from string, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.from[from] += n
}

// sources are the bytes got from peers, in all and by peer.
func (d *download) sources() (int64, map[string]int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := int64(0)
	for _, n := range d.from {
		total += n
	}
	return total, d.from
}

// resumed are the bytes that were here already.
func (d *download) resumed() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fromDisk
}

// torrentMap gets the document that lists the image's blobs and their torrents,
// which the release commits to by digest.
func (d *download) torrentMap(ctx context.Context, c *candidate) (image.TorrentMap, digest.Digest, error) {
	want := c.release.Torrents
	if want.Size > MaxDirectBlob {
		return image.TorrentMap{}, "", fmt.Errorf("its torrent map of %d bytes is larger than the %d allowed", want.Size, MaxDirectBlob)
	}
	if err := d.direct(ctx, want.Digest, want.Size); err != nil {
		return image.TorrentMap{}, "", err
	}
	m, err := d.x.readMap(want.Digest)
	if err == nil && (m.Infohash != c.release.Infohash || m.Image.Digest != c.release.Image.Digest || m.Size != c.release.Size) {
		err = errors.New("it is of another image than the release")
	}
	if err != nil {
		return m, "", d.x.contentRefused(ctx, c, "", fmt.Errorf("the torrent map does not fit: %w", err))
	}
	return m, want.Digest, nil
}

// log makes sure that the author's log is here up to the release, so that this
// node can vouch for it to others and notices when the log changes.
func (d *download) log(ctx context.Context, c *candidate) error {
	defer d.x.limits.ask(c.author)()
	for {
		head, err := d.x.Ledger.Head(c.author)
		if err != nil && !notFound(err) {
			return err
		}
		if head.Size >= c.size {
			return nil
		}
		for _, p := range d.ranked(d.x.Net.Connected(), nil) {
			if err = d.x.CatchUp(ctx, c.author, p); err == nil {
				break
			}
			if errors.Is(err, ErrOverQuota) {
				return err // which does not change by asking others
			}
		}
		if head, herr := d.x.Ledger.Head(c.author); herr == nil && head.Size >= c.size {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(lookEvery):
		}
	}
}

// blobs gets every blob of the map that is not here, those that somebody wants
// meanwhile out of turn.
func (d *download) blobs(ctx context.Context, m image.TorrentMap, wants <-chan digest.Digest) error {
	g, ctx := errgroup.WithContext(ctx)
	out, stop := context.WithCancel(ctx)
	defer stop()
	g.Go(func() error { return d.outOfTurn(out, m, wants) })
	g.Go(func() error {
		defer stop()
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(parallelBlobs)
		for _, b := range m.Blobs {
			if ctx.Err() != nil {
				break
			}
			g.Go(func() error { return d.blobNamed(ctx, b) })
		}
		return g.Wait()
	})
	return g.Wait()
}

// outOfTurn gets blobs that somebody wants, until ctx ends, which is no error.
func (d *download) outOfTurn(ctx context.Context, m image.TorrentMap, wants <-chan digest.Digest) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(maxWanted)
	for gctx.Err() == nil {
		select {
		case <-gctx.Done():
		case want := <-wants:
			if i := slices.IndexFunc(m.Blobs, func(b image.TorrentBlob) bool { return b.Digest == want }); i >= 0 {
				g.Go(func() error { return d.blobNamed(gctx, m.Blobs[i]) })
			}
		}
	}
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

func (d *download) blobNamed(ctx context.Context, b image.TorrentBlob) error {
	if err := d.blob(ctx, b); err != nil {
		return fmt.Errorf("fetching %s: %w", b.Digest, err)
	}
	return nil
}

// blob gets one blob, unless it is here: directly where it is small, else
// through its layer torrent.
func (d *download) blob(ctx context.Context, b image.TorrentBlob) error {
	unlock, err := d.x.blobLock.lock(ctx, b.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	arr := d.x.arrivals.of(b.Digest, b.Size)
	defer d.x.arrivals.drop(arr)
	if size, err := d.x.Blobs.Use(b.Digest); err == nil && size == b.Size {
		d.wasHere(b)
		arr.complete()
		return nil
	}
	switch {
	case b.Size == 0:
		err = d.x.Blobs.Put(ctx, b.Digest, 0, bytes.NewReader(nil))
	case b.Size <= directLayer:
		err = d.direct(ctx, b.Digest, b.Size)
	default:
		err = d.torrent(ctx, b, arr)
	}
	if err == nil {
		d.mu.Lock()
		d.seen[b.Digest] = true
		d.mu.Unlock()
		arr.complete()
	}
	return err
}

// wasHere counts a blob that was here before, once.
func (d *download) wasHere(b image.TorrentBlob) {
	d.mu.Lock()
	known := d.seen[b.Digest]
	if d.seen[b.Digest] = true; !known {
		d.fromDisk += b.Size
	}
	d.mu.Unlock()
	d.report(Progress{Step: "fetch", Item: b.Digest.String(), Done: b.Size, Total: b.Size})
}

// direct gets a small blob in one answer from any holder.
func (d *download) direct(ctx context.Context, want digest.Digest, size int64) error {
	var last error
	feed, cancel := d.holders.follow()
	defer cancel()
	connected := d.x.Net.Connected()
	failed := map[peer.ID]int{}
	came := d.outside.came
	for {
		if d.isHere(want, size) {
			return nil
		}
		for d.x.isPaused() {
			if !pause(ctx, lookEvery) {
				return context.Cause(ctx)
			}
		}
		var p peer.ID
		if ranked := d.ranked(connected, failed); len(ranked) > 0 {
			p = ranked[0]
		} else {
			select {
			case <-feed:
				continue
			case <-came:
				came = nil
				continue
			case <-time.After(lookEvery):
				connected = d.x.Net.Connected()
				clear(failed)
				continue
			case <-ctx.Done():
				return errors.Join(context.Cause(ctx), last)
			}
		}
		if last = d.directFrom(ctx, p, want, size); last == nil {
			return nil
		}
		if errors.Is(last, ErrNoSpace) || errors.Is(last, ErrStorageQuota) {
			return last
		}
		failed[p]++
	}
}

func (d *download) isHere(want digest.Digest, size int64) bool {
	got, err := d.x.Blobs.Use(want)
	return err == nil && got == size
}

func (d *download) directFrom(ctx context.Context, p peer.ID, want digest.Digest, size int64) error {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	began := time.Now()
	b, err := d.x.Net.Request(ask, p, OpBlob, encode(blobRequest{Digest: want}))
	if err != nil {
		return err
	}
	if int64(len(b)) != size || want.Algorithm().FromBytes(b) != want {
		d.x.blame(p, reputation.BadPiece)
		return fmt.Errorf("%w: other bytes than %s", ErrGarbage, want)
	}
	d.x.praise(p, size, time.Since(began))
	d.got(p, size)
	d.holders.add(p)
	d.report(Progress{Step: "fetch", Item: want.String(), Done: size, Total: size, Peers: 1})
	return spaceError(d.x.Blobs.Put(ctx, want, size, bytes.NewReader(b)))
}

// ranked are the known holders, then other connected peers, best reputation
// first, without those that failed.
func (d *download) ranked(connected []peer.ID, failed map[peer.ID]int) []peer.ID {
	var out []peer.ID
	seen := map[peer.ID]bool{d.x.Net.ID(): true}
	for _, group := range [][]peer.ID{d.holders.list(), connected} {
		for _, s := range d.x.Reputation.Rank(reputation.Peer, peerStrings(group)) {
			p, err := peer.Decode(s)
			if err == nil && !seen[p] && failed[p] == 0 {
				seen[p] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// pause waits, and tells whether ctx is still good.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// quiet tells whether a fetch ended for want of somebody who sends.
func quiet(err error) bool {
	return errors.Is(err, swarm.ErrNoPeers) || errors.Is(err, swarm.ErrStalled)
}

// torrent gets a blob through its layer torrent. The blob store sees it only
// when its digest matched; the swarm hashed it while it arrived.
func (d *download) torrent(ctx context.Context, b image.TorrentBlob, arr *arrival) error {
	ih, err := swarm.ParseInfohash(b.Infohash)
	if err != nil {
		return err
	}
	more, cancel := d.holders.feed(ctx)
	defer cancel()
	if b.Size >= providedBlob {
		// The same layer may be held by those who hold another image with it.
		look, stop := context.WithCancel(ctx)
		var looking sync.WaitGroup
		defer looking.Wait()
		defer stop()
		looking.Go(func() {
			for info := range d.x.Net.FindProviders(look, blobKey(b.Digest), maxProviders) {
				if info.ID != d.x.Net.ID() {
					d.holders.add(info.ID)
				}
			}
		})
	}
	passing := d.image.file(b.Digest)
	job := swarm.Job{
		Content:  io.MultiWriter(passing, arr.follow()),
		Infohash: ih, Name: b.Digest.Encoded(), Size: b.Size,
		Partial:   d.x.Blobs.Partial(b.Digest),
		Peers:     d.x.Reputation.Rank(reputation.Peer, peerStrings(d.holders.list())),
		MorePeers: more,
		Patience:  patience,
		Near:      arr.near,
		Progress: func(p swarm.Progress) {
			d.report(Progress{
				Step: "fetch", Item: b.Digest.String(), Done: p.Done, Total: b.Size, Rate: p.Rate, Peers: p.Peers,
			})
		},
	}
	if t, err := d.x.Store.Torrent(b.Infohash); err == nil {
		job.Info = t.Info
	}
	alone, stopWaiting := d.outside.until(ctx)
	defer stopWaiting()
	res, err := d.x.Swarm.Fetch(alone, job)
	for quiet(err) && pause(alone, lookEvery) {
		// Nobody of ours delivers: let those help whom only ordinary clients reach,
		// whose requests are shorter and slower.
		job.Addrs, job.Public = d.outside.link.Peers, true
		job.Peers = d.x.Reputation.Rank(reputation.Peer, peerStrings(d.holders.list()))
		passing = d.image.file(b.Digest)
		job.Content = io.MultiWriter(passing, arr.follow())
		res, err = d.x.Swarm.Fetch(alone, job)
	}
	if err != nil && d.isHere(b.Digest, b.Size) {
		return nil // it came with the whole image
	}
	if errors.Is(err, swarm.ErrWrongContent) {
		arr.again()
	}
	if err != nil {
		return errors.Join(context.Cause(ctx), spaceError(err))
	}
	passing.Keep()
	if err := d.x.Blobs.AdoptHashed(b.Digest, b.Size, res.Digest); err != nil {
		arr.again()
		return spaceError(err)
	}
	d.mu.Lock()
	d.fromDisk += res.Resumed
	d.mu.Unlock()
	for p, n := range res.FromPeers {
		d.gotFrom(p, n)
	}
	return d.x.Store.PutTorrent(store.Torrent{
		Infohash: b.Infohash, Kind: store.LayerTorrent, Digest: b.Digest, Size: b.Size, Info: res.Info,
	})
}
