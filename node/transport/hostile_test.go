package transport

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(files []tarFile) []tarFile
		want   error
	}{
		"CVE-2021-21272 name leads out":      {add(tarFile{name: "../../etc/passwd", body: "x"}), ErrBadArchive},
		"name leads out and back":            {add(tarFile{name: "a/../../b", body: "x"}), ErrBadArchive},
		"absolute name":                      {add(tarFile{name: "/etc/passwd", body: "x"}), ErrBadArchive},
		"backslashes":                        {add(tarFile{name: `..\..\boot.ini`, body: "x"}), ErrBadArchive},
		"CVE-2018-15664 link leads out":      {add(tarFile{name: "x", kind: tar.TypeSymlink, link: "../etc/passwd"}), ErrBadArchive},
		"absolute link":                      {add(tarFile{name: "x", kind: tar.TypeSymlink, link: "/etc/passwd"}), ErrBadArchive},
		"CVE-2020-26279 hard link leads out": {add(tarFile{name: "x", kind: tar.TypeLink, link: "../x"}), ErrBadArchive},
		"CVE-2018-15664 a file through a link": {func(files []tarFile) []tarFile {
			return append(files, tarFile{name: "x", kind: tar.TypeSymlink, link: "/etc"}, tarFile{name: "x/passwd", body: "x"})
		}, ErrBadArchive},
		"device":            {add(tarFile{name: "x", kind: tar.TypeBlock}), ErrBadArchive},
		"pipe":              {add(tarFile{name: "x", kind: tar.TypeFifo}), ErrBadArchive},
		"a file twice":      {add(tarFile{name: "manifest.json", body: "[]"}), ErrAmbiguous},
		"a file and a link": {add(tarFile{name: "./manifest.json", kind: tar.TypeSymlink, link: "x"}), ErrAmbiguous},
		"layer is a ring of links": {replaceBody("1/layer.tar", func(f *tarFile) {
			*f = tarFile{name: f.name, kind: tar.TypeSymlink, link: "layer.tar"}
		}), ErrBadArchive},
		"layer by a link to nothing": {replaceBody("1/layer.tar", func(f *tarFile) {
			*f = tarFile{name: f.name, kind: tar.TypeSymlink, link: "nothing.tar"}
		}), ErrIncomplete},
		"layer of the wrong content": {replaceBody("1/layer.tar", func(f *tarFile) { f.body = string(makeTar(t)) }), nil},
		"config of the wrong digest": {replaceBody(".json", func(f *tarFile) { f.body += " " }), ErrCorrupt},
		"config too large":           {replaceBody(".json", func(f *tarFile) { f.body += strings.Repeat(" ", image.MaxManifest) }), nil},
		"layer too many":             {manifestJSON(`"Layers":["`, `"Layers":["manifest.json","`), ErrBadArchive},
		"layer outside":              {manifestJSON(`"Layers":["`, `"Layers":["../../x","`), ErrBadArchive},
		"config outside":             {manifestJSON(`"Config":"`, `"Config":"../`), ErrBadArchive},
		"two configs":                {manifestJSON(`"Config":"`, `"config":"y","Config":"`), ErrBadArchive},
		"two images":                 {manifestJSON(`}]`, `}] []`), ErrBadArchive},
		"no images":                  {replaceBody("manifest.json", func(f *tarFile) { f.body = "[]" }), ErrBadArchive},
		"null":                       {replaceBody("manifest.json", func(f *tarFile) { f.body = "null" }), ErrBadArchive},
		"deep":                       {replaceBody("manifest.json", func(f *tarFile) { f.body = strings.Repeat("[", 100_000) }), ErrBadArchive},
		"no description":             {replaceBody("manifest.json", func(f *tarFile) { f.name = "manifesto.json" }), ErrBadArchive},
		"no config":                  {replaceBody(".json", func(f *tarFile) { f.name = "x" }), ErrIncomplete},
		"empty":                      {func([]tarFile) []tarFile { return nil }, ErrBadArchive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := readBoth(t, makeTar(t, c.change(savedImage(t, "one"))...), "")
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func add(f tarFile) func([]tarFile) []tarFile {
	return func(files []tarFile) []tarFile { return append(files, f) }
}

// replaceBody changes the first file whose name ends so.
func replaceBody(suffix string, change func(*tarFile)) func([]tarFile) []tarFile {
	return func(files []tarFile) []tarFile {
		change(&files[find(files, suffix)])
		return files
	}
}

func manifestJSON(from, to string) func([]tarFile) []tarFile {
	return replaceBody("manifest.json", func(f *tarFile) { f.body = strings.Replace(f.body, from, to, 1) })
}

func TestTornArchives(t *testing.T) {
	t.Parallel()
	whole := makeTar(t, savedImage(t, "one")...)
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"second archive behind": {append(bytes.Clone(whole), whole...), ErrBadArchive},
		"cut in a header":       {whole[:700], ErrBadArchive},
		"cut in a file":         {whole[:len(whole)/2+100], ErrBadArchive},
		"not a tar":             {bytes.Repeat([]byte("x"), 2048), ErrBadArchive},
		"not a gzip":            {[]byte("\x1f\x8bxxxxxxxxxx"), ErrBadArchive},
		"endless padding":       {append(bytes.Clone(whole), make([]byte, 2<<20)...), ErrBadArchive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := readBoth(t, c.content, ""); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	padded := append(bytes.Clone(whole), make([]byte, 10240)...)
	if _, _, err := readBoth(t, padded, ""); err != nil {
		t.Errorf("with a tape's padding: %v", err)
	}
}

func TestArchiveOfTwoMinds(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	good, bad := b.manifest("amd64", b.layer("good", gzipped)), b.manifest("amd64", b.layer("bad", gzipped))
	if _, _, err := readBoth(t, archiveOf(t, b.index(good, bad), b.s), ""); err != nil {
		t.Fatalf("archive of one mind: %v", err)
	}
	// The layout says good, manifest.json says bad.
	goodTar, badTar := archiveOf(t, good, b.s), archiveOf(t, bad, b.s)
	tree, err := indexTar(t.Context(), bytes.NewReader(badTar), int64(len(badTar)))
	if err != nil {
		t.Fatal(err)
	}
	j, err := readFile(tree, archiveFile)
	if err != nil {
		t.Fatal(err)
	}
	files := untar(t, goodTar)
	files[find(files, "manifest.json")].body = string(j)
	for _, f := range untar(t, badTar) {
		if f.kind == 0 && find(files, f.name) < 0 {
			files = append(files, f)
		}
	}
	if _, _, err := readBoth(t, makeTar(t, files...), ""); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("archive of two minds: %v", err)
	}
}

// untar lists the regular files of a tar.
func untar(t *testing.T, content []byte) (files []tarFile) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			files = append(files, tarFile{name: h.Name, body: string(b)})
		}
	}
}

