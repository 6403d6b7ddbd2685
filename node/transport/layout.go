package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node/image"
)

// copyJobs is how many blobs are hashed and written at a time.
const copyJobs = 4

// readLayoutTree copies one image out of a layout.
func readLayoutTree(ctx context.Context, t tree, refName string, dst Blobs, m *meter) (image.Descriptor, error) {
	img, err := walkLayout(ctx, t, refName)
	if err != nil {
		return image.Descriptor{}, err
	}
	return img.Root, copyImage(ctx, img, t, dst, m)
}

// readHybrid is readLayoutTree for an archive that has a manifest.json too.
// docker load goes by that one, so it must not mean another image.
func readHybrid(ctx context.Context, t tree, items []archiveItem, refName string, dst Blobs, m *meter) (image.Descriptor, error) {
	img, err := walkLayout(ctx, t, refName)
	if err != nil {
		return image.Descriptor{}, err
	}
	if err := checkSameImage(img, t, items, refName); err != nil {
		return image.Descriptor{}, err
	}
	return img.Root, copyImage(ctx, img, t, dst, m)
}

// walkLayout finds the image that refName means and lists its blobs.
func walkLayout(ctx context.Context, t tree, refName string) (*image.Image, error) {
	all, err := readIndex(t)
	if err != nil {
		return nil, err
	}
	root, err := selectRoot(all, refName)
	if err != nil {
		return nil, err
	}
	img, err := walkPresent(ctx, t, root)
	if errors.Is(err, fs.ErrNotExist) {
		if image.IsIndex(root.MediaType) {
			return walkOnlyPlatform(ctx, t, root)
		}
		return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	return img, err
}

// readIndex reads the entry points of a layout, of the version that there is.
func readIndex(t tree) ([]image.Descriptor, error) {
	b, err := readFile(t, layoutFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("neither %s nor %s is there: %w", layoutFile, archiveFile, ErrBadArchive)
	}
	if err != nil {
		return nil, err
	}
	var layout ocispec.ImageLayout
	if err := decodeJSON(b, &layout); err != nil {
		return nil, fmt.Errorf("reading %s: %w: %w", layoutFile, ErrBadArchive, err)
	}
	if layout.Version != ocispec.ImageLayoutVersion {
		return nil, fmt.Errorf("layout version %.20q: %w", layout.Version, ErrBadArchive)
	}
	b, err = readFile(t, indexFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadArchive, err)
	}
	doc, err := image.Parse(ocispec.MediaTypeImageIndex, b)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", indexFile, err)
	}
	return doc.Manifests, nil
}

// walkPresent walks the image and checks that every blob has its file, so that
// nothing is copied of an image that is not whole.
func walkPresent(ctx context.Context, t tree, root image.Descriptor) (*image.Image, error) {
	img, err := image.Walk(ctx, root, treeGetter(t))
	if err != nil {
		return nil, err
	}
	for _, b := range img.Blobs {
		f, err := t.open(blobPath(b.Digest))
		if err != nil {
			return nil, err
		}
		f.Close()
		if f.size != b.Size {
			return nil, fmt.Errorf("%s has %d bytes, its descriptor says %d: %w", b.Digest, f.size, b.Size, ErrCorrupt)
		}
	}
	return img, nil
}

// walkOnlyPlatform serves docker save of Docker 25 and later, which saves the
// whole index of a multi-platform image of which one platform was pulled. Then
// that platform's manifest is the image.
func walkOnlyPlatform(ctx context.Context, t tree, root image.Descriptor) (*image.Image, error) {
	b, err := treeGetter(t)(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	doc, err := image.Parse(root.MediaType, b)
	if err != nil {
		return nil, err
	}
	var only *image.Image
	for _, child := range doc.Manifests {
		if isAttestation(child) || !image.IsManifest(child.MediaType) {
			continue
		}
		img, err := walkPresent(ctx, t, child)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case only != nil && only.Root.Digest != img.Root.Digest:
			return nil, fmt.Errorf("several platforms are there and others are not: %w", ErrIncomplete)
		}
		only = img
	}
	if only == nil {
		return nil, fmt.Errorf("no platform has all its files: %w", ErrIncomplete)
	}
	return only, nil
}

// isAttestation knows the provenance that BuildKit files under a platform.
func isAttestation(d image.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// copyImage puts all blobs into dst, the root last: who finds it there finds
// the whole image.
func copyImage(ctx context.Context, img *image.Image, t tree, dst Blobs, m *meter) error {
	return putAll(ctx, img, m, dst, func(_ context.Context, d image.Descriptor) (io.ReadCloser, error) {
		return t.open(blobPath(d.Digest))
	})
}

// putAll stores the blobs of an image, several at a time, and last its root.
func putAll(ctx context.Context, img *image.Image, m *meter, dst Blobs, open func(context.Context, image.Descriptor) (io.ReadCloser, error)) error {
	put := func(ctx context.Context, d image.Descriptor) error {
		r, err := open(ctx, d)
		if err != nil {
			return fmt.Errorf("reading %s: %w", d.Digest, err)
		}
		defer r.Close()
		mr := m.reader(ctx, d.Digest.String(), d.Size, r)
		if err := dst.Put(ctx, d.Digest, d.Size, mr); err != nil {
			return fmt.Errorf("storing %s: %w", d.Digest, err)
		}
		mr.finish()
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copyJobs)
	for _, b := range slices.Backward(img.Blobs) {
		if b.Digest == img.Root.Digest {
			continue
		}
		g.Go(func() error { return put(gctx, b.Descriptor) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return put(ctx, img.Root)
}
