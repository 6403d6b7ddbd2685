package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node/image"
)

// madeManifest is the manifest made for an archive that has none. Its fields
// are all there is and in this order, or the digest of published images moves.
type madeManifest struct {
	SchemaVersion int        `json:"schemaVersion"`
	MediaType     string     `json:"mediaType"`
	Config        madePart   `json:"config"`
	Layers        []madePart `json:"layers"`
}

type madePart struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
}

// readDockerTree copies one image out of an archive without a layout and
// makes the manifest that it lacks.
func readDockerTree(ctx context.Context, t tree, items []archiveItem, refName string, dst Blobs, m *meter) (image.Descriptor, error) {
	it, err := selectItem(items, refName)
	if err != nil {
		return image.Descriptor{}, err
	}
	config, err := readConfig(t, it)
	if err != nil {
		return image.Descriptor{}, err
	}
	diffIDs, err := parseDiffIDs(config)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("reading %.80q: %w: %w", it.Config, ErrBadArchive, err)
	}
	if len(diffIDs) != len(it.Layers) {
		return image.Descriptor{}, fmt.Errorf("%d layers, the config names %d: %w", len(it.Layers), len(diffIDs), ErrBadArchive)
	}
	made := madeManifest{
		SchemaVersion: 2,
		MediaType:     ocispec.MediaTypeImageManifest,
		Config:        madePart{ocispec.MediaTypeImageConfig, digest.FromBytes(config), int64(len(config))},
	}
	if made.Layers, err = putLayers(ctx, t, it.Layers, diffIDs, dst, m); err != nil {
		return image.Descriptor{}, err
	}
	if _, err := putDocument(ctx, dst, made.Config.MediaType, config); err != nil {
		return image.Descriptor{}, err
	}
	b, err := json.Marshal(made)
	if err != nil {
		return image.Descriptor{}, fmt.Errorf("encoding manifest: %w", err)
	}
	return putDocument(ctx, dst, made.MediaType, b)
}

// putLayers stores the layers, several at a time, and each of them once.
func putLayers(ctx context.Context, t tree, names []string, diffIDs []digest.Digest, dst Blobs, m *meter) ([]madePart, error) {
	layers := make([]madePart, len(names))
	first := make(map[digest.Digest]int)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copyJobs)
	for i, name := range names {
		if _, ok := first[diffIDs[i]]; ok {
			continue
		}
		first[diffIDs[i]] = i
		g.Go(func() (err error) {
			if layers[i], err = putLayer(gctx, t, name, diffIDs[i], dst, m); err != nil {
				return fmt.Errorf("layer %.100q: %w", name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, d := range diffIDs {
		layers[i] = layers[first[d]]
	}
	return layers, nil
}

func readConfig(t tree, it archiveItem) ([]byte, error) {
	config, err := readFile(t, it.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	if err != nil {
		return nil, err
	}
	if d := it.configDigest(); d != "" && d.Algorithm().FromBytes(config) != d {
		return nil, fmt.Errorf("config %s: %w", d, ErrCorrupt)
	}
	return config, nil
}

// putLayer stores a layer with the bytes it has in the archive. An uncompressed
// one is its own diff id, which saves reading what dst has already.
func putLayer(ctx context.Context, t tree, name string, diffID digest.Digest, dst Blobs, m *meter) (madePart, error) {
	f, err := t.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return madePart{}, fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	if err != nil {
		return madePart{}, err
	}
	defer f.Close()
	br := bufio.NewReaderSize(f, copyBuffer)
	head, err := br.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return madePart{}, err
	}
	layer := madePart{MediaType: layerType(sniff(head)), Digest: f.stored, Size: f.size}
	known := sniff(head) == uncompressed && diffID.Algorithm() == digest.SHA256
	switch {
	case f.stored != "" && known && f.stored != diffID:
		return madePart{}, fmt.Errorf("has digest %s, the config says %s: %w", f.stored, diffID, ErrCorrupt)
	case f.stored != "":
		return layer, nil
	case known:
		layer.Digest = diffID
		r := m.reader(ctx, diffID.String(), f.size, br)
		if err := dst.Put(ctx, diffID, f.size, r); err != nil {
			return madePart{}, fmt.Errorf("storing %s: %w", diffID, err)
		}
		r.finish()
		return layer, nil
	}
	r := m.reader(ctx, name, f.size, br)
	if layer.Digest, layer.Size, err = dst.Ingest(ctx, digest.SHA256, r); err != nil {
		return madePart{}, fmt.Errorf("storing: %w", err)
	}
	r.finish()
	return layer, nil
}

func layerType(c compression) string {
	switch c {
	case gzipped:
		return ocispec.MediaTypeImageLayerGzip
	case zstandard:
		return ocispec.MediaTypeImageLayerZstd
	}
	return ocispec.MediaTypeImageLayer
}