// zeros is a stream without end.
type zeros struct{ n int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.n += int64(len(p))
	return len(p), nil
}

func TestBombsAreDefused(t *testing.T) {
	t.Parallel()
	const part, size = 1 << 26, freeExpansion + 1<<26
	member := func(write func(io.Writer) error) []byte { // parts of a gzip file follow one another (RFC 1952, 2.2)
		var buf bytes.Buffer
		z, err := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
		if err := errors.Join(err, write(z), z.Close()); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	bomb := member(func(w io.Writer) error {
		return tar.NewWriter(w).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bomb", Size: size})
	})
	some := member(func(w io.Writer) error {
		_, err := io.CopyN(w, &zeros{}, part)
		return err
	})
	bomb = append(bomb, bytes.Repeat(some, size/part+1)...) // and the end of the tar
	buf := bytes.NewBuffer(bomb)
	dst := newStore(t)
	if _, err := ReadStream(t.Context(), buf, "", dst, nil); !errors.Is(err, image.ErrTooLarge) {
		t.Errorf("gzip bomb: %v", err)
	}
	assertEmpty(t, dst)
}

func TestEndlessInputCVE202325153(t *testing.T) {
	t.Parallel()
	var header bytes.Buffer
	w := tar.NewWriter(&header)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "index.json", Size: 3 << 20}); err != nil {
		t.Fatal(err)
	}
	one := append(header.Bytes(), make([]byte, 3<<20)...)
	for name, r := range map[string]io.Reader{
		"zeros":       &zeros{},
		"small files": &repeat{b: renumbered(one)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := newStore(t)
			if _, err := ReadStream(t.Context(), r, "", dst, nil); !errors.Is(err, image.ErrTooLarge) && !errors.Is(err, ErrBadArchive) {
				t.Errorf("got %v", err)
			}
			assertEmpty(t, dst)
		})
	}
}

// repeat yields what its function gives, again and again.
type repeat struct {
	b    func() []byte
	left []byte
}

func (r *repeat) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.left = r.b()
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// renumbered gives one tar entry under ever new names.
func renumbered(entry []byte) func() []byte {
	n := 0
	return func() []byte {
		n++
		var buf bytes.Buffer
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("x", n), Size: int64(len(entry) - 512)}
		if err := tar.NewWriter(&buf).WriteHeader(h); err != nil {
			panic(err)
		}
		return append(buf.Bytes(), entry[512:]...)
	}
}

