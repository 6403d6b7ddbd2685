package swarm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

func TestPieceLength(t *testing.T) {
	t.Parallel()
	const mi, gi = 1 << 20, 1 << 30
	for _, test := range []struct{ size, want int64 }{
		{1, 256 << 10}, {gi, 256 << 10}, {gi + 1, mi}, {8 * gi, mi}, {8*gi + 1, 4 * mi},
		{64 * gi, 4 * mi}, {64*gi + 1, 16 * mi}, {1 << 42, 16 * mi},
	} {
		if got := PieceLength(test.size); got != test.want {
			t.Errorf("PieceLength(%d) = %d, want %d", test.size, got, test.want)
		}
	}
}

// The vector was computed with two independent programs, one of them in Python.
func TestLayerVector(t *testing.T) {
	t.Parallel()
	info, ih, err := BuildLayer(t.Context(), "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58",
		1<<20, bytes.NewReader(make([]byte, 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if got := ih.String(); got != "2f72f9a2268ab3168e5702b9890de00e5d6a7975" {
		t.Errorf("infohash %s", got)
	}
	if len(info) != 206 {
		t.Errorf("info dict of %d bytes", len(info))
	}
}

// bencoded is a bencoder as one writes it from BEP 3, to check ours against.
func bencoded(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%d:%s", len(v), v)
	case int:
		return fmt.Sprintf("i%de", v)
	case []any:
		var b strings.Builder
		for _, e := range v {
			b.WriteString(bencoded(e))
		}
		return "l" + b.String() + "e"
	case map[string]any:
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(bencoded(k) + bencoded(v[k]))
		}
		return "d" + b.String() + "e"
	}
	panic(fmt.Sprintf("%T", v))
}

func pieces(data []byte, pieceLen int) string {
	var b strings.Builder
	for c := range slices.Chunk(data, pieceLen) {
		sum := sha1.Sum(c)
		b.Write(sum[:])
	}
	return b.String()
}

func TestInfoAgainstOtherBencoders(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 256 << 10, 700_001, 64<<20 + 1} {
		data := randomBytes(uint64(size), size)
		info, _, err := BuildLayer(t.Context(), "abc", int64(size), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		pl := int(PieceLength(int64(size)))
		want := bencoded(map[string]any{"name": "abc", "length": size, "piece length": pl, "pieces": pieces(data, pl)})
		if string(info) != want {
			t.Errorf("size %d: other info dict than by hand", size)
		}
		theirs := bencode.MustMarshal(metainfo.Info{
			Name: "abc", Length: int64(size), PieceLength: int64(pl), Pieces: []byte(pieces(data, pl))})
		if !bytes.Equal(info, theirs) {
			t.Errorf("size %d: other info dict than anacrolix's", size)
		}
	}

	al := newAlbum(t, 110)
	var files []any
	var list []metainfo.FileInfo
	for _, f := range al.files {
		var path []any
		for _, e := range f.Path {
			path = append(path, e)
		}
		files = append(files, map[string]any{"length": int(f.Size), "path": path})
		list = append(list, metainfo.FileInfo{Length: f.Size, Path: f.Path})
	}
	hashes := pieces(al.flat(), 256<<10)
	want := bencoded(map[string]any{"name": al.name, "files": files, "piece length": 256 << 10, "pieces": hashes})
	if string(al.info) != want {
		t.Error("other image dict than by hand")
	}
	theirs := bencode.MustMarshal(metainfo.Info{Name: al.name, Files: list, PieceLength: 256 << 10, Pieces: []byte(hashes)})
	if !bytes.Equal(al.info, theirs) {
		t.Error("other image dict than anacrolix's")
	}
}

func TestCheckLayerInfo(t *testing.T) {
	t.Parallel()
	bl := newBlob(t, 120, 300_000)
	if err := CheckLayerInfo(bl.info, bl.name, 300_000); err != nil {
		t.Error(err)
	}
	if err := CheckLayerInfo(forge(bl.info), bl.name, 300_000); err != nil {
		t.Errorf("piece hashes are not looked at here: %v", err)
	}
	head := len(layerHead(bl.name, 300_000))
	for i := range bl.info {
		b := bytes.Clone(bl.info)
		b[i] ^= 1
		if err := CheckLayerInfo(b, bl.name, 300_000); (i < head || i == len(b)-1) != errors.Is(err, ErrBadInfo) {
			t.Errorf("byte %d turned over: %v", i, err)
		}
	}
	for name, b := range map[string][]byte{
		"empty":   nil,
		"shorter": bl.info[:len(bl.info)-1],
		"longer":  append(bytes.Clone(bl.info), 'e'),
		"private": append(bytes.Clone(bl.info[:len(bl.info)-1]), "7:privatei1ee"...),
	} {
		if err := CheckLayerInfo(b, bl.name, 300_000); !errors.Is(err, ErrBadInfo) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, size := range []int64{0, -1, 299_999} {
		if err := CheckLayerInfo(bl.info, bl.name, size); !errors.Is(err, ErrBadInfo) {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func FuzzParseInfo(f *testing.F) {
	info, _, err := BuildLayer(context.Background(), "abc", 300_000, bytes.NewReader(make([]byte, 300_000)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(info)
	image, _, err := BuildImage(context.Background(), "abc", []Source{
		{Path: []string{"a"}, Size: 3, Data: []byte("xyz")}, {Path: []string{"b", "c"}}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image)
	f.Add([]byte("d6:lengthi-1e4:name1:a12:piece lengthi262144e6:pieces0:e"))
	f.Add([]byte(strings.Repeat("l", 5000)))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseInfo(b)
		if err != nil {
			if !errors.Is(err, ErrBadInfo) {
				t.Fatalf("unclear error %v", err)
			}
			return
		}
		var total int64
		for _, s := range l.files {
			total += s.Size
		}
		if total != l.size || int64(l.numPieces()) != numPieces(l.size) || l.size <= 0 {
			t.Fatalf("inconsistent: %+v", l)
		}
	})
}

func TestBuildErrors(t *testing.T) {
	t.Parallel()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	read := func(n int) io.Reader { return bytes.NewReader(make([]byte, n)) }
	build := func(ctx context.Context, size int64, r io.Reader) error {
		_, _, err := BuildLayer(ctx, "x", size, r)
		return err
	}
	failing := func(size int64) Source {
		return Source{Path: []string{"a"}, Size: size, Open: func() (io.ReaderAt, io.Closer, error) {
			return bytes.NewReader([]byte("abc")), io.NopCloser(nil), nil
		}}
	}
	image := func(files ...Source) error {
		_, _, err := BuildImage(t.Context(), "x", files, nil)
		return err
	}
	for name, test := range map[string]struct{ err, want error }{
		"empty":        {build(t.Context(), 0, read(0)), ErrEmpty},
		"short":        {build(t.Context(), 10, read(9)), io.ErrUnexpectedEOF},
		"nothing":      {build(t.Context(), 10, read(0)), io.ErrUnexpectedEOF},
		"long":         {build(t.Context(), 10, read(11)), nil},
		"negative":     {build(t.Context(), -1, read(0)), nil},
		"stopped":      {build(stopped, 10, read(10)), context.Canceled},
		"short file":   {image(failing(4)), io.ErrUnexpectedEOF},
		"inline size":  {image(Source{Path: []string{"a"}, Size: 4, Data: []byte("abc")}), nil},
		"no bytes":     {image(Source{Path: []string{"a"}}), nil},
		"no path":      {image(Source{Size: 3, Data: []byte("abc")}), nil},
		"missing file": {image(Source{Path: []string{"a"}, Size: 3, Open: func() (io.ReaderAt, io.Closer, error) { return nil, nil, io.ErrClosedPipe }}), io.ErrClosedPipe},
	} {
		if test.err == nil || test.want != nil && !errors.Is(test.err, test.want) {
			t.Errorf("%s: got %v, want %v", name, test.err, test.want)
		}
	}
}

func TestBuildImageProgress(t *testing.T) {
	t.Parallel()
	var done, total int64
	data := randomBytes(1, 600_000)
	_, _, err := BuildImage(t.Context(), "x", []Source{{Path: []string{"a"}, Size: 600_000, Data: data}}, func(d, n int64) {
		if d < done {
			t.Errorf("from %d back to %d", done, d)
		}
		done, total = d, n
	})
	if err != nil || done != 600_000 || total != 600_000 {
		t.Errorf("%d of %d, %v", done, total, err)
	}
}

func BenchmarkBuildLayer(b *testing.B) {
	data := randomBytes(1, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := BuildLayer(b.Context(), "x", int64(len(data)), bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
