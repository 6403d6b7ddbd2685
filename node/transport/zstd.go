package transport

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

const (
	// maxLayerExpansion bounds what a zstd layer expands to once it passes
	// freeLayerExpansion bytes. Layers come from strangers, but Docker expands
	// the gzip ones (up to 1000 times) without asking either.
	maxLayerExpansion  = 1000
	freeLayerExpansion = 4 << 30
)

// isZstd tells by its media type whether a layer is compressed with zstd.
func isZstd(mediaType string) bool { return strings.HasSuffix(mediaType, "zstd") }

// zstdTwin is a zstd layer that is also needed decompressed.
type zstdTwin struct {
	layer  image.Descriptor
	diffID digest.Digest
}

// copy writes the decompressed layer, tells its size, and fails if it is not
// the one that the config names.
func (t zstdTwin) copy(ctx context.Context, w io.Writer, src Source) (int64, error) {
	n, err := t.decompress(ctx, w, src)
	if err != nil {
		return 0, fmt.Errorf("decompressing %s: %w", t.layer.Digest, err)
	}
	return n, nil
}

func (t zstdTwin) decompress(ctx context.Context, w io.Writer, src Source) (int64, error) {
	f, _, err := openBlob(src, t.layer)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	z, err := decompress(f, zstandard, freeLayerExpansion, maxLayerExpansion)
	if err != nil {
		return 0, err
	}
	defer z.Close()
	v := t.diffID.Verifier()
	n, err := copyAll(io.MultiWriter(w, v), (&meter{}).reader(ctx, "", -1, z))
	if err != nil {
		return 0, err
	}
	if !v.Verified() {
		return 0, fmt.Errorf("is not %s: %w", t.diffID, ErrCorrupt)
	}
	return n, nil
}