func TestHostileLayouts(t *testing.T) {
	t.Parallel()
	secret := writeTemp(t, []byte("root:x:0:0"))
	for name, c := range map[string]struct {
		spoil func(dir string, layer string) error
		want  error
	}{
		"layer is a link out":      {func(_, layer string) error { return errors.Join(os.Remove(layer), os.Symlink(secret, layer)) }, nil},
		"blobs is a link out":      {func(dir, _ string) error { return relocate(dir, "blobs", t.TempDir()) }, nil},
		"index is a link out":      {func(dir, _ string) error { return relocate(dir, "index.json", t.TempDir()) }, nil},
		"layer is a pipe":          {func(_, layer string) error { return errors.Join(os.Remove(layer), syscall.Mkfifo(layer, 0o600)) }, ErrBadArchive},
		"layer is a directory":     {func(_, layer string) error { return errors.Join(os.Remove(layer), os.Mkdir(layer, 0o700)) }, ErrBadArchive},
		"layer is gone":            {func(_, layer string) error { return os.Remove(layer) }, ErrIncomplete},
		"layer is short":           {func(_, layer string) error { return os.Truncate(layer, 3) }, ErrCorrupt},
		"layer is other content":   {func(_, layer string) error { return scribble(layer) }, nil},
		"index is gone":            {func(dir, _ string) error { return os.Remove(filepath.Join(dir, "index.json")) }, ErrBadArchive},
		"index names nothing":      {write("index.json", `{"schemaVersion":2,"manifests":[]}`), ErrNoSuchImage},
		"index is a manifest too":  {write("index.json", `{"schemaVersion":2,"manifests":[],"layers":[]}`), image.ErrAmbiguous},
		"index has a path":         {write("index.json", `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:../../../etc/passwd","size":4}]}`), image.ErrBadManifest},
		"index is huge":            {write("index.json", strings.Repeat(" ", image.MaxManifest+1)), image.ErrTooLarge},
		"version of tomorrow":      {write("oci-layout", `{"imageLayoutVersion":"2.0.0"}`), ErrBadArchive},
		"two versions":             {write("oci-layout", `{"imageLayoutVersion":"1.0.0","imagelayoutversion":"2"}`), ErrBadArchive},
		"not a layout":             {func(dir, _ string) error { return os.Remove(filepath.Join(dir, "oci-layout")) }, ErrBadArchive},
		"index within itself gone": {write("index.json", `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"`+digest.FromString("x").String()+`","size":1}]}`), ErrIncomplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBuilder(t)
			layer := b.layer("content of the layer", gzipped)
			dir := t.TempDir()
			if err := WriteLayout(t.Context(), dir, b.manifest("amd64", layer), "", b.s, nil); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(dir, filepath.Join(dir, filepath.FromSlash(blobPath(layer.Digest)))); err != nil {
				t.Fatal(err)
			}
			dst := newStore(t)
			_, err := ReadLayout(t.Context(), dir, "", dst, nil)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if _, err := dst.Stat(layer.Digest); err == nil {
				t.Error("stored the layer")
			}
		})
	}
	if _, err := ReadLayout(t.Context(), filepath.Join(t.TempDir(), "nowhere"), "", newStore(t), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := ReadArchive(t.Context(), filepath.Join(t.TempDir(), "nowhere.tar"), "", newStore(t), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// relocate moves a part of a layout elsewhere and leaves a link.
func relocate(dir, name, to string) error {
	from, to := filepath.Join(dir, name), filepath.Join(to, name)
	return errors.Join(os.Rename(from, to), os.Symlink(to, from))
}

func scribble(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(path, b, 0o600)
}

func write(name, content string) func(dir, layer string) error {
	return func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600) }
}

func TestWriterStaysInItsDirectory(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	if err := WriteLayout(t.Context(), dir, b.manifest("amd64"), "", b.s, nil); err == nil {
		t.Error("wrote through a link")
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("wrote %v outside, %v", left, err)
	}
}

func TestZstdTwinMustBeTheDiffID(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	layer := b.layer("honest", zstandard)
	layer.diffID = digest.FromString("another")
	err := WriteArchive(t.Context(), io.Discard, b.manifest("amd64", layer), "", nil, b.s, nil)
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	layer = part{b.put(ocispec.MediaTypeImageLayerZstd, []byte("not zstd at all")), digest.FromString("x")}
	if err := WriteArchive(t.Context(), io.Discard, b.manifest("amd64", layer), "", nil, b.s, nil); err == nil {
		t.Error("took a layer that is not zstd")
	}
}

func TestExpansionIsBounded(t *testing.T) {
	t.Parallel()
	for c := range map[compression]bool{gzipped: true, zstandard: true} {
		bomb := compress(t, make([]byte, 1<<20), c)
		for _, x := range []struct {
			floor, ratio int64
			want         error
		}{{1 << 10, 10, image.ErrTooLarge}, {1 << 30, 10, nil}, {1 << 10, 1 << 20, nil}} {
			r, err := decompress(bytes.NewReader(bomb), c, x.floor, x.ratio)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); !errors.Is(err, x.want) {
				t.Errorf("%s, floor %d, ratio %d: %v, want %v", c, x.floor, x.ratio, err, x.want)
			}
			r.Close()
		}
	}
}
