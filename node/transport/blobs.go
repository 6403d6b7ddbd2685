package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

var (
	// ErrBadArchive tells that a tar or layout is not an image, or is one that
	// no honest tool writes.
	ErrBadArchive = errors.New("not a well-formed image archive")
	// ErrAmbiguous tells that two readers could take a source for two images.
	ErrAmbiguous = errors.New("image archive can be read in two ways")
	// ErrNoSuchImage tells that a source does not have the image asked for.
	ErrNoSuchImage = errors.New("no such image")
	// ErrSeveral tells that a source has several images and none was named.
	ErrSeveral = errors.New("source holds several images")
	// ErrIncomplete tells that a source lacks files of the image it describes.
	ErrIncomplete = errors.New("image is incomplete")
	// ErrCorrupt tells that content does not have the digest it is named by.
	ErrCorrupt = errors.New("content does not match its digest")
	// ErrDenied tells that a registry wants other credentials.
	ErrDenied = errors.New("registry denied access")
)

// Source is the part of the blob store that writers read from.
type Source interface {
	Open(d digest.Digest) (*os.File, error)
	Stat(d digest.Digest) (int64, error)
}

// Arriving is a Source of an image that is still on its way. Its documents and
// configs are here.
type Arriving interface {
	Source
	// Arrive opens a blob, to be read while it arrives. Not all of its bytes come
	// if it is not what its digest says.
	Arrive(d digest.Digest) (io.ReadCloser, error)
	// Accepted waits until the image is here and found good. What is written of it
	// is not ended before, and never if it returns an error.
	Accepted() error
}

// Blobs is the blob store as this package uses it. It must be safe for
// concurrent use.
type Blobs interface {
	Source
	// Put stores the content of r, which must have digest d and, unless size
	// is -1, that many bytes. It reads nothing when it has d already.
	Put(ctx context.Context, d digest.Digest, size int64, r io.Reader) error
	// Ingest stores the content of r and tells its digest and size.
	Ingest(ctx context.Context, alg digest.Algorithm, r io.Reader) (digest.Digest, int64, error)
}

// blobPath is where a layout keeps a blob.
func blobPath(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// Documents reads the documents of images out of the blob store.
func Documents(src Source) image.Getter {
	return func(_ context.Context, d image.Descriptor) ([]byte, error) {
		f, err := src.Open(d.Digest)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readDocument(f, d.Size)
	}
}

// readDocument reads size bytes of a small document: no more, no fewer.
func readDocument(r io.Reader, size int64) ([]byte, error) {
	if size < 0 || size > image.MaxManifest {
		return nil, fmt.Errorf("document of %d bytes: %w", size, image.ErrTooLarge)
	}
	b, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != size {
		return nil, fmt.Errorf("document is not the %d bytes announced: %w", size, ErrCorrupt)
	}
	return b, nil
}

// putDocument stores a document that this package made or has in memory.
func putDocument(ctx context.Context, dst Blobs, mediaType string, b []byte) (image.Descriptor, error) {
	d := image.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := dst.Put(ctx, d.Digest, d.Size, bytes.NewReader(b)); err != nil {
		return image.Descriptor{}, fmt.Errorf("storing %s: %w", d.Digest, err)
	}
	return d, nil
}

// copyVerified writes blob d of src to w and fails with ErrCorrupt when the
// store's file is not that blob any more. What was written by then is garbage.
func copyVerified(ctx context.Context, w io.Writer, src Source, d image.Descriptor, m *meter) error {
	f, size, err := openBlob(src, d)
	if err != nil {
		return fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	defer f.Close()
	v := d.Digest.Verifier()
	r := m.reader(ctx, d.Digest.String(), d.Size, io.LimitReader(f, d.Size))
	if size == d.Size {
		if _, err := copyAll(io.MultiWriter(w, v), r); err != nil {
			return fmt.Errorf("copying %s: %w", d.Digest, err)
		}
	}
	if size != d.Size || !v.Verified() {
		return fmt.Errorf("copying %s: %w", d.Digest, ErrCorrupt)
	}
	r.finish()
	return nil
}

// openBlob opens a blob and tells its size, which is taken from d while it arrives.
func openBlob(src Source, d image.Descriptor) (io.ReadCloser, int64, error) {
	if a, ok := src.(Arriving); ok {
		f, err := a.Arrive(d.Digest)
		return f, d.Size, err
	}
	f, err := src.Open(d.Digest)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}

// copyAll is io.Copy with a buffer that suits disks.
func copyAll(w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
}
