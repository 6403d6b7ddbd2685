package exchange

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// LayoutFile is an open file of an image's layout. The digest is that of a blob, and
// empty for the other files.
type LayoutFile struct {
	io.ReadSeekCloser
	Digest digest.Digest
}

// given finds the held image whose torrent has a name, if it may be given.
func (x *Exchange) given(ctx context.Context, name string) (*holding, error) {
	alg, hex, ok := strings.Cut(name, "-")
	root := digest.Digest(alg + ":" + hex)
	if !ok || image.CheckDigest(root) != nil {
		return nil, fmt.Errorf("%w: no image is called %.140q", ErrNotFound, name)
	}
	for _, ih := range x.holdings.with(root) {
		if hold, held := x.holdings.image(ih); held && hold.Map.Image.Digest == root && x.mayGive(ctx, ih) {
			return hold, nil
		}
	}
	return nil, fmt.Errorf("%w: this node does not give the image %s", ErrNotFound, root)
}

// OpenLayout opens a file of the layout of an image that is seeded: name and path are
// those in its torrent.
func (x *Exchange) OpenLayout(ctx context.Context, name, path string) (LayoutFile, error) {
	hold, err := x.given(ctx, name)
	if err != nil {
		return LayoutFile{}, err
	}
	img := &image.Image{Root: rootOf(hold.Map)}
	for _, b := range hold.Map.Blobs {
		img.Blobs = append(img.Blobs, image.Blob{Descriptor: image.Descriptor{Digest: b.Digest, Size: b.Size}})
	}
	for _, f := range image.LayoutFiles(img) {
		if strings.Join(f.Path, "/") != path {
			continue
		}
		if f.Digest == "" {
			return LayoutFile{ReadSeekCloser: inMemory{bytes.NewReader(f.Data)}}, nil
		}
		blob, err := x.Blobs.Open(f.Digest)
		if err != nil {
			return LayoutFile{}, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return LayoutFile{blob, f.Digest}, nil
	}
	return LayoutFile{}, fmt.Errorf("%w: the image has no file %.200q", ErrNotFound, path)
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// TorrentFile is the .torrent file of an image that is seeded.
func (x *Exchange) TorrentFile(ctx context.Context, name string) ([]byte, error) {
	hold, err := x.given(ctx, name)
	if err != nil {
		return nil, err
	}
	t, err := x.Store.Torrent(hold.Record.Infohash)
	if err != nil {
		return nil, err
	}
	return swarm.TorrentFile(t.Info, x.LinkTrackers, x.LinkWebSeeds), nil
}
