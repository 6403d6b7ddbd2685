package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Nodes give each other an image blob by blob. Ordinary BitTorrent clients and web
// servers know the image torrent only. Where no node gives anything, the whole image
// is fetched by that one, from the addresses, trackers and web seeds of the link and
// by what discovery is on. All that is needed of it is the release: what its torrent
// map lists is derived from the bytes.

// quietFor is how long nothing may come from nodes, of whom none is known to hold the
// image, before ordinary clients are asked; it is patience where some are.
const quietFor = 3 * time.Second

// lookFetchersMost is the longest pause between two look-ups of others who fetch the
// same.
const lookFetchersMost = 15 * time.Second

// outside is the road by the image torrent.
type outside struct {
	link swarm.Magnet  // what it says of others; zero where there is no link
	came chan struct{} // closed when all blobs and the torrent map are in the store

	mu    sync.Mutex
	moved time.Time // when something came from nodes
}

// heeds notes what comes from nodes.
func (o *outside) heeds(report func(Progress)) func(Progress) {
	o.moved = time.Now()
	grown := growth(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.moved = time.Now()
	})
	return func(p Progress) {
		grown(p)
		report(p)
	}
}

// until ends a context also when the image has come this way.
func (o *outside) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-o.came:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// flat is the name under which the flat bytes of the image torrent are kept, which
// is not their digest.
func (d *download) flat() digest.Digest { return digest.FromString("image torrent " + d.ih.String()) }

// partial is where those bytes are while they arrive.
func (d *download) partial() string { return d.x.Blobs.Partial(d.flat()) }

// fromOutside fetches the image by its image torrent when nodes are quiet. Only that
// the content is not what was signed ends the download.
func (d *download) fromOutside(ctx context.Context, c *candidate, report func(Progress), refuse func(error)) {
	if !d.awaitQuiet(ctx) {
		return
	}
	// The bytes are there twice while they are put into the store.
	room, err := d.x.Blobs.Reserve(ctx, []blobs.Want{{Digest: d.flat(), Size: 2 * c.release.Size}})
	if err != nil {
		d.x.log.Info("no node gives the image, and there is no room to ask ordinary clients", "infohash", d.ih, "err", err)
		return
	}
	defer room()
	d.x.log.Info("no node gives the image: ordinary BitTorrent clients are asked", "infohash", d.ih,
		"addrs", len(d.outside.link.Peers), "trackers", len(d.outside.link.Trackers), "web_seeds", len(d.outside.link.WebSeeds))
	for {
		res, err := d.fetchWhole(ctx, c, report)
		if err == nil {
			err = d.unpack(ctx, c, res, report)
		}
		var rejected *RejectedError
		switch {
		case err == nil:
			close(d.outside.came)
			return
		case errors.Is(err, swarm.ErrBadInfo):
			err = d.x.contentRefused(ctx, c, "", fmt.Errorf("its torrent is no image: %w", err))
			refuse(err)
			return
		case errors.As(err, &rejected), errors.Is(spaceError(err), ErrNoSpace), errors.Is(err, ErrStorageQuota):
			refuse(spaceError(err))
			return
		}
		d.x.log.Debug("ordinary clients", "infohash", d.ih, "err", err)
		if !pause(ctx, lookEvery) {
			return
		}
	}
}

// awaitQuiet waits until it is time to ask others than nodes.
func (d *download) awaitQuiet(ctx context.Context) bool {
	for pause(ctx, lookEvery) {
		limit := quietFor
		connected := d.x.Net.Connected()
		for _, p := range d.holders.list() {
			if slices.Contains(connected, p) {
				limit = patience
			}
		}
		d.outside.mu.Lock()
		quiet := time.Since(d.outside.moved)
		d.outside.mu.Unlock()
		if quiet > limit {
			return true
		}
	}
	return false
}

// meetFetchers has nodes that fetch from the same ordinary clients know each other,
// until ctx ends.
func (d *download) meetFetchers(ctx context.Context, met *holders) {
	key := fetchersKey(d.ih)
	defer d.x.Net.StopProvide(key)
	if err := d.x.Net.Provide(ctx, key); err != nil {
		d.x.log.Debug("not announced", "what", "fetcher", "infohash", d.ih, "err", err)
	}
	for again := lookEvery; ; again = min(2*again, lookFetchersMost) {
		for info := range d.x.Net.FindProviders(ctx, key, maxProviders) {
			if info.ID != d.x.Net.ID() {
				met.add(info.ID)
			}
		}
		if !pause(ctx, again) {
			return
		}
	}
}

func (d *download) fetchWhole(ctx context.Context, c *candidate, report func(Progress)) (swarm.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	var meeting sync.WaitGroup
	defer meeting.Wait()
	defer cancel()
	fetchers := newHolders()
	meeting.Go(func() { d.meetFetchers(ctx, fetchers) })
	more, stop := fetchers.feed(ctx)
	defer stop()
	root, link := c.release.Image.Digest, d.outside.link
	job := swarm.Job{
		Infohash: d.ih, Name: image.LayoutName(root), Size: c.release.Size,
		Partial: d.partial(), Public: true, MorePeers: more,
		Addrs: link.Peers, Trackers: link.Trackers, WebSeeds: link.WebSeeds,
		Check: func(info []byte) error { return d.fillIn(ctx, info) },
		Progress: func(p swarm.Progress) {
			report(Progress{Step: "fetch", Item: root.String(), Done: p.Done, Total: p.Total, Rate: p.Rate, Peers: p.Peers})
		},
	}
	if t, err := d.x.Store.Torrent(d.ih.String()); err == nil {
		job.Info = t.Info
	}
	res, err := d.x.Swarm.Fetch(ctx, job)
	for p, n := range res.FromPeers {
		d.gotFrom(p, n)
	}
	return res, err
}

