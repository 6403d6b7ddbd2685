package exchange

import (
	"context"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// imageHashing finds the image torrent of a release: it is derived while the
// blobs arrive, until a holder has given its info dict (see download.learnInfo).
type imageHashing struct {
	torrent *swarm.ImageHasher
	files   map[digest.Digest]int // places of the blobs among the torrent's files
}

// newImageHashing lays the image out as its torrent map lists it; that the map
// is right is found out later.
func (x *Exchange) newImageHashing(c *candidate, m image.TorrentMap) (*imageHashing, error) {
	img := &image.Image{Root: image.Descriptor{
		MediaType: c.release.Image.MediaType, Digest: c.release.Image.Digest, Size: c.release.Image.Size,
	}}
	for _, b := range m.Blobs {
		img.Blobs = append(img.Blobs, image.Blob{Descriptor: image.Descriptor{Digest: b.Digest, Size: b.Size}})
	}
	h := &imageHashing{files: make(map[digest.Digest]int, len(img.Blobs))}
	for i, f := range image.LayoutFiles(img) {
		if f.Digest != "" {
			h.files[f.Digest] = i
		}
	}
	var err error
	h.torrent, err = swarm.NewImageHasher(image.LayoutName(img.Root.Digest), x.layoutSources(img))
	return h, err
}

// file takes the bytes of a blob as they arrive.
func (h *imageHashing) file(d digest.Digest) *swarm.PassingFile { return h.torrent.File(h.files[d]) }

// learnInfo asks the holders of the image for the info dict of its torrent, each
// once, until one has it or ctx ends. That spares a second SHA-1 of every byte.
// The infohash, which the release commits to, binds the dict, and the dict the
// digests of the image; only its piece hashes are taken on trust. Where they are
// wrong, the link gives ordinary clients nothing, from any node that holds the
// image: the swarm hashes each piece before it serves it to them.
func (d *download) learnInfo(ctx context.Context) {
	grown, cancel := d.holders.follow()
	defer cancel()
	asked := map[peer.ID]int{}
	for {
		for _, p := range d.ranked(nil, asked) {
			asked[p]++
			err := d.infoFrom(ctx, p)
			if err == nil {
				return
			}
			d.x.log.Debug("image torrent not learned", "peer", p, "err", err)
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return
		}
	}
}

func (d *download) infoFrom(ctx context.Context, p peer.ID) error {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	info, err := d.x.Net.Request(ask, p, OpInfo, encode(infoRequest{Infohash: d.ih.String()}))
	if err != nil {
		return err
	}
	if swarm.InfohashOf(info) != d.ih {
		d.x.blame(p, reputation.BadPiece)
		return fmt.Errorf("%w: an info dict of another torrent", ErrGarbage)
	}
	return d.image.torrent.Believe(info)
}
