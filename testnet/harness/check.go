package testnet

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// SameLayout fails the test unless an exported layout has the image's root and
// all its blobs, byte for byte, and no others.
func SameLayout(t testing.TB, want *Layout, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		t.Fatalf("reading the exported layout: %v", err)
	}
	var index ocispec.Index
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatalf("reading the exported index.json: %v", err)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Digest != want.Root.Digest || index.Manifests[0].Size != want.Root.Size {
		t.Fatalf("the exported layout is of %+v, want %s", index.Manifests, want.Root.Digest)
	}
	got, err := blobsIn(dir)
	if err != nil {
		t.Fatalf("reading the exported blobs: %v", err)
	}
	for d, size := range want.Blobs {
		if n, ok := got[d]; !ok || n != size {
			t.Errorf("exported %s has %d bytes (there: %t), want %d", d, n, ok, size)
		}
	}
	for d := range got {
		if _, ok := want.Blobs[d]; !ok {
			t.Errorf("exported %s is no blob of the image", d)
		}
	}
}

// Whole tells what a directory lacks of the image.
func (l *Layout) Whole(dir string) error {
	got, err := blobsIn(dir)
	if err != nil {
		return err
	}
	for d, size := range l.Blobs {
		if n, ok := got[d]; !ok || n != size {
			return fmt.Errorf("%s has %d bytes (there: %t), want %d", d, n, ok, size)
		}
	}
	return nil
}

// WholeBlobs fails the test if a blob in a data directory or layout is not what
// its name says.
func WholeBlobs(t testing.TB, dir string) {
	t.Helper()
	if _, err := blobsIn(dir); err != nil {
		t.Errorf("after a crash: %v", err)
	}
}

// blobsIn hashes every file under DIR/blobs and gives their sizes.
func blobsIn(dir string) (map[digest.Digest]int64, error) {
	paths, err := filepath.Glob(filepath.Join(dir, ocispec.ImageBlobsDir, "*", "*"))
	if err != nil {
		return nil, err
	}
	out := map[digest.Digest]int64{}
	for _, path := range paths {
		want := digest.NewDigestFromEncoded(digest.Algorithm(filepath.Base(filepath.Dir(path))), filepath.Base(path))
		if err := want.Validate(); err != nil {
			return nil, fmt.Errorf("%s does not name a blob: %w", path, err)
		}
		size, err := hashFile(path, want)
		if err != nil {
			return nil, err
		}
		out[want] = size
	}
	return out, nil
}

func hashFile(path string, want digest.Digest) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	h := want.Algorithm().Hash()
	size, err := io.Copy(h, f)
	if err != nil {
		return 0, err
	}
	if got := digest.NewDigest(want.Algorithm(), h); got != want {
		return 0, fmt.Errorf("torn blob %s: its %d bytes are %s", want, size, got)
	}
	return size, nil
}
