package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// TestShapes sends each shape of image from the node that publishes it through a
// second node to a third one, which exports it.
func TestShapes(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Start().Connect().AwaitPeers(2)
	for name, img := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			layout := img.Lay(t)
			relay(t, net, "shape/"+name+":1", layout)
		})
	}
}

// relay publishes on node 0, fetches on node 1, and fetches from that one alone
// on node 2. Both exports are the image, byte for byte.
func relay(t *testing.T, net *testnet.Net, name string, layout *testnet.Layout) {
	t.Helper()
	pub := net.Node(0).PublishLayout(name, layout)
	first := filepath.Join(t.TempDir(), "first")
	net.Node(1).FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+first)
	testnet.SameLayout(t, layout, first)
	net.Cut(net.Node(0), net.Node(2))
	defer net.Heal(net.Node(0), net.Node(2))
	second := filepath.Join(t.TempDir(), "second")
	got := net.Node(2).FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+second)
	testnet.SameLayout(t, layout, second)
	if n := got.Sources[net.Node(0).ID().String()]; n > 0 {
		t.Errorf("%d bytes came over a link that was cut", n)
	}
	if got.Magnet == "" || testnet.InfohashOf(t, got.Magnet) != testnet.InfohashOf(t, pub.Magnet) {
		t.Errorf("fetched under %s, published as %s", got.Magnet, pub.Magnet)
	}
}

func shapes(t *testing.T) map[string]testnet.Image {
	t.Helper()
	many := testnet.Image{Seed: 407}
	for i := range 200 {
		many.Layers = append(many.Layers, int64(100+i))
	}
	file := tarOf(t, entry{"etc/motd", "hello"}, entry{"empty", ""})
	twice := gzipLayer(t, tarOf(t, entry{"twice", "twice"}))
	return map[string]testnet.Image{
		"platforms":        {Seed: 400, Layers: []int64{1 << 20}, Platforms: []string{"linux/amd64", "linux/arm64", "linux/s390x"}},
		"nested-index":     {Seed: 401, Layers: []int64{5000}, Platforms: []string{"linux/amd64", "linux/arm64"}, Nested: true},
		"layer-twice":      {Seed: 402, Blobs: []testnet.Blob{twice, gzipLayer(t, file), twice}},
		"empty-layer":      {Seed: 403, Blobs: []testnet.Blob{gzipLayer(t, tarOf(t)), {MediaType: ocispec.MediaTypeImageLayer, Data: tarOf(t)}}},
		"empty-file":       {Seed: 404, Blobs: []testnet.Blob{gzipLayer(t, tarOf(t, entry{"empty", ""}))}},
		"zero-bytes":       {Seed: 405, Layers: []int64{100}, Blobs: []testnet.Blob{{MediaType: ocispec.MediaTypeImageLayer}}},
		"zstd":             {Seed: 406, Blobs: []testnet.Blob{zstdLayer(t, file)}},
		"two-hundred":      many,
		"no-layers":        {Seed: 408},
		"on-a-piece":       {Seed: 409, Layers: []int64{256 << 10, 512 << 10}},
		"around-a-piece":   {Seed: 410, Layers: []int64{256<<10 - 1, 256<<10 + 1}},
		"around-in-line":   {Seed: 411, Layers: []int64{64 << 10, 64<<10 + 1, 64<<10 - 1}},
		"a-single-byte":    {Seed: 412, Layers: []int64{1}},
		"bigger-pieces":    {Seed: 413, Layers: []int64{65 << 20}},
		"same-as-platform": {Seed: 400, Layers: []int64{1 << 20}, Platforms: []string{"linux/amd64", "linux/arm64"}},
	}
}

type entry struct{ name, content string }

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipLayer(t *testing.T, content []byte) testnet.Blob {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return testnet.Blob{MediaType: ocispec.MediaTypeImageLayerGzip, Data: b.Bytes(), DiffID: digest.FromBytes(content)}
}

func zstdLayer(t *testing.T, content []byte) testnet.Blob {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return testnet.Blob{MediaType: ocispec.MediaTypeImageLayerZstd, Data: w.EncodeAll(content, nil), DiffID: digest.FromBytes(content)}
}

// TestZstdForDocker exports an image with a zstd layer as a tar for engines that
// cannot read zstd: the layer is in it uncompressed too.
func TestZstdForDocker(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	content := tarOf(t, entry{"etc/motd", "hello"})
	pub := net.Node(0).Publish("zstd:1", testnet.Image{Seed: 420, Blobs: []testnet.Blob{zstdLayer(t, content)}})
	out := filepath.Join(t.TempDir(), "out.tar")
	net.Node(1).FetchTo(pub.Magnet, "docker-archive:"+out)

	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := "blobs/sha256/" + digest.FromBytes(content).Encoded()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("looking for %s: %v", want, err)
		}
		if h.Name != want {
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(b, content) {
			t.Errorf("the layer in the tar is %d bytes (%v), want %d", len(b), err, len(content))
		}
		return
	}
}

// TestTwoGiBLayer is the one shape that takes its time.
func TestTwoGiBLayer(t *testing.T) {
	size := uint64(2 << 30)
	if testing.Short() {
		size = 128 << 20
	}
	if free := freeBytes(t, os.TempDir()); free < 6*size {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("needs %d MiB free, there are %d", 6*size>>20, free>>20)
		}
		t.Skipf("needs %d MiB free, there are %d", 6*size>>20, free>>20)
	}
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	layout := testnet.Image{Seed: 430, Layers: []int64{int64(size)}}.Lay(t)
	pub := net.Node(0).PublishLayout("big:1", layout)
	out := filepath.Join(t.TempDir(), "out")
	got := net.Node(1).FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	testnet.SameLayout(t, layout, out)
	t.Logf("%d bytes in %.1f s", got.BytesFromPeers, got.Seconds)
}
