package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
)

// An imageDir is an OCI image layout of random layers.
type imageDir struct {
	path   string
	layers []string // hex names of files in blobs/sha256
	size   int64    // of the layers
}

func (d imageDir) blobs() string { return filepath.Join(d.path, "blobs", "sha256") }

// makeImage writes a layout of layers that no compression shortens.
func makeImage(path string, layers int, size int64) (imageDir, error) {
	d := imageDir{path: path}
	if err := os.MkdirAll(d.blobs(), 0o755); err != nil {
		return d, err
	}
	var descriptors []any
	var ids []string
	for i := range layers {
		n := size / int64(layers)
		if i == 0 {
			n += size % int64(layers)
		}
		name, err := d.addRandom(n)
		if err != nil {
			return d, err
		}
		d.layers = append(d.layers, name)
		d.size += n
		ids = append(ids, "sha256:"+name)
		descriptors = append(descriptors, descriptor("application/vnd.oci.image.layer.v1.tar", name, n))
	}
	config, err := d.addJSON("application/vnd.oci.image.config.v1+json", map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": ids},
	})
	if err != nil {
		return d, err
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := d.addJSON(manifestType, map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": descriptors,
	})
	if err != nil {
		return d, err
	}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []any{manifest},
	})
	if err != nil {
		return d, err
	}
	if err := os.WriteFile(filepath.Join(path, "index.json"), index, 0o644); err != nil {
		return d, err
	}
	return d, os.WriteFile(filepath.Join(path, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

func descriptor(mediaType, name string, size int64) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + name, "size": size}
}

func (d imageDir) addJSON(mediaType string, v any) (map[string]any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	name := hex.EncodeToString(sum[:])
	return descriptor(mediaType, name, int64(len(b))), os.WriteFile(filepath.Join(d.blobs(), name), b, 0o644)
}

func (d imageDir) addRandom(size int64) (name string, err error) {
	f, err := os.CreateTemp(d.blobs(), "new-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return "", err
	}
	h := sha256.New()
	random := io.LimitReader(mrand.NewChaCha8(seed), size)
	if _, err := io.CopyBuffer(io.MultiWriter(f, h), random, make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("writing random bytes: %w", err)
	}
	name = hex.EncodeToString(h.Sum(nil))
	if err := f.Chmod(0o644); err != nil {
		return "", err
	}
	return name, os.Rename(f.Name(), filepath.Join(d.blobs(), name))
}
