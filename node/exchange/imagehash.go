package exchange

import (
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// imageHashing derives the image torrent of a release while its blobs arrive.
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
