package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dockchains/dockchain/node/image"
)

const (
	layoutFile  = "oci-layout"
	indexFile   = "index.json"
	archiveFile = "manifest.json"
)

// ReadLayout copies an image out of an OCI image layout directory. refName is
// an org.opencontainers.image.ref.name, an io.containerd.image.name or a
// digest; it may be empty when the layout holds one image.
func ReadLayout(ctx context.Context, dir, refName string, dst Blobs, p Progress) (image.Descriptor, error) {
	d, err := readDir(ctx, dir, refName, dst, p)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("reading layout %s: %w", dir, err)
	}
	return d, nil
}

func readDir(ctx context.Context, dir, refName string, dst Blobs, p Progress) (image.Descriptor, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return image.Descriptor{}, err
	}
	defer root.Close()
	return readLayoutTree(ctx, dirTree{root}, refName, dst, &meter{report: p})
}

// ReadArchive copies an image out of a tar file: what docker save wrote, old
// or new, an oci-archive or a docker-archive, also gzip- or zstd-compressed.
// refName is one of its names or a digest; it may be empty when the archive
// holds one image. A plain file is read by what the image needs of it; a pipe
// or a compressed file as ReadStream does.
func ReadArchive(ctx context.Context, path, refName string, dst Blobs, p Progress) (image.Descriptor, error) {
	d, err := readArchive(ctx, path, refName, dst, p)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("reading archive %s: %w", path, err)
	}
	return d, nil
}

func readArchive(ctx context.Context, path, refName string, dst Blobs, p Progress) (image.Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return image.Descriptor{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return image.Descriptor{}, err
	}
	var head [4]byte
	if fi.Mode().IsRegular() {
		if _, err := f.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
			return image.Descriptor{}, err
		}
		if sniff(head[:]) == uncompressed {
			t, err := indexTar(ctx, f, fi.Size())
			if err != nil {
				return image.Descriptor{}, err
			}
			return readTree(ctx, t, refName, dst, &meter{report: p})
		}
	}
	return readStream(ctx, f, refName, dst, p)
}

// ReadStream is ReadArchive for a tar that can be read only once. It needs no
// space besides dst: blobs go there as they pass by, so that an archive of
// several images leaves those not chosen in dst until they are collected.
func ReadStream(ctx context.Context, r io.Reader, refName string, dst Blobs, p Progress) (image.Descriptor, error) {
	d, err := readStream(ctx, r, refName, dst, p)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("reading archive: %w", err)
	}
	return d, nil
}

func readStream(ctx context.Context, r io.Reader, refName string, dst Blobs, p Progress) (image.Descriptor, error) {
	m := &meter{report: p}
	t, err := storeStream(ctx, r, dst, m)
	if err != nil {
		return image.Descriptor{}, err
	}
	return readTree(ctx, t, refName, dst, m)
}

// readTree reads whatever description of an image the archive holds: the
// layout where there is one, as it keeps manifests and platforms.
func readTree(ctx context.Context, t tree, refName string, dst Blobs, m *meter) (image.Descriptor, error) {
	b, err := readFile(t, archiveFile)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		return readLayoutTree(ctx, t, refName, dst, m)
	default:
		return image.Descriptor{}, err
	}
	items, err := parseArchive(b)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("reading %s: %w", archiveFile, err)
	}
	switch ok, err := exists(t, layoutFile); {
	case err != nil:
		return image.Descriptor{}, err
	case !ok:
		return readDockerTree(ctx, t, items, refName, dst, m)
	}
	return readHybrid(ctx, t, items, refName, dst, m)
}
