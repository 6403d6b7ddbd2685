package transport

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

const foreignLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"

func newStore(t testing.TB) *blobs.Store {
	t.Helper()
	s, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// builder makes images in a store.
type builder struct {
	t testing.TB
	s *blobs.Store
}

func newBuilder(t testing.TB) builder { return builder{t, newStore(t)} }

func (b builder) put(mediaType string, content []byte) image.Descriptor {
	b.t.Helper()
	d, err := putDocument(b.t.Context(), b.s, mediaType, content)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b builder) putJSON(mediaType string, v any) image.Descriptor {
	b.t.Helper()
	return b.put(mediaType, mustJSON(b.t, v))
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// part is a layer as it is in an image, and its diff id.
type part struct {
	image.Descriptor
	diffID digest.Digest
}

// layer makes a layer with one file out of content.
func (b builder) layer(content string, c compression) part {
	b.t.Helper()
	raw := layerTar(b.t, content)
	return part{b.put(layerType(c), compress(b.t, raw, c)), digest.FromBytes(raw)}
}

func layerTar(t testing.TB, content string) []byte {
	t.Helper()
	return makeTar(t, tarFile{name: "hello-" + digest.FromString(content).Encoded()[:8], body: content})
}

func compress(t testing.TB, raw []byte, c compression) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch c {
	case gzipped:
		w = gzip.NewWriter(&buf)
	case zstandard:
		z, err := zstd.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	default:
		return raw
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// config makes an image config for linux/arch.
func configFor(arch string, layers []part) ocispec.Image {
	c := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.diffID)
	}
	return c
}

func (b builder) manifest(arch string, layers ...part) image.Descriptor {
	b.t.Helper()
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    b.putJSON(ocispec.MediaTypeImageConfig, configFor(arch, layers)),
		Layers:    []ocispec.Descriptor{},
	}
	m.SchemaVersion = 2
	for _, l := range layers {
		m.Layers = append(m.Layers, l.Descriptor)
	}
	return b.putJSON(m.MediaType, m)
}

func (b builder) index(children ...image.Descriptor) image.Descriptor {
	b.t.Helper()
	x := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: children}
	x.SchemaVersion = 2
	return b.putJSON(x.MediaType, x)
}

func on(arch string, d image.Descriptor) image.Descriptor {
	d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
	return d
}

// shapes are the images that every way in and out has to carry.
func shapes(b builder) map[string]image.Descriptor {
	base, top := b.layer("base", gzipped), b.layer("top", gzipped)
	foreign := part{image.Descriptor{MediaType: foreignLayer, Digest: digest.FromString("far away"), Size: 8, URLs: []string{"http://127.0.0.1:1/x"}}, digest.FromString("far")}
	empty := part{b.put(ocispec.MediaTypeImageLayer, nil), digest.FromBytes(nil)}
	attestation := b.manifest("unknown", b.layer("provenance", uncompressed))
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	artifact := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.example", Config: b.put(ocispec.MediaTypeEmptyJSON, []byte("{}")), Layers: []ocispec.Descriptor{b.put("text/plain", []byte("note"))}}
	artifact.SchemaVersion = 2
	return map[string]image.Descriptor{
		"one layer":       b.manifest("amd64", base),
		"no layer":        b.manifest("amd64"),
		"multi-platform":  b.index(on("arm64", b.manifest("arm64", base, b.layer("arm", gzipped))), on("amd64", b.manifest("amd64", base, top)), attestation),
		"nested index":    b.index(b.index(on("s390x", b.manifest("s390x", base))), on("riscv64", b.manifest("riscv64", top))),
		"one layer twice": b.manifest("amd64", base, top, base),
		"zstd":            b.manifest("amd64", base, b.layer("z", zstandard), b.layer("z2", zstandard)),
		"empty layer":     b.manifest("amd64", base, empty),
		"foreign layer":   b.manifest("amd64", foreign, top),
		"artifact":        b.putJSON(artifact.MediaType, artifact),
		"sha512":          b.sha512Image(),
	}
}

// manyLayers is one more shape, which takes its time: each blob is synced.
func (b builder) manyLayers() image.Descriptor {
	b.t.Helper()
	many := make([]part, 200)
	for i := range many {
		many[i] = b.layer(fmt.Sprint("layer ", i), compression(i%2)) // none, gzip
	}
	return b.manifest("amd64", many...)
}

// sha512Image has a sha512 layer.
func (b builder) sha512Image() image.Descriptor {
	b.t.Helper()
	raw := layerTar(b.t, "long digest")
	sum := sha512.Sum512(raw)
	d := digest.NewDigestFromEncoded(digest.SHA512, hex.EncodeToString(sum[:]))
	if err := b.s.Put(b.t.Context(), d, int64(len(raw)), bytes.NewReader(raw)); err != nil {
		b.t.Fatal(err)
	}
	return b.manifest("amd64", part{image.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: d, Size: int64(len(raw))}, digest.FromBytes(raw)})
}

// assertImage checks that the store has all of an image, byte for byte.
func assertImage(t *testing.T, s *blobs.Store, root image.Descriptor, want *blobs.Store) {
	t.Helper()
	img, err := image.Walk(t.Context(), root, Documents(want))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range img.Blobs {
		if err := s.Verify(t.Context(), b.Digest); err != nil {
			t.Errorf("%s %s: %v", b.Role, b.Digest, err)
		}
	}
}

func assertRoot(t *testing.T, got, want image.Descriptor) {
	t.Helper()
	if diff := cmp.Diff([]any{want.MediaType, want.Digest, want.Size}, []any{got.MediaType, got.Digest, got.Size}); diff != "" {
		t.Fatalf("root (-want +got):\n%s", diff)
	}
}

// assertEmpty checks that nothing was stored.
func assertEmpty(t *testing.T, s *blobs.Store) {
	t.Helper()
	err := s.Walk(func(d digest.Digest, size int64) error {
		t.Errorf("stored %s of %d bytes", d, size)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type tarFile struct {
	name, body, link string
	kind             byte // 0 is a regular file
}

func makeTar(t testing.TB, files ...tarFile) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Mode: 0o644, Size: int64(len(f.body))}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func writeTemp(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.tar")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// savedImage is what docker save of 20.10 writes.
func savedImage(t testing.TB, layers ...string) []tarFile {
	t.Helper()
	var parts []part
	var files []tarFile
	item := dockerItem{RepoTags: []string{"app:1.0"}}
	for i, l := range layers {
		raw := layerTar(t, l)
		parts = append(parts, part{diffID: digest.FromBytes(raw)})
		id := fmt.Sprintf("%064x", i+1)
		item.Layers = append(item.Layers, id+"/layer.tar")
		files = append(files,
			tarFile{name: id + "/", kind: tar.TypeDir},
			tarFile{name: id + "/VERSION", body: "1.0"},
			tarFile{name: id + "/json", body: "{}"},
			tarFile{name: id + "/layer.tar", body: string(raw)})
	}
	config := mustJSON(t, configFor("amd64", parts))
	item.Config = digest.FromBytes(config).Encoded() + ".json"
	return append([]tarFile{{name: item.Config, body: string(config)}}, append(files,
		tarFile{name: "manifest.json", body: string(mustJSON(t, []dockerItem{item}))},
		tarFile{name: "repositories", body: "{}"})...)
}
