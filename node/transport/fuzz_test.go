package transport

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/node/image"
)

func FuzzParseArchive(f *testing.F) {
	f.Add([]byte(`[{"Config":"a.json","RepoTags":["x:1"],"Layers":["1/layer.tar"]}]`))
	f.Add([]byte(`[{"Config":"blobs/sha256/00","Layers":null}]`))
	f.Add([]byte(`[{"Config":"../x"}]`))
	f.Add([]byte(`[{"Config":"a","config":"b"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := parseArchive(b)
		if err != nil {
			return
		}
		for _, it := range items {
			for _, name := range append(it.Layers, it.Config) {
				if !filepath.IsLocal(name) {
					t.Errorf("path %q", name)
				}
			}
		}
		_, _ = selectItem(items, "x:1")
	})
}

func FuzzReadIndex(f *testing.F) {
	b := newBuilder(f)
	f.Add([]byte(image.LayoutJSON), image.IndexJSON(b.manifest("amd64"), map[string]string{"org.opencontainers.image.ref.name": "1"}), "1")
	f.Add([]byte(`{"imageLayoutVersion":"1.0.0","x":[{}]}`), []byte(`{"schemaVersion":2,"manifests":[]}`), "")
	f.Fuzz(func(t *testing.T, layout, index []byte, ref string) {
		inMemory := func(b []byte) tarEntry {
			return tarEntry{size: int64(len(b)), content: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
		}
		all, err := readIndex(tarTree{layoutFile: inMemory(layout), indexFile: inMemory(index)})
		if err != nil {
			return
		}
		if d, err := selectRoot(all, ref); err == nil && image.CheckDigest(d.Digest) != nil {
			t.Errorf("digest %q", d.Digest)
		}
	})
}

// FuzzReadTree reads whole archives, as a file and as a stream: they may
// refuse different ones, but must not read one as two images.
func FuzzReadTree(f *testing.F) {
	seed := func(files []tarFile) {
		var names []string
		var bodies [3][]byte
		for i, x := range files[:min(len(files), 3)] {
			names = append(names, x.name)
			bodies[i] = []byte(x.body)
		}
		f.Add(strings.Join(names, "\n"), bodies[0], bodies[1], bodies[2])
	}
	saved := savedImage(f, "one")
	seed([]tarFile{saved[0], saved[find(saved, "/layer.tar")], saved[find(saved, "manifest.json")]})
	seed(savedImage(f))
	seed([]tarFile{{name: "oci-layout", body: image.LayoutJSON}, {name: "index.json", body: `{"schemaVersion":2,"manifests":[]}`}})
	dst := newStore(f)
	f.Fuzz(func(t *testing.T, names string, one, two, three []byte) {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		for i, name := range strings.SplitN(names, "\n", 3) {
			body := [][]byte{one, two, three}[i]
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(body))}); err != nil {
				return
			}
			if _, err := w.Write(body); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := indexTar(t.Context(), bytes.NewReader(buf.Bytes()), int64(buf.Len()))
		if err != nil {
			return
		}
		byFile, err := readTree(t.Context(), file, "", dst, &meter{})
		if err != nil {
			return
		}
		if byStream, err := readStream(t.Context(), &buf, "", dst, nil); err == nil && byStream.Digest != byFile.Digest {
			t.Errorf("as a file %s, as a stream %s", byFile.Digest, byStream.Digest)
		}
	})
}

// FuzzScanTar lists tars whose headers are anything at all.
func FuzzScanTar(f *testing.F) {
	f.Add(makeTar(f, savedImage(f, "one")...))
	f.Add(makeTar(f, tarFile{name: strings.Repeat("long/", 100) + "x", body: "x"}, tarFile{name: "l", kind: tar.TypeSymlink, link: "long"}))
	f.Fuzz(func(t *testing.T, content []byte) {
		tree, err := indexTar(t.Context(), bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		for name := range tree {
			if !filepath.IsLocal(name) {
				t.Errorf("path %q", name)
			}
			if r, err := tree.open(name); err == nil {
				if n, err := io.Copy(io.Discard, r); n != r.size || err != nil {
					t.Errorf("%q has %d bytes of %d, %v", name, n, r.size, err)
				}
				r.Close()
			}
		}
	})
}
