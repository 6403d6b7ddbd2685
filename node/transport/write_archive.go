package transport

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"time"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// WriteArchive writes an image as a hybrid tar, see the package comment. The
// layout part has all of the image; manifest.json, which older Dockers go by,
// can have one platform only: the one given, which must be there; with nil
// that of this machine or, if the image is not for it, the first. An artifact
// that is no image for containers has no manifest.json. refName becomes the
// name under which docker load and others know the image; it may be empty.
//
// What was written when an error returns is garbage.
func WriteArchive(ctx context.Context, w io.Writer, root image.Descriptor, refName string, platform *ocispec.Platform, src Source, p Progress) error {
	if err := writeArchive(ctx, w, root, refName, platform, src, &meter{report: p}); err != nil {
		return fmt.Errorf("writing archive of %s: %w", root.Digest, err)
	}
	return nil
}

func writeArchive(ctx context.Context, w io.Writer, root image.Descriptor, refName string, platform *ocispec.Platform, src Source, m *meter) error {
	img, err := image.Walk(ctx, root, Documents(src))
	if err != nil {
		return err
	}
	item, twins, err := describeForDocker(ctx, img.Root, refName, platform, src)
	if err != nil {
		return err
	}
	a := &archiveWriter{tar: tar.NewWriter(w), written: make(map[string]bool)}
	if err := a.file(layoutFile, []byte(image.LayoutJSON)); err != nil {
		return err
	}
	if err := a.file(indexFile, image.IndexJSON(img.Root, refAnnotations(refName))); err != nil {
		return err
	}
	if item != nil {
		b, err := json.Marshal([]dockerItem{*item})
		if err != nil {
			return fmt.Errorf("encoding %s: %w", archiveFile, err)
		}
		if err := a.file(archiveFile, b); err != nil {
			return err
		}
	}
	for _, b := range img.Blobs {
		if err := a.blob(ctx, src, b.Descriptor, m); err != nil {
			return err
		}
	}
	for _, t := range twins {
		if err := a.twin(ctx, src, t); err != nil {
			return err
		}
	}
	if p, ok := src.(Arriving); ok {
		if err := p.Accepted(); err != nil {
			return err
		}
	}
	return a.tar.Close()
}

// dockerItem is an archiveItem as Docker writes it.
type dockerItem struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// describeForDocker makes the entry of manifest.json and lists the layers that
// must be there decompressed. It is nil for what is not an image of a container.
func describeForDocker(ctx context.Context, root image.Descriptor, refName string, platform *ocispec.Platform, src Source) (*dockerItem, []zstdTwin, error) {
	m, err := selectPlatform(ctx, root, platform, Documents(src))
	if err != nil {
		if platform == nil && errors.Is(err, image.ErrNoPlatform) {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	doc, err := readManifest(ctx, m, Documents(src))
	if err != nil {
		return nil, nil, err
	}
	if !isImageConfig(doc.Config.MediaType) {
		return nil, nil, nil
	}
	config, err := Documents(src)(ctx, *doc.Config)
	if err != nil {
		return nil, nil, err
	}
	diffIDs, err := parseDiffIDs(config)
	if err != nil || len(diffIDs) != len(doc.Layers) {
		return nil, nil, fmt.Errorf("config %s does not describe the layers: %w", doc.Config.Digest, errors.Join(image.ErrBadManifest, err))
	}
	item := &dockerItem{Config: blobPath(doc.Config.Digest), RepoTags: dockerTags(refName), Layers: make([]string, 0, len(doc.Layers))}
	var twins []zstdTwin
	for i, layer := range doc.Layers {
		name := blobPath(layer.Digest)
		if isZstd(layer.MediaType) {
			twins = append(twins, zstdTwin{layer: layer, diffID: diffIDs[i]})
			name = blobPath(diffIDs[i])
		}
		item.Layers = append(item.Layers, name)
	}
	return item, twins, nil
}

// selectPlatform finds the manifest for a platform: exactly the one given or,
// with nil, the one best suited to this machine.
func selectPlatform(ctx context.Context, root image.Descriptor, platform *ocispec.Platform, get image.Getter) (image.Descriptor, error) {
	if platform != nil {
		return image.Select(ctx, root, *platform, get)
	}
	// Containers are Linux ones also where Docker runs in a virtual machine.
	d, err := image.Select(ctx, root, ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}, get)
	if errors.Is(err, image.ErrNoPlatform) {
		return image.Select(ctx, root, ocispec.Platform{}, get)
	}
	return d, err
}

func readManifest(ctx context.Context, d image.Descriptor, get image.Getter) (*image.Document, error) {
	b, err := get(ctx, d)
	if err != nil {
		return nil, err
	}
	return image.Parse(d.MediaType, b)
}

func isImageConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == image.MediaTypeDockerConfig
}

// dockerTags is the RepoTags of a name; none when Docker would refuse it or it
// names no tag.
func dockerTags(refName string) []string {
	n, err := reference.ParseDockerRef(refName)
	if err != nil {
		return nil
	}
	if _, ok := n.(reference.Tagged); !ok {
		return nil
	}
	return []string{reference.FamiliarString(n)}
}

// archiveWriter writes each file once, without times and owners, after the
// directories above it.
type archiveWriter struct {
	tar     *tar.Writer
	written map[string]bool
}

func (a *archiveWriter) header(name string, size int64) error {
	if err := a.dir(path.Dir(name)); err != nil {
		return err
	}
	a.written[name] = true
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)})
}

func (a *archiveWriter) dir(name string) error {
	if name == "." || a.written[name] {
		return nil
	}
	if err := a.dir(path.Dir(name)); err != nil {
		return err
	}
	a.written[name] = true
	return a.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
}

func (a *archiveWriter) file(name string, b []byte) error {
	if err := a.header(name, int64(len(b))); err != nil {
		return err
	}
	_, err := a.tar.Write(b)
	return err
}

func (a *archiveWriter) blob(ctx context.Context, src Source, d image.Descriptor, m *meter) error {
	if err := a.header(blobPath(d.Digest), d.Size); err != nil {
		return err
	}
	return copyVerified(ctx, a.tar, src, d, m)
}

// twin writes a zstd layer decompressed. It is decompressed twice, since the
// size stands before the content in a tar.
func (a *archiveWriter) twin(ctx context.Context, src Source, t zstdTwin) error {
	name := blobPath(t.diffID)
	if a.written[name] {
		return nil
	}
	size, err := t.copy(ctx, io.Discard, src)
	if err != nil {
		return err
	}
	if err := a.header(name, size); err != nil {
		return err
	}
	_, err = t.copy(ctx, a.tar, src)
	return err
}
