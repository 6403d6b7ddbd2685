package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

const (
	// maxExpansion is how many times its compressed size an archive may have,
	// once it passes freeExpansion bytes. Zeros alone compress further; who
	// has such an image decompresses it first.
	maxExpansion  = 200
	freeExpansion = 1 << 30
	// maxLoose bounds the bytes of the small files that a stream keeps in
	// memory: configs, and legacy metadata before manifest.json tells which
	// of them matter.
	maxLoose = 64 << 20
	// maxWindow bounds the memory of a zstd decoder: what zstd(1) accepts
	// without being told otherwise.
	maxWindow = 128 << 20
)

type compression int

const (
	uncompressed compression = iota
	gzipped
	zstandard
)

func (c compression) String() string {
	return [...]string{"none", "gzip", "zstd"}[c]
}

// sniff tells the compression from the first four bytes.
func sniff(head []byte) compression {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard
	}
	return uncompressed
}

// decompress undoes c. The reader fails with image.ErrTooLarge past
// max(floor, ratio times the compressed bytes read).
func decompress(r io.Reader, c compression, floor, ratio int64) (io.ReadCloser, error) {
	in := &countingReader{r: r}
	var out io.ReadCloser
	switch c {
	case gzipped:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadArchive, err)
		}
		out = z
	case zstandard:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadArchive, err)
		}
		out = z.IOReadCloser()
	default:
		out = io.NopCloser(in)
	}
	return &expanding{ReadCloser: out, in: in, floor: floor, ratio: ratio}, nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type expanding struct {
	io.ReadCloser
	in           *countingReader
	n            int64
	floor, ratio int64
}

func (e *expanding) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.n += int64(n)
	if e.n > e.floor && e.n/e.ratio > e.in.n {
		return n, fmt.Errorf("expands more than %d times: %w", e.ratio, image.ErrTooLarge)
	}
	return n, err
}

// storeStream reads a tar, compressed or not, that passes by once. Blobs and
// layers go straight into dst; small files stay in memory. What the tar holds
// besides the image that is then chosen stays in dst until it is collected.
func storeStream(ctx context.Context, r io.Reader, dst Blobs, m *meter) (tarTree, error) {
	br := bufio.NewReaderSize(r, copyBuffer)
	head, err := br.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	plain, err := decompress(br, sniff(head), freeExpansion, maxExpansion)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	s := &streamKeeper{dst: dst, m: m}
	return scanTar(ctx, plain, func(name string, tr io.Reader, size int64) (tarEntry, error) {
		return s.keep(ctx, name, tr, size)
	})
}

type streamKeeper struct {
	dst   Blobs
	m     *meter
	loose int64
}

func (s *streamKeeper) keep(ctx context.Context, name string, tr io.Reader, size int64) (tarEntry, error) {
	if d, ok := blobName(name); ok {
		r := s.m.reader(ctx, d.String(), size, tr)
		if err := s.dst.Put(ctx, d, size, r); err != nil {
			return tarEntry{}, fmt.Errorf("storing %s: %w", name, err)
		}
		r.finish()
		return s.stored(d, size), nil
	}
	if isLayerName(name) {
		r := s.m.reader(ctx, name, size, tr)
		d, n, err := s.dst.Ingest(ctx, digest.SHA256, r)
		if err != nil {
			return tarEntry{}, fmt.Errorf("storing %s: %w", name, err)
		}
		r.finish()
		return s.stored(d, n), nil
	}
	if size > image.MaxManifest {
		return tarEntry{size: size}, nil
	}
	if s.loose += size; s.loose > maxLoose {
		return tarEntry{}, fmt.Errorf("small files of more than %d bytes: %w", int64(maxLoose), image.ErrTooLarge)
	}
	b, err := readDocument(tr, size)
	if err != nil {
		return tarEntry{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return tarEntry{size: size, content: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}, nil
}

func (s *streamKeeper) stored(d digest.Digest, size int64) tarEntry {
	return tarEntry{size: size, stored: d, content: func() (io.ReadCloser, error) { return s.dst.Open(d) }}
}

// blobName tells whether name is a blob of a layout, and which.
func blobName(name string) (digest.Digest, bool) {
	rest, ok := strings.CutPrefix(name, "blobs/")
	if !ok {
		return "", false
	}
	alg, hex, ok := strings.Cut(rest, "/")
	d := digest.Digest(alg + ":" + hex)
	return d, ok && image.CheckDigest(d) == nil
}

// isLayerName knows the layers of docker save, skopeo and crane.
func isLayerName(name string) bool {
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tar.gz")
}
