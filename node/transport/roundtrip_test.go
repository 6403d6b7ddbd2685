package transport

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

// ways carry an image out of one store and into another.
var ways = map[string]func(t *testing.T, root image.Descriptor, src, dst *blobs.Store) (image.Descriptor, error){
	"layout": func(t *testing.T, root image.Descriptor, src, dst *blobs.Store) (image.Descriptor, error) {
		dir := filepath.Join(t.TempDir(), "new", "layout")
		if err := WriteLayout(t.Context(), dir, root, "app:1.0", src, nil); err != nil {
			return root, err
		}
		return ReadLayout(t.Context(), dir, "app:1.0", dst, nil)
	},
	"archive": func(t *testing.T, root image.Descriptor, src, dst *blobs.Store) (image.Descriptor, error) {
		return ReadArchive(t.Context(), writeTemp(t, archiveOf(t, root, src)), "", dst, nil)
	},
	"stream": func(t *testing.T, root image.Descriptor, src, dst *blobs.Store) (image.Descriptor, error) {
		return ReadStream(t.Context(), bytes.NewReader(archiveOf(t, root, src)), "", dst, nil)
	},
	"gzip": func(t *testing.T, root image.Descriptor, src, dst *blobs.Store) (image.Descriptor, error) {
		return ReadArchive(t.Context(), writeTemp(t, compress(t, archiveOf(t, root, src), gzipped)), "", dst, nil)
	},
	"zstd": func(t *testing.T, root image.Descriptor, src, dst *blobs.Store) (image.Descriptor, error) {
		return ReadStream(t.Context(), bytes.NewReader(compress(t, archiveOf(t, root, src), zstandard)), "", dst, nil)
	},
}

func archiveOf(t *testing.T, root image.Descriptor, src Source) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteArchive(t.Context(), &buf, root, "app:1.0", nil, src, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestEveryShapeGoesEveryWay(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	all := shapes(b)
	if !testing.Short() {
		all["200 layers"] = b.manyLayers()
	}
	for shape, root := range all {
		for way, carry := range ways {
			t.Run(shape+" by "+way, func(t *testing.T) {
				t.Parallel()
				dst := newStore(t)
				got, err := carry(t, root, b.s, dst)
				if err != nil {
					t.Fatal(err)
				}
				assertRoot(t, got, root)
				assertImage(t, dst, root, b.s)
			})
		}
	}
}

func TestArchiveIsReproducible(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	for shape, root := range shapes(b) {
		first := archiveOf(t, root, b.s)
		dst := newStore(t)
		if _, err := ReadStream(t.Context(), bytes.NewReader(first), "", dst, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, archiveOf(t, root, dst)) {
			t.Errorf("%s: archive out of a second store differs", shape)
		}
	}
}

func TestArchiveNamesThePlatform(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	arm, amd := b.manifest("arm64", b.layer("arm", gzipped)), b.manifest("amd64", b.layer("z", zstandard))
	root := b.index(on("arm64", arm), on("amd64", amd))
	config := func(m image.Descriptor) string {
		doc, err := readManifest(t.Context(), m, Documents(b.s))
		if err != nil {
			t.Fatal(err)
		}
		return blobPath(doc.Config.Digest)
	}
	for arch, m := range map[string]image.Descriptor{"arm64": arm, "amd64": amd} {
		var buf bytes.Buffer
		if err := WriteArchive(t.Context(), &buf, root, "alice/app", &ocispec.Platform{OS: "linux", Architecture: arch}, b.s, nil); err != nil {
			t.Fatal(err)
		}
		tree, err := indexTar(t.Context(), bytes.NewReader(buf.Bytes()), int64(buf.Len()))
		if err != nil {
			t.Fatal(err)
		}
		items := itemsOf(t, tree)
		if diff := cmp.Diff([]string{"alice/app:latest"}, items[0].RepoTags); diff != "" {
			t.Error(diff)
		}
		if got := items[0].Config; got != config(m) {
			t.Errorf("%s: config is %s, want %s", arch, got, config(m))
		}
		for _, l := range items[0].Layers {
			f, err := tree.open(l)
			if err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 4)
			if _, err := f.Read(head); err != nil || sniff(head) == zstandard {
				t.Errorf("%s: layer %s starts with %x, %v", arch, l, head, err)
			}
		}
	}
	err := WriteArchive(t.Context(), &bytes.Buffer{}, root, "", &ocispec.Platform{OS: "linux", Architecture: "mips"}, b.s, nil)
	if !errors.Is(err, image.ErrNoPlatform) {
		t.Errorf("platform that is not there: %v", err)
	}
}

