package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// WriteLayout writes an image as an OCI image layout directory, which is made
// if need be. Into a layout that is there already the image is added; it takes
// the place of one of the same refName. refName becomes the annotation
// org.opencontainers.image.ref.name and may be empty. index.json is written
// last, so that what was cut short is no image; nothing is synced to disk.
func WriteLayout(ctx context.Context, dir string, root image.Descriptor, refName string, src Source, p Progress) error {
	if err := writeLayout(ctx, dir, root, refName, src, &meter{report: p}); err != nil {
		return fmt.Errorf("writing layout %s: %w", dir, err)
	}
	return nil
}

func writeLayout(ctx context.Context, dir string, root image.Descriptor, refName string, src Source, m *meter) error {
	img, err := image.Walk(ctx, root, Documents(src))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	r, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer r.Close()
	old, err := oldIndex(r)
	if err != nil {
		return err
	}
	for _, b := range img.Blobs {
		if err := exportBlob(ctx, r, src, b.Descriptor, m); err != nil {
			return err
		}
	}
	if err := writeFile(r, layoutFile, []byte(image.LayoutJSON)); err != nil {
		return err
	}
	index, err := mergeIndex(old, img.Root, refName)
	if err != nil {
		return err
	}
	return writeFile(r, indexFile, index)
}

// partSuffix marks a file that is still being written.
const partSuffix = ".part"

// oldIndex is what a layout lists so far. A directory that holds other things
// and no layout is left alone.
func oldIndex(r *os.Root) ([]image.Descriptor, error) {
	if _, err := r.Stat(indexFile); err == nil {
		return readIndex(dirTree{r})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d, err := r.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	for _, e := range names {
		switch e.Name() {
		case "blobs", layoutFile, layoutFile + partSuffix, indexFile + partSuffix: // a write was cut short
		default:
			return nil, fmt.Errorf("directory holds %q and no layout: %w", e.Name(), fs.ErrExist)
		}
	}
	return nil, nil
}

// mergeIndex lists an image beside those that are there. Alone it gives the
// bytes of the image torrent, but for the name.
func mergeIndex(old []image.Descriptor, root image.Descriptor, refName string) ([]byte, error) {
	old = slices.DeleteFunc(old, func(d image.Descriptor) bool {
		name := d.Annotations[ocispec.AnnotationRefName]
		return name == refName && (name != "" || d.Digest == root.Digest)
	})
	if len(old) == 0 {
		return image.IndexJSON(root, refAnnotations(refName)), nil
	}
	root.Annotations = refAnnotations(refName)
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: append(old, root)}
	index.SchemaVersion = 2
	return json.Marshal(index)
}

// refAnnotations names an image in an index.json, for OCI tools and, where it
// is a name that Docker takes, for containerd.
func refAnnotations(refName string) map[string]string {
	if refName == "" {
		return nil
	}
	a := map[string]string{ocispec.AnnotationRefName: refName}
	if full := fullName(refName); full != "" {
		a[annotationName] = full
	}
	return a
}

// exportBlob writes one blob, unless it is there whole: what is there under
// the name is hashed, as nobody else vouches for it.
func exportBlob(ctx context.Context, r *os.Root, src Source, d image.Descriptor, m *meter) error {
	name := blobPath(d.Digest)
	if err := r.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	same, err := holds(ctx, r, name, d)
	if err != nil {
		return err
	}
	if same {
		m.tell(d.Digest.String(), d.Size, d.Size)
		return nil
	}
	return replace(r, name, func(f *os.File) error { return copyVerified(ctx, f, src, d, m) })
}

// holds tells whether the directory has blob d already.
func holds(ctx context.Context, r *os.Root, name string, d image.Descriptor) (bool, error) {
	f, err := dirTree{r}.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if f.size != d.Size {
		return false, nil
	}
	v := d.Digest.Verifier()
	_, err = copyAll(v, (&meter{}).reader(ctx, "", d.Size, f))
	return v.Verified(), err
}

func writeFile(r *os.Root, name string, b []byte) error {
	return replace(r, name, func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
}

// replace writes a file beside its name and moves it there when it is whole.
func replace(r *os.Root, name string, write func(*os.File) error) (err error) {
	tmp := name + partSuffix
	f, err := r.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, r.Remove(tmp))
	}
	return r.Rename(tmp, name)
}