// fillIn refuses a torrent that is not in the shape of an image layout, and puts the
// blobs that are here into the file that is to be filled.
func (d *download) fillIn(ctx context.Context, info []byte) error {
	files, err := layoutFiles(info)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(d.partial(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err == nil {
			err = d.copyHere(ctx, f, file)
		}
	}
	return errors.Join(err, f.Close())
}

func (d *download) copyHere(ctx context.Context, to *os.File, file layoutFile) error {
	b, err := d.x.Blobs.Open(file.digest)
	if err != nil {
		return nil // it is to be fetched
	}
	defer b.Close()
	if st, err := b.Stat(); err != nil || st.Size() != file.Size {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	_, err = io.Copy(io.NewOffsetWriter(to, file.Offset), b)
	return err
}

// layoutFile is a blob in an image torrent.
type layoutFile struct {
	swarm.Span
	digest digest.Digest
}

// layoutFiles are the blobs of an image torrent. Whether they are what they are named
// by is for the store to find out.
func layoutFiles(info []byte) ([]layoutFile, error) {
	spans, err := swarm.FilesOf(info)
	if err != nil {
		return nil, err
	}
	var out []layoutFile
	for i, s := range spans {
		if i < 2 { // oci-layout and index.json
			continue
		}
		if len(s.Path) != 3 {
			return nil, fmt.Errorf("%w: file %.100q is no blob", swarm.ErrBadInfo, strings.Join(s.Path, "/"))
		}
		dg := digest.Digest(s.Path[1] + ":" + s.Path[2])
		if image.CheckDigest(dg) != nil || !slices.Equal(image.BlobPath(dg), s.Path) {
			return nil, fmt.Errorf("%w: file %.100q is no blob", swarm.ErrBadInfo, strings.Join(s.Path, "/"))
		}
		out = append(out, layoutFile{s, dg})
	}
	return out, nil
}

// unpack puts the blobs and the torrent map into the store, if they are what the
// release commits to.
func (d *download) unpack(ctx context.Context, c *candidate, res swarm.Result, report func(Progress)) error {
	files, err := layoutFiles(res.Info)
	if err != nil {
		return err
	}
	f, err := os.Open(d.partial())
	if err != nil {
		return err
	}
	defer f.Close()
	for _, file := range files {
		err := d.x.Blobs.Put(ctx, file.digest, file.Size, io.NewSectionReader(f, file.Offset, file.Size))
		if errors.Is(err, blobs.ErrDigestMismatch) {
			return d.x.contentRefused(ctx, c, "", err)
		}
		if err != nil {
			return err
		}
		report(Progress{Step: "verify", Item: file.digest.String(), Done: file.Size, Total: file.Size})
	}
	if err := d.deriveMap(ctx, c, res.Info); err != nil {
		return err
	}
	d.mu.Lock()
	for _, file := range files {
		d.seen[file.digest] = true
	}
	d.mu.Unlock()
	return nil
}

// deriveMap makes the torrent map of an image whose blobs are here.
func (d *download) deriveMap(ctx context.Context, c *candidate, info []byte) error {
	root := image.Descriptor{MediaType: c.release.Image.MediaType, Digest: c.release.Image.Digest, Size: c.release.Image.Size}
	img, err := image.Walk(ctx, root, d.x.readDocument)
	if err != nil {
		return d.x.contentRefused(ctx, c, "", fmt.Errorf("the image does not read: %w", err))
	}
	hasher, err := swarm.NewImageHasher(image.LayoutName(root.Digest), d.x.layoutSources(img))
	if err == nil {
		err = hasher.Believe(info)
	}
	if err != nil {
		return d.x.contentRefused(ctx, c, "", fmt.Errorf("its torrent is not that of the image: %w", err))
	}
	got, err := d.x.deriveTorrents(ctx, img, hasher, nil)
	if err != nil {
		return err
	}
	if want := c.release.Torrents; digest.FromBytes(got.MapBytes) != want.Digest {
		return d.x.contentRefused(ctx, c, "", errors.New("its bytes give other torrents than the release names"))
	}
	if err := d.x.recordTorrent(got); err != nil {
		return err
	}
	_, err = d.x.putBytes(ctx, got.MapBytes)
	return err
}

// believe takes the info dict of the image torrent from the store, if it is there.
func (d *download) believe() {
	if t, err := d.x.Store.Torrent(d.ih.String()); err == nil {
		if err := d.image.torrent.Believe(t.Info); err != nil {
			d.x.log.Debug("image torrent in the store", "infohash", d.ih, "err", err)
		}
	}
}
