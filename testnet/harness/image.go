package testnet

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is a recipe: the same one always gives the same bytes. It can be
// published and fetched like any image, and is not made to run.
type Image struct {
	Seed uint64
	// Layers are the sizes of layers of random bytes.
	Layers []int64
	// Blobs are layers given byte by byte, after those of random bytes.
	Blobs []Blob
	// Platforms makes an index with a manifest each; each has one layer of its
	// own (64 KiB) on top. None: a single manifest, for linux/amd64.
	Platforms []string
	// Nested wraps the index into another one.
	Nested bool
	Title  string
	Labels map[string]string
}

// Blob is a layer given byte by byte.
type Blob struct {
	MediaType string
	Data      []byte
	DiffID    digest.Digest // of the uncompressed bytes; empty: they are Data
}

// Layout is an image laid out as an OCI image layout on disk.
type Layout struct {
	Dir   string
	Root  ocispec.Descriptor
	Blobs map[digest.Digest]int64 // sizes
}

// Lay writes the image into a directory of the test.
func (i Image) Lay(t testing.TB) *Layout {
	t.Helper()
	l, err := i.Write(t.TempDir())
	if err != nil {
		t.Fatalf("laying out an image: %v", err)
	}
	return l
}

// Write writes the image into an empty directory.
func (i Image) Write(dir string) (*Layout, error) {
	w := &layoutWriter{&Layout{Dir: dir, Blobs: map[digest.Digest]int64{}}}
	if err := os.MkdirAll(w.path(""), 0o755); err != nil {
		return nil, err
	}
	layers, diffs, err := w.layers(i)
	if err != nil {
		return nil, err
	}
	if w.Root, err = w.root(i, layers, diffs); err != nil {
		return nil, err
	}
	return w.Layout, w.finish()
}

type layoutWriter struct{ *Layout }

func (l *Layout) path(hex string) string {
	return filepath.Join(l.Dir, ocispec.ImageBlobsDir, "sha256", hex)
}

// Path is where a blob lies.
func (l *Layout) Path(d digest.Digest) string { return l.path(d.Encoded()) }

func (w *layoutWriter) layers(i Image) (layers []ocispec.Descriptor, diffs []digest.Digest, err error) {
	for n, size := range i.Layers {
		d, err := w.random(i.Seed, uint64(n), size)
		if err != nil {
			return nil, nil, err
		}
		layers, diffs = append(layers, d), append(diffs, d.Digest)
	}
	for _, b := range i.Blobs {
		d, err := w.put(b.MediaType, bytes.NewReader(b.Data))
		if err != nil {
			return nil, nil, err
		}
		diff := b.DiffID
		if diff == "" {
			diff = d.Digest
		}
		layers, diffs = append(layers, d), append(diffs, diff)
	}
	return layers, diffs, nil
}

// random writes a layer of random bytes, the same for the same seed.
func (w *layoutWriter) random(seed, n uint64, size int64) (ocispec.Descriptor, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "dockchain testnet %d %d", seed, n))
	return w.put(ocispec.MediaTypeImageLayer, io.LimitReader(rand.NewChaCha8(key), size))
}

func (w *layoutWriter) put(mediaType string, r io.Reader) (_ ocispec.Descriptor, err error) {
	f, err := os.CreateTemp(w.Dir, "blob-*")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, h), r)
	if err = errors.Join(err, f.Close()); err != nil {
		return ocispec.Descriptor{}, err
	}
	d := digest.NewDigest(digest.SHA256, h)
	w.Blobs[d] = size
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: size}, os.Rename(f.Name(), w.Path(d))
}

func (w *layoutWriter) putJSON(mediaType string, v any) (ocispec.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return w.put(mediaType, bytes.NewReader(b))
}

// root writes the documents over the layers.
func (w *layoutWriter) root(i Image, layers []ocispec.Descriptor, diffs []digest.Digest) (ocispec.Descriptor, error) {
	if len(i.Platforms) == 0 {
		return w.manifest(i, ocispec.Platform{OS: "linux", Architecture: "amd64"}, layers, diffs)
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for n, s := range i.Platforms {
		p, err := parsePlatform(s)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		own, err := w.random(i.Seed, uint64(1000+n), 64<<10)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		m, err := w.manifest(i, p, append(layers[:len(layers):len(layers)], own), append(diffs[:len(diffs):len(diffs)], own.Digest))
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		m.Platform = &p
		index.Manifests = append(index.Manifests, m)
	}
	root, err := w.putJSON(index.MediaType, index)
	if err != nil || !i.Nested {
		return root, err
	}
	index.Manifests = []ocispec.Descriptor{root}
	return w.putJSON(index.MediaType, index)
}

func parsePlatform(s string) (ocispec.Platform, error) {
	var p ocispec.Platform
	if _, err := fmt.Sscanf(s, "linux/%s", &p.Architecture); err != nil {
		return p, fmt.Errorf("platform %q: %w", s, err)
	}
	p.OS = "linux"
	return p, nil
}

func (w *layoutWriter) manifest(i Image, p ocispec.Platform, layers []ocispec.Descriptor, diffs []digest.Digest) (ocispec.Descriptor, error) {
	config, err := w.putJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: p,
		Config:   ocispec.ImageConfig{Labels: i.Labels},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: diffs},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: layers,
		// Without it two recipes with the same layers would be one image.
		Annotations: map[string]string{"org.dockchain.testnet.seed": fmt.Sprint(i.Seed)},
	}
	if i.Title != "" {
		m.Annotations[ocispec.AnnotationTitle] = i.Title
	}
	return w.putJSON(m.MediaType, m)
}

func (w *layoutWriter) finish() error {
	root := w.Root
	root.Platform = nil
	root.Annotations = map[string]string{ocispec.AnnotationRefName: "latest"}
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{root},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.Dir, ocispec.ImageIndexFile), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.Dir, ocispec.ImageLayoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}
