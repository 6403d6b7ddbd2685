package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

// open finds the real Engine. DOCKCHAIN_REQUIRE_DOCKER=1 makes its absence a
// failure.
func open(t *testing.T) *Engine {
	t.Helper()
	e, err := Open(t.Context())
	if err == nil {
		t.Cleanup(func() { e.Close() })
		return e
	}
	if !errors.Is(err, ErrNoEngine) || os.Getenv("DOCKCHAIN_REQUIRE_DOCKER") == "1" {
		t.Fatal(err)
	}
	t.Skip("no Docker Engine answers:", err)
	return nil
}

// own begins the names of this run's images: another one may be under way with
// the same Engine. It is in their labels too, so that their ids differ.
var own = "dockchain-test-" + strings.ToLower(rand.Text()) + "/"

// program is a static Linux binary that prints its arguments and exits with
// their number.
const programSource = `package main

import "os"

func main() {
	for _, a := range os.Args[1:] {
		os.Stdout.WriteString(a + "\n")
	}
	os.Stderr.WriteString("noise\n")
	os.Exit(len(os.Args) - 1)
}
`

var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "dockchain-engine-test")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	src, bin := filepath.Join(dir, "main.go"), filepath.Join(dir, "main")
	if err := os.WriteFile(src, []byte(programSource), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, src)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	return os.ReadFile(bin)
})

// maker makes images in a store.
type maker struct {
	t *testing.T
	s *blobs.Store
}

func newMaker(t *testing.T) maker {
	t.Helper()
	s, err := blobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return maker{t, s}
}

func (m maker) put(mediaType string, b []byte) image.Descriptor {
	m.t.Helper()
	d := image.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := m.s.Put(m.t.Context(), d.Digest, d.Size, bytes.NewReader(b)); err != nil {
		m.t.Fatal(err)
	}
	return d
}

func (m maker) putJSON(mediaType string, v any) image.Descriptor {
	m.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		m.t.Fatal(err)
	}
	return m.put(mediaType, b)
}

type layer struct {
	image.Descriptor
	diffID digest.Digest
}

// file makes a layer of one file, as it is in an image of that media type.
func (m maker) file(mediaType, name string, content []byte) layer {
	m.t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
		m.t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		m.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	return layer{m.put(mediaType, m.compress(mediaType, raw.Bytes())), digest.FromBytes(raw.Bytes())}
}

func (m maker) compress(mediaType string, raw []byte) []byte {
	m.t.Helper()
	var out bytes.Buffer
	switch mediaType {
	case ocispec.MediaTypeImageLayerGzip:
		w := gzip.NewWriter(&out)
		if _, err := w.Write(raw); err != nil {
			m.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			m.t.Fatal(err)
		}
		return out.Bytes()
	case ocispec.MediaTypeImageLayerZstd:
		w, err := zstd.NewWriter(nil)
		if err != nil {
			m.t.Fatal(err)
		}
		return w.EncodeAll(raw, nil)
	}
	return raw
}

func (m maker) image(arch string, layers ...layer) image.Descriptor {
	m.t.Helper()
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: arch},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/main"}, Labels: map[string]string{"test": own + m.t.Name()}},
		RootFS:   ocispec.RootFS{Type: "layers"},
	}
	manifest := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	manifest.SchemaVersion = 2
	for _, l := range layers {
		manifest.Layers = append(manifest.Layers, l.Descriptor)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.diffID)
	}
	manifest.Config = m.putJSON(ocispec.MediaTypeImageConfig, config)
	return m.putJSON(manifest.MediaType, manifest)
}

// runnable makes an image of the program, with layers on top.
func (m maker) runnable(mediaType string, more ...layer) image.Descriptor {
	m.t.Helper()
	bin, err := program()
	if err != nil {
		m.t.Fatal(err)
	}
	return m.image(runtime.GOARCH, append([]layer{m.file(mediaType, "main", bin)}, more...)...)
}

// forget removes an image when the test is over.
func forget(t *testing.T, e *Engine, ref string) {
	t.Helper()
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := e.Remove(context.WithoutCancel(t.Context()), ref); err != nil && !errors.Is(err, ErrNoSuchImage) {
			t.Error(err)
		}
	})
}
