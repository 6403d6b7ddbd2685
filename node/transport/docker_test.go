package transport

import (
	"archive/tar"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

// readBoth reads a tar as a file and as a stream, which must agree.
func readBoth(t *testing.T, content []byte, ref string) (image.Descriptor, *blobs.Store, error) {
	t.Helper()
	byFile, byStream := newStore(t), newStore(t)
	file, ferr := ReadArchive(t.Context(), writeTemp(t, content), ref, byFile, nil)
	stream, serr := ReadStream(t.Context(), bytes.NewReader(content), ref, byStream, nil)
	if (ferr == nil) != (serr == nil) {
		t.Fatalf("as a file: %v; as a stream: %v", ferr, serr)
	}
	if ferr != nil {
		assertEmpty(t, byFile)
		return file, byFile, errors.Join(ferr, serr)
	}
	assertRoot(t, stream, file)
	assertImage(t, byStream, file, byFile)
	return file, byFile, nil
}

func TestOldDockerSave(t *testing.T) {
	t.Parallel()
	files := savedImage(t, "one", "two")
	root, s, err := readBoth(t, makeTar(t, files...), "")
	if err != nil {
		t.Fatal(err)
	}
	// The digest under which this image is published, for ever.
	if want := digest.Digest("sha256:6fd8babd64867675289d8e853c1bf504f0c474f548ba6d155f663e1a6ff74758"); root.Digest != want {
		t.Errorf("root is %s, want %s", root.Digest, want)
	}
	doc, err := readManifest(t.Context(), root, Documents(s))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := doc.Config.Digest.Encoded()+".json", files[0].name; got != want {
		t.Errorf("config is %s, was %s", got, want)
	}
	var got []image.Descriptor
	for _, content := range []string{"one", "two"} {
		raw := layerTar(t, content)
		got = append(got, image.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(raw), Size: int64(len(raw))})
	}
	if diff := cmp.Diff(got, doc.Layers); diff != "" {
		t.Errorf("layers: %s", diff)
	}

	// Order, times and what else is there do not matter.
	slices.Reverse(files)
	files = append(files, tarFile{name: "./README.md", body: "hello"})
	again, _, err := readBoth(t, makeTar(t, files...), "docker.io/library/app:1.0")
	if err != nil {
		t.Fatal(err)
	}
	assertRoot(t, again, root)
}

func TestDockerArchiveVariants(t *testing.T) {
	t.Parallel()
	plain, _, err := readBoth(t, makeTar(t, savedImage(t, "one", "two", "one")...), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]tarFile) []tarFile{
		"a layer twice is a link": func(f []tarFile) []tarFile {
			i := find(f, "3/layer.tar")
			f[i] = tarFile{name: f[i].name, kind: tar.TypeSymlink, link: "../" + f[find(f, "1/layer.tar")].name}
			return f
		},
		"a layer twice is a hard link": func(f []tarFile) []tarFile {
			i := find(f, "3/layer.tar")
			f[i] = tarFile{name: f[i].name, kind: tar.TypeLink, link: f[find(f, "1/layer.tar")].name}
			return f
		},
		"config by digest": func(f []tarFile) []tarFile {
			old := f[0].name
			f[0].name = "sha256:" + strings.TrimSuffix(old, ".json")
			f[find(f, "manifest.json")].body = strings.Replace(f[find(f, "manifest.json")].body, old, f[0].name, 1)
			return f
		},
		"more fields": func(f []tarFile) []tarFile {
			m := &f[find(f, "manifest.json")]
			m.body = strings.Replace(m.body, `"Config"`, `"Parent":"","LayerSources":{},"Config"`, 1)
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, _, err := readBoth(t, makeTar(t, change(savedImage(t, "one", "two", "one"))...), "")
			if err != nil {
				t.Fatal(err)
			}
			assertRoot(t, root, plain)
		})
	}
}

