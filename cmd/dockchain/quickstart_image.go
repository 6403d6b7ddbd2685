package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const quickstartTag = "quickstart"

// libraryDir is where the image keeps shared libraries, if the program needs
// any.
const libraryDir = "/lib/dockchain"

// buildLayout writes an OCI image layout with one image: the program at
// /dockchain, FROM scratch. A program that was linked with C (go run does so
// where it finds a C compiler) brings its loader and libraries in a layer of
// their own. The result tells what was built.
func buildLayout(ctx context.Context, dir, program, version string) (told string, err error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o700); err != nil {
		return "", err
	}
	b := &layoutBuilder{dir: dir}
	loader, libraries, err := sharedFiles(program)
	if err != nil {
		return "", fmt.Errorf("reading what %s is linked with: %w", program, err)
	}
	var env []string
	told = "static binary, one layer"
	if loader != "" {
		files := map[string]string{strings.TrimPrefix(loader, "/"): loader}
		for name, path := range libraries {
			files[strings.TrimPrefix(libraryDir, "/")+"/"+name] = path
		}
		env = append(env, "LD_LIBRARY_PATH="+libraryDir)
		told = fmt.Sprintf("binary and the %s it is linked with, two layers", plural(len(files), "shared file"))
		if err := b.addLayer(ctx, files, "shared libraries"); err != nil {
			return "", err
		}
	}
	if err := b.addLayer(ctx, map[string]string{"dockchain": program}, "dockchain "+version); err != nil {
		return "", err
	}
	return told, b.finish(env, version)
}

type layoutBuilder struct {
	dir     string
	layers  []ocispec.Descriptor
	diffIDs []digest.Digest
	history []ocispec.History
}

// addLayer packs files, by their path in the image, into a gzip-compressed tar.
func (b *layoutBuilder) addLayer(ctx context.Context, files map[string]string, comment string) (err error) {
	f, err := os.CreateTemp(b.dir, "layer-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	packed, unpacked := sha256.New(), sha256.New()
	z, err := gzip.NewWriterLevel(io.MultiWriter(f, packed), gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := writeTar(ctx, io.MultiWriter(z, unpacked), files); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	d := digest.NewDigest(digest.SHA256, packed)
	b.layers = append(b.layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: d, Size: size})
	b.diffIDs = append(b.diffIDs, digest.NewDigest(digest.SHA256, unpacked))
	b.history = append(b.history, ocispec.History{CreatedBy: "dockchain quickstart", Comment: comment})
	return os.Rename(f.Name(), b.path(d))
}

func (b *layoutBuilder) path(d digest.Digest) string {
	return filepath.Join(b.dir, "blobs", d.Algorithm().String(), d.Encoded())
}

func writeTar(ctx context.Context, w io.Writer, files map[string]string) error {
	t := tar.NewWriter(w)
	for _, name := range sortedKeys(files) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addFile(t, name, files[name]); err != nil {
			return fmt.Errorf("packing %s: %w", files[name], err)
		}
	}
	return t.Close()
}

func addFile(t *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// No times and owners: the same program gives the same image.
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

// finish writes config, manifest, index and the layout's mark.
func (b *layoutBuilder) finish(env []string, version string) error {
	config, err := b.addJSON(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: ocispec.Platform{Architecture: runtime.GOARCH, OS: runtime.GOOS},
		Config: ocispec.ImageConfig{
			Entrypoint: []string{"/dockchain"}, Env: append([]string{"PATH=/", "HOME=/"}, env...), WorkingDir: "/",
			Labels: map[string]string{ocispec.AnnotationTitle: "dockchain", ocispec.AnnotationVersion: version},
		},
		RootFS:  ocispec.RootFS{Type: "layers", DiffIDs: b.diffIDs},
		History: b.history,
	})
	if err != nil {
		return err
	}
	manifest, err := b.addJSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: b.layers,
	})
	if err != nil {
		return err
	}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{manifest},
	}
	if err := writeFileJSON(filepath.Join(b.dir, ocispec.ImageIndexFile), index); err != nil {
		return err
	}
	layout := ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}
	return writeFileJSON(filepath.Join(b.dir, ocispec.ImageLayoutFile), layout)
}

func (b *layoutBuilder) addJSON(mediaType string, v any) (ocispec.Descriptor, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d := digest.FromBytes(raw)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(raw))}, os.WriteFile(b.path(d), raw, 0o600)
}

func writeFileJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

// layoutRoot reads which image a layout has.
func layoutRoot(dir string) (digest.Digest, error) {
	raw, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return "", err
	}
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return "", fmt.Errorf("reading %s: %w", ocispec.ImageIndexFile, err)
	}
	if len(index.Manifests) != 1 {
		return "", fmt.Errorf("the layout in %s has %s", dir, plural(len(index.Manifests), "image"))
	}
	return index.Manifests[0].Digest, nil
}
