package image

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Role is the part a blob plays in its image.
type Role string

// Roles of blobs. Whatever is neither document nor config is a layer.
const (
	RoleIndex    Role = "index"
	RoleManifest Role = "manifest"
	RoleConfig   Role = "config"
	RoleLayer    Role = "layer"
)

// Blob is one distinct blob of an image, as it was first described; without
// urls, which are never followed, and without embedded data.
type Blob struct {
	Descriptor
	Role Role
}

// Image is an image and everything in it.
type Image struct {
	Root        Descriptor         // media type, digest and size only
	Blobs       []Blob             // distinct, in walk order, the root first
	Platforms   []ocispec.Platform // distinct, in walk order; without attestations
	Labels      map[string]string  // of the first image's config
	Annotations map[string]string  // of the first image's manifest and, before it, of the root
	Created     *time.Time         // of the first image's config
}

// Size returns the bytes of all distinct blobs.
func (img *Image) Size() int64 {
	var n int64
	for _, b := range img.Blobs {
		n += b.Size
	}
	return n
}

// Layers returns the number of distinct layers.
func (img *Image) Layers() int {
	n := 0
	for _, b := range img.Blobs {
		if b.Role == RoleLayer {
			n++
		}
	}
	return n
}

// Walk reads an image from its root, in walk order and within the limits of
// this package, verifying size and digest of each document. The "first image"
// whose labels count is the first in walk order that is no attestation, so
// that the result is a function of the image alone, not of the machine.
func Walk(ctx context.Context, root Descriptor, get Getter) (*Image, error) {
	root = Descriptor{MediaType: root.MediaType, Digest: root.Digest, Size: root.Size}
	w := &walker{
		reader:    reader{get: get},
		img:       Image{Root: root},
		sizes:     map[digest.Digest]int64{},
		done:      map[visit]bool{},
		platforms: map[string]bool{},
	}
	if err := w.walk(ctx, root, 1, false); err != nil {
		return nil, fmt.Errorf("walking image %s: %w", root.Digest, err)
	}
	return &w.img, nil
}

// visit is a document under the media type by which it was reached: the same
// bytes named in two ways are read in both.
type visit struct {
	digest    digest.Digest
	mediaType string
}

type walker struct {
	reader
	img       Image
	total     int64 // bytes of blobs so far
	sizes     map[digest.Digest]int64
	done      map[visit]bool
	platforms map[string]bool
	described bool
}

// walk adds the document d and what is under it. An attestation, and what is
// under one, is part of the image but tells nothing about it.
func (w *walker) walk(ctx context.Context, d Descriptor, depth int, attestation bool) error {
	v := visit{d.Digest, d.MediaType}
	if w.done[v] {
		if IsManifest(d.MediaType) && !attestation && d.Platform != nil {
			w.addPlatform(*d.Platform) // one manifest may serve several
		}
		return w.add(d, "") // only compares the size
	}
	if depth > MaxDepth {
		return fmt.Errorf("%w: indexes nested deeper than %d", ErrTooLarge, MaxDepth)
	}
	doc, err := w.open(ctx, d)
	if err != nil {
		return err
	}
	w.done[v] = true
	if depth == 1 {
		w.img.Annotations = maps.Clone(doc.Annotations)
	}
	if doc.Kind == KindManifest {
		return w.walkManifest(ctx, d, doc, attestation)
	}
	if err := w.add(d, RoleIndex); err != nil {
		return err
	}
	for _, child := range doc.Manifests {
		if isDocument(child.MediaType) {
			err = w.walk(ctx, child, depth+1, attestation || isAttestation(child))
		} else {
			err = w.add(child, RoleLayer) // build caches list layers in an index
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) walkManifest(ctx context.Context, d Descriptor, doc *Document, attestation bool) error {
	if err := w.add(d, RoleManifest); err != nil {
		return err
	}
	if err := w.add(*doc.Config, RoleConfig); err != nil {
		return err
	}
	for _, layer := range doc.Layers {
		if err := w.add(layer, RoleLayer); err != nil {
			return err
		}
	}
	if attestation {
		return nil
	}
	return w.describe(ctx, d, doc)
}

// describe notes the platform of a manifest and, of the first one, the labels,
// annotations and creation time.
func (w *walker) describe(ctx context.Context, d Descriptor, doc *Document) error {
	if w.described && d.Platform != nil {
		w.addPlatform(*d.Platform)
		return nil
	}
	c, err := w.config(ctx, *doc.Config)
	if err != nil {
		return err
	}
	if d.Platform != nil {
		c.platform = *d.Platform
	}
	w.addPlatform(c.platform)
	if !w.described {
		w.described = true
		w.img.Labels, w.img.Created = c.labels, c.created
		w.inherit(doc.Annotations)
	}
	return nil
}

func (w *walker) addPlatform(p ocispec.Platform) {
	p = normalize(p)
	if name := FormatPlatform(p); isPlatform(p) && !w.platforms[name] {
		w.platforms[name] = true
		w.img.Platforms = append(w.img.Platforms, p)
	}
}

// inherit takes the annotations that the root does not give itself.
func (w *walker) inherit(annotations map[string]string) {
	for k, v := range annotations {
		if _, ok := w.img.Annotations[k]; ok {
			continue
		}
		if w.img.Annotations == nil {
			w.img.Annotations = map[string]string{}
		}
		w.img.Annotations[k] = v
	}
}

// add appends a blob unless it is there already or may not be distributed.
func (w *walker) add(d Descriptor, role Role) error {
	if role == RoleLayer && IsForeign(d.MediaType) {
		return nil
	}
	if size, ok := w.sizes[d.Digest]; ok {
		if size != d.Size {
			return badManifest("%s has both %d and %d bytes", d.Digest, size, d.Size)
		}
		return nil
	}
	if len(w.img.Blobs) == MaxBlobs {
		return fmt.Errorf("%w: more than %d blobs", ErrTooLarge, MaxBlobs)
	}
	if w.total += d.Size; w.total > MaxSize {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, int64(MaxSize))
	}
	w.sizes[d.Digest] = d.Size
	d.URLs, d.Data = nil, nil
	w.img.Blobs = append(w.img.Blobs, Blob{Descriptor: d, Role: role})
	return nil
}