func itemsOf(t *testing.T, tree tree) []archiveItem {
	t.Helper()
	j, err := readFile(tree, archiveFile)
	if err != nil {
		t.Fatal(err)
	}
	items, err := parseArchive(j)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func TestArtifactHasNoManifestJSON(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	tar := archiveOf(t, shapes(b)["artifact"], b.s)
	tree, err := indexTar(t.Context(), bytes.NewReader(tar), int64(len(tar)))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := exists(tree, archiveFile); ok || err != nil {
		t.Errorf("manifest.json is there: %v, %v", ok, err)
	}
}

func TestLayoutTakesSeveralImages(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	dir := t.TempDir()
	one, two, three := b.manifest("amd64", b.layer("1", gzipped)), b.manifest("amd64", b.layer("2", gzipped)), b.manifest("amd64", b.layer("3", gzipped))
	for _, w := range []struct {
		root image.Descriptor
		name string
	}{{one, "a:1"}, {two, "b:1"}, {two, "b:1"}, {three, "a:1"}} {
		if err := WriteLayout(t.Context(), dir, w.root, w.name, b.s, nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]image.Descriptor{"a:1": three, "b:1": two, "docker.io/library/b:1": two, two.Digest.String(): two} {
		got, err := ReadLayout(t.Context(), dir, name, newStore(t), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		assertRoot(t, got, want)
	}
	for name, want := range map[string]error{"": ErrSeveral, "c:1": ErrNoSuchImage, one.Digest.String(): ErrNoSuchImage} {
		if _, err := ReadLayout(t.Context(), dir, name, newStore(t), nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
}

func TestLayoutSparesOtherDirectories(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteLayout(t.Context(), dir, b.manifest("amd64"), "", b.s, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("writing into a directory in use: %v", err)
	}
}

func TestLayoutGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	root := b.manifest("amd64", b.layer("x", gzipped))
	for _, left := range [][]string{{"blobs/sha256/x.part"}, {"oci-layout.part"}, {"oci-layout"}, {"oci-layout", "index.json.part"}} {
		dir := t.TempDir()
		for _, name := range left {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("torn"), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		if err := WriteLayout(t.Context(), dir, root, "", b.s, nil); err != nil {
			t.Fatalf("after %q: %v", left, err)
		}
		got, err := ReadLayout(t.Context(), dir, "", newStore(t), nil)
		if err != nil {
			t.Fatalf("after %q: %v", left, err)
		}
		assertRoot(t, got, root)
	}
}

func TestWritersNoticeRot(t *testing.T) {
	t.Parallel()
	for rot, damage := range map[string]func([]byte) []byte{
		"flip":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"short":  func(b []byte) []byte { return b[1:] },
		"longer": func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(rot, func(t *testing.T) {
			t.Parallel()
			b := newBuilder(t)
			layer := b.layer("precious", zstandard)
			root := b.manifest("amd64", layer)
			path := b.s.Path(layer.Digest)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(path), os.WriteFile(path, damage(content), 0o600)); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "out")
			if err := WriteLayout(t.Context(), dir, root, "", b.s, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("layout: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "index.json")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("layout has an index: %v", err)
			}
			if err := WriteArchive(t.Context(), &bytes.Buffer{}, root, "", nil, b.s, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("archive: %v", err)
			}
		})
	}
}

func TestLayoutRepairsWhatWasThere(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	layer := b.layer("good", gzipped)
	root := b.manifest("amd64", layer)
	dir := t.TempDir()
	torn := filepath.Join(dir, filepath.FromSlash(blobPath(layer.Digest)))
	if err := errors.Join(os.MkdirAll(filepath.Dir(torn), 0o755), os.WriteFile(torn, make([]byte, layer.Size), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := WriteLayout(t.Context(), dir, root, "", b.s, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLayout(t.Context(), dir, "", newStore(t), nil); err != nil {
		t.Fatal(err)
	}
}

func TestProgressEndsWithEveryBlobWhole(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	big := b.layer(strings.Repeat("0123456789", 500_000), uncompressed)
	root := b.manifest("amd64", big, b.layer("small", gzipped))
	img, err := image.Walk(t.Context(), root, Documents(b.s))
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]int64)
	for _, x := range img.Blobs {
		want[x.Digest.String()] = x.Size
	}
	done, steps := make(map[string]int64), 0
	watch := func(item string, n, total int64) {
		if n < done[item] || n > total {
			t.Errorf("%s: %d of %d after %d", item, n, total, done[item])
		}
		done[item] = n
		steps++
	}
	dir := t.TempDir()
	if err := WriteLayout(t.Context(), dir, root, "", b.s, watch); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, done); diff != "" || steps <= len(want) {
		t.Errorf("writing, %d reports: %s", steps, diff)
	}
	clear(done)
	dst := newStore(t)
	for range 2 { // the second time reads nothing and says so all the same
		clear(done)
		if _, err := ReadLayout(t.Context(), dir, "", dst, watch); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, done); diff != "" {
			t.Error("reading:", diff)
		}
	}
}

func TestCancelledContextEndsWork(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	root := b.manifest("amd64", b.layer("x", gzipped))
	tar := archiveOf(t, root, b.s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dst := newStore(t)
	if _, err := ReadStream(ctx, bytes.NewReader(tar), "", dst, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("reading: %v", err)
	}
	if err := WriteArchive(ctx, &bytes.Buffer{}, root, "", nil, b.s, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("writing: %v", err)
	}
	assertEmpty(t, dst)
}