// find is the index of the file whose name ends so.
func find(files []tarFile, suffix string) int {
	return slices.IndexFunc(files, func(f tarFile) bool { return strings.HasSuffix(f.name, suffix) })
}

func TestCompressedLayersKeepTheirBytes(t *testing.T) {
	t.Parallel()
	for c, mediaType := range map[compression]string{gzipped: ocispec.MediaTypeImageLayerGzip, zstandard: ocispec.MediaTypeImageLayerZstd} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			files := savedImage(t, "one")
			i := find(files, "/layer.tar")
			packed := compress(t, []byte(files[i].body), c)
			files[i].body = string(packed)
			root, s, err := readBoth(t, makeTar(t, files...), "")
			if err != nil {
				t.Fatal(err)
			}
			doc, err := readManifest(t.Context(), root, Documents(s))
			if err != nil {
				t.Fatal(err)
			}
			want := []image.Descriptor{{MediaType: mediaType, Digest: digest.FromBytes(packed), Size: int64(len(packed))}}
			if diff := cmp.Diff(want, doc.Layers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSeveralImagesInOneArchive(t *testing.T) {
	t.Parallel()
	a, b := savedImage(t, "a"), savedImage(t, "b")
	var items []string
	var files []tarFile
	for i, image := range [][]tarFile{a, b} {
		m := find(image, "manifest.json")
		name := []string{"a", "b"}[i]
		text := strings.NewReplacer("app:1.0", name+":1", "/layer.tar", "/"+name+".tar").Replace(image[m].body)
		items = append(items, strings.Trim(text, "[]"))
		l := find(image, "/layer.tar")
		files = append(files, image[0], tarFile{name: strings.Replace(image[l].name, "layer.tar", name+".tar", 1), body: image[l].body})
	}
	content := makeTar(t, append(files, tarFile{name: "manifest.json", body: "[" + strings.Join(items, ",") + "]"})...)
	for name, image := range map[string][]tarFile{"a:1": a, "b:1": b} {
		want, _, err := readBoth(t, makeTar(t, image...), "")
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := readBoth(t, content, name)
		if err != nil {
			t.Fatal(err)
		}
		assertRoot(t, got, want)
	}
	for name, want := range map[string]error{"": ErrSeveral, "c:1": ErrNoSuchImage} {
		if _, err := ReadArchive(t.Context(), writeTemp(t, content), name, newStore(t), nil); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
}

func TestIncompleteIndexGivesItsOnlyPlatform(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	amd := b.manifest("amd64", b.layer("here", gzipped))
	arm := image.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("elsewhere"), Size: 9}
	root := b.index(on("arm64", arm), on("amd64", amd))
	tree := func(more ...image.Descriptor) []byte {
		files := []tarFile{{name: "oci-layout", body: image.LayoutJSON}, {name: "index.json", body: string(image.IndexJSON(root, nil))}}
		img, err := image.Walk(t.Context(), amd, Documents(b.s))
		if err != nil {
			t.Fatal(err)
		}
		have := []image.Descriptor{root}
		for _, x := range img.Blobs {
			have = append(have, x.Descriptor)
		}
		for _, d := range append(have, more...) {
			files = append(files, tarFile{name: blobPath(d.Digest), body: string(blob(t, b.s, d))})
		}
		return makeTar(t, files...)
	}
	got, _, err := readBoth(t, tree(), "")
	if err != nil {
		t.Fatal(err)
	}
	assertRoot(t, got, amd)

	gone := b.manifest("arm64", part{image.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString("gone"), Size: 4}, digest.FromString("gone")})
	root = b.index(on("arm64", gone))
	if _, err := ReadArchive(t.Context(), writeTemp(t, tree(gone)), "", newStore(t), nil); !errors.Is(err, ErrIncomplete) {
		t.Errorf("index without a whole platform: %v", err)
	}
}

func blob(t *testing.T, s *blobs.Store, d image.Descriptor) []byte {
	t.Helper()
	b, err := Documents(s)(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
