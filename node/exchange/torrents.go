package exchange

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// readBlob reads a small blob into memory, and checks it: what is on a disk for
// years is not always what was written.
func (x *Exchange) readBlob(d digest.Digest, limit int64) ([]byte, error) {
	f, err := x.Blobs.Open(d)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("blob %s is larger than %d bytes", d, limit)
	}
	if got := d.Algorithm().FromBytes(b); got != d {
		return nil, fmt.Errorf("blob %s is damaged on disk: its bytes are %s", d, got)
	}
	return b, nil
}

// readDocument is the image.Getter over the blob store.
func (x *Exchange) readDocument(_ context.Context, d image.Descriptor) ([]byte, error) {
	return x.readBlob(d.Digest, image.MaxManifest)
}

// blobSource is a file of a torrent that is a blob.
func (x *Exchange) blobSource(path []string, d digest.Digest, size int64) swarm.Source {
	return swarm.Source{Path: path, Size: size, Open: func() (io.ReaderAt, io.Closer, error) {
		f, err := x.Blobs.Open(d)
		if err != nil {
			return nil, nil, err
		}
		return f, f, nil
	}}
}

// imageSources are the files of an image torrent, from the torrent map that
// names them in order.
func (x *Exchange) imageSources(m image.TorrentMap) []swarm.Source {
	img := &image.Image{Root: rootOf(m)}
	for _, b := range m.Blobs {
		img.Blobs = append(img.Blobs, image.Blob{Descriptor: image.Descriptor{Digest: b.Digest, Size: b.Size}})
	}
	return x.layoutSources(img)
}

func (x *Exchange) layoutSources(img *image.Image) []swarm.Source {
	var files []swarm.Source
	for _, f := range image.LayoutFiles(img) {
		if f.Digest == "" {
			files = append(files, swarm.Source{Path: f.Path, Size: f.Size, Data: f.Data})
			continue
		}
		files = append(files, x.blobSource(f.Path, f.Digest, f.Size))
	}
	return files
}

// rootOf is the root document of the image that a map is of.
func rootOf(m image.TorrentMap) image.Descriptor {
	return image.Descriptor{MediaType: m.Image.MediaType, Digest: m.Image.Digest, Size: m.Image.Size}
}

// derived is what the bytes of an image say about its torrents.
type derived struct {
	Map      image.TorrentMap
	MapBytes []byte
	Infohash swarm.Infohash
	Info     []byte // of the image torrent
}

// deriveTorrents computes the torrents of an image whose blobs are all here, and
// records those of its layers, which need not be computed twice. hasher is the
// image's where some of its bytes passed by already, else nil.
func (x *Exchange) deriveTorrents(ctx context.Context, img *image.Image, hasher *swarm.ImageHasher, report func(done, total int64)) (*derived, error) {
	if hasher == nil {
		var err error
		if hasher, err = swarm.NewImageHasher(image.LayoutName(img.Root.Digest), x.layoutSources(img)); err != nil {
			return nil, err
		}
	}
	d := &derived{}
	layers := make(map[digest.Digest]string, len(img.Blobs))
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		d.Info, d.Infohash, err = hasher.Finish(gctx, report)
		return err
	})
	g.Go(func() error {
		for _, b := range img.Blobs {
			ih, err := x.layerTorrent(gctx, b.Digest, b.Size)
			if err != nil {
				return fmt.Errorf("deriving the torrent of %s: %w", b.Digest, err)
			}
			layers[b.Digest] = ih
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var err error
	if d.Map, err = image.NewTorrentMap(img, d.Infohash.String(), layers); err != nil {
		return nil, err
	}
	d.MapBytes = d.Map.Encode()
	return d, nil
}

// layerTorrent returns the infohash of a blob's torrent, which it computes
// unless the store has it. An empty blob has none.
func (x *Exchange) layerTorrent(ctx context.Context, d digest.Digest, size int64) (string, error) {
	if size == 0 {
		return "", nil
	}
	if t, err := x.Store.TorrentOf(store.LayerTorrent, d); err == nil {
		return t.Infohash, nil
	}
	f, err := x.Blobs.Open(d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, ih, err := swarm.BuildLayer(ctx, d.Encoded(), size, f)
	if err != nil {
		return "", err
	}
	return ih.String(), x.Store.PutTorrent(store.Torrent{Infohash: ih.String(), Kind: store.LayerTorrent, Digest: d, Size: size, Info: info})
}

// recordTorrent keeps the image torrent, which says nothing yet about whether
// the image is accepted.
func (x *Exchange) recordTorrent(d *derived) error {
	err := x.Store.PutTorrent(store.Torrent{
		Infohash: d.Infohash.String(), Kind: store.ImageTorrent,
		Digest: d.Map.Image.Digest, Size: d.Map.Size, Info: d.Info,
	})
	if err != nil {
		return fmt.Errorf("recording the image torrent: %w", err)
	}
	return nil
}

// hold records an accepted image, whose blobs and torrents are here, and opens
// it to the swarm.
func (x *Exchange) hold(ctx context.Context, m image.TorrentMap, mapDigest digest.Digest) (*holding, error) {
	hold := &holding{Map: m, Record: store.Held{
		Infohash: m.Infohash, Root: rootOf(m), Map: mapDigest, Size: m.Size, Added: x.now().UTC(),
	}}
	ih, err := swarm.ParseInfohash(m.Infohash)
	if err != nil {
		return nil, err
	}
	if err := x.Store.PutHeld(hold.Record); err != nil {
		return nil, fmt.Errorf("recording the image: %w", err)
	}
	x.holdings.add(ih, hold)
	x.useHeld(ih)
	if x.Swarm != nil {
		if err := x.seed(ctx, hold); err != nil {
			return nil, fmt.Errorf("seeding: %w", err)
		}
	}
	return hold, nil
}

// seed opens a held image to ordinary BitTorrent clients; nodes find its layers
// through ResolveTorrent.
func (x *Exchange) seed(ctx context.Context, hold *holding) error {
	t, err := x.Store.Torrent(hold.Record.Infohash)
	if err != nil {
		return err
	}
	return x.Swarm.Seed(ctx, t.Info, x.imageSources(hold.Map))
}

// putBytes stores a small document and returns its digest.
func (x *Exchange) putBytes(ctx context.Context, b []byte) (digest.Digest, error) {
	d := digest.FromBytes(b)
	return d, spaceError(x.Blobs.Put(ctx, d, int64(len(b)), bytes.NewReader(b)))
}
