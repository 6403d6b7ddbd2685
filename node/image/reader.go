package image

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Getter returns the bytes of a small document: an index, manifest or config
// of at most [MaxManifest] bytes. What it returns is verified by its caller.
// It returns an error wrapping [ErrNotFound] for what it does not have.
type Getter func(ctx context.Context, d Descriptor) ([]byte, error)

// Documents holds documents in memory; its Get is a [Getter].
type Documents map[digest.Digest][]byte

// Get returns the document d names.
func (m Documents) Get(_ context.Context, d Descriptor) ([]byte, error) {
	b, ok := m[d.Digest]
	if !ok {
		return nil, ErrNotFound
	}
	return b, nil
}

// reader reads documents through a Getter and verifies them; together they
// may not exceed [MaxDocuments].
type reader struct {
	get  Getter
	read int64
}

// fetch gets a document and verifies that it is the one asked for.
func (r *reader) fetch(ctx context.Context, d Descriptor) ([]byte, error) {
	if err := CheckDescriptor(d); err != nil {
		return nil, err
	}
	if d.Size > MaxManifest {
		return nil, fmt.Errorf("%w: document %s of %d bytes", ErrTooLarge, d.Digest, d.Size)
	}
	if r.read += d.Size; r.read > MaxDocuments {
		return nil, fmt.Errorf("%w: more than %d bytes of documents", ErrTooLarge, MaxDocuments)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := r.get(ctx, d)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	if int64(len(b)) != d.Size {
		return nil, badManifest("%s has %d bytes in place of %d", d.Digest, len(b), d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(b); got != d.Digest {
		return nil, badManifest("%s has the content of %s", d.Digest, got)
	}
	return b, nil
}

// open reads and parses a manifest or index.
func (r *reader) open(ctx context.Context, d Descriptor) (*Document, error) {
	if !isDocument(d.MediaType) {
		return nil, badManifest("media type %q is neither manifest nor index", clip(d.MediaType))
	}
	b, err := r.fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	doc, err := Parse(d.MediaType, b)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", d.Digest, err)
	}
	return doc, nil
}

// config reads an image's config; it is zero for that of an artifact.
func (r *reader) config(ctx context.Context, d Descriptor) (config, error) {
	if !isConfig(d.MediaType) {
		return config{}, nil
	}
	b, err := r.fetch(ctx, d)
	if err != nil {
		return config{}, err
	}
	c, err := parseConfig(b)
	if err != nil {
		return config{}, fmt.Errorf("parsing config %s: %w", d.Digest, err)
	}
	return c, nil
}
