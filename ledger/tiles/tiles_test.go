package tiles_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/tiles"
)

// TestReadServed reads logs of all shapes over HTTP, from an export and from
// memory.
func TestReadServed(t *testing.T) {
	t.Parallel()
	sizes := []int{1, 2, 255, 256, 257, 511, 512, 1000}
	if !testing.Short() {
		sizes = append(sizes, 70_000)
	}
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			l := newPlainLog(t, "a", size)
			dir := t.TempDir()
			if err := tiles.Export(t.Context(), l.log(), dir); err != nil {
				t.Fatal(err)
			}
			for name, f := range map[string]tiles.Fetcher{
				"http":   served(t, tiles.Handler(l.log(), func(err error) { t.Error(err) })),
				"export": tiles.Dir{FS: os.DirFS(dir)},
				"memory": &memory{files: l.resources(t)},
			} {
				r, err := tiles.Open(t.Context(), f, l.verify())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				readsAll(t, r, l.leaves)
			}
		})
	}
}

// TestNamesOfSpecification: the log of 70,000 entries that it describes.
func TestNamesOfSpecification(t *testing.T) {
	t.Parallel()
	got := newPlainLog(t, "a", 70_000).resources(t)
	full, partial := map[string]int{}, []string{}
	for path, b := range got {
		p, err := tiles.ParsePath(path)
		if err != nil {
			continue // the checkpoint
		}
		kind := strings.Split(path, "/")[1]
		if p.Width == 256 {
			full[kind]++
		} else {
			partial = append(partial, path)
		}
		if !p.Entries && len(b) != p.Width*tlog.HashSize {
			t.Errorf("%s has %d bytes", path, len(b))
		}
	}
	slices.Sort(partial)
	want := []string{"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"}
	if !slices.Equal(partial, want) || full["0"] != 273 || full["1"] != 1 || full["entries"] != 273 {
		t.Errorf("full %v, partial %v", full, partial)
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]tiles.Path{
		"tile/0/000":                  {Width: 256},
		"tile/0/x001/x234/067":        {N: 1234067, Width: 256},
		"tile/63/x001/000.p/255":      {Level: 63, N: 1000, Width: 255},
		"tile/entries/x123/456.p/1":   {Entries: true, N: 123456, Width: 1},
		"tile/5/x999/x999/x999/999":   {Level: 5, N: 999999999999, Width: 256},
		"tile/entries/x100/000.p/112": {Entries: true, N: 100000, Width: 112},
	} {
		if got, err := tiles.ParsePath(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "/tile/0/000", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/+1/000",
		"tile/64/000", "tile/-1/000", "tile/x/000", "tile/0/x000/000", "tile/0/001/000", "tile/0/x001/x000", "tile/0/x001", "tile/0/xx01/000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/-1", "tile/0/000.p/", "tile/0/000.p", "tile/0/000.p/1/",
		"tile/0/000.p/1.p/1", "tile/0/x001.p/1/000", "tile/0/-01", "tile/0/+01", "tile/entries/entries", "tile/data/000", "tile/8/0/000",
		"tile/0/x999/x999/x999/x999/999", "tile/0/" + strings.Repeat("x001/", 40) + "000", "tile/0//000", "tile/0/1000",
	} {
		if got, err := tiles.ParsePath(in); !errors.Is(err, tiles.ErrBadPath) {
			t.Errorf("%q: %+v, %v, want ErrBadPath", in, got, err)
		}
	}
}

// FuzzParsePath: what is accepted re-encodes to the same bytes, and x/mod reads
// its own spelling of it alike.
func FuzzParsePath(f *testing.F) {
	f.Add("tile/0/x001/x234/067.p/1")
	f.Add("tile/entries/000")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := tiles.ParsePath(in)
		if err != nil {
			return
		}
		if p.String() != in {
			t.Errorf("%q re-encodes to %q", in, p)
		}
		theirs := strings.Replace("tile/8/"+strings.TrimPrefix(in, "tile/"), "/entries/", "/data/", 1)
		tile, err := tlog.ParseTilePath(theirs)
		if err != nil || uint64(tile.N) != p.N || tile.W != p.Width || max(tile.L, 0) != p.Level || (tile.L == -1) != p.Entries {
			t.Errorf("%q is %+v, x/mod reads %+v, %v", in, p, tile, err)
		}
	})
}

func TestBundle(t *testing.T) {
	t.Parallel()
	leaves := [][]byte{[]byte("a"), {}, bytes.Repeat([]byte("b"), ledger.MaxLeaf)}
	b, err := tiles.EncodeBundle(leaves)
	if err != nil || hex.EncodeToString(b[:7]) != "0001610000ffff" {
		t.Fatalf("%x, %v", b[:7], err)
	}
	got, err := tiles.ParseBundle(b, 3)
	if err != nil || !slices.EqualFunc(got, leaves, bytes.Equal) {
		t.Errorf("%d entries, %v", len(got), err)
	}
	if _, err := tiles.EncodeBundle([][]byte{make([]byte, ledger.MaxLeaf+1)}); !errors.Is(err, tiles.ErrBadBundle) {
		t.Errorf("large entry: %v", err)
	}
	for name, tc := range map[string]struct {
		in    []byte
		width int
	}{
		"fewer": {b, 4}, "more": {b, 2}, "cut": {b[:len(b)-1], 3}, "cut length": {b[:1], 1}, "trailing": {append(bytes.Clone(b), 0), 3}, "empty": {nil, 1},
	} {
		if _, err := tiles.ParseBundle(tc.in, tc.width); !errors.Is(err, tiles.ErrBadBundle) {
			t.Errorf("%s: %v, want ErrBadBundle", name, err)
		}
	}
}

func FuzzParseBundle(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x00"), 2)
	f.Add([]byte("x"), -1)
	f.Fuzz(func(t *testing.T, in []byte, width int) {
		if leaves, err := tiles.ParseBundle(in, width%257); err == nil {
			if again, err := tiles.EncodeBundle(leaves); err != nil || !bytes.Equal(again, in) {
				t.Errorf("%x re-encodes to %x, %v", in, again, err)
			}
		}
	})
}

// TestHostileServer changes every resource in turn: the reader says so or reads
// the truth.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 700)
	other := newPlainLog(t, "b", 700)
	files, others := l.resources(t), other.resources(t)
	changes := map[string]func(path string, b []byte) []byte{
		"first bit": func(_ string, b []byte) []byte { b[0] ^= 1; return b },
		"last bit":  func(_ string, b []byte) []byte { b[len(b)-1] ^= 0x80; return b },
		"cut":       func(_ string, b []byte) []byte { return b[:len(b)-1] },
		"longer":    func(_ string, b []byte) []byte { return append(b, 0) },
		"empty":     func(string, []byte) []byte { return nil },
		"other log": func(path string, _ []byte) []byte { return others[path] },
	}
	for path := range files {
		for name, change := range changes {
			if path == "checkpoint" && name == "other log" {
				continue // signed by the same key: see package evidence
			}
			hostile := maps.Clone(files)
			hostile[path] = change(path, bytes.Clone(files[path]))
			r, err := tiles.Open(t.Context(), &memory{files: hostile}, l.verify())
			if err == nil {
				err = r.Entries(t.Context(), 0, 700, func(i uint64, leaf []byte) error {
					if !bytes.Equal(leaf, l.leaves[i]) {
						t.Errorf("%s, %s: entry %d reads as %q", path, name, i, leaf)
					}
					return nil
				})
			}
			if err == nil {
				t.Errorf("%s, %s: no error", path, name)
			}
		}
		delete(files, path)
		r, err := tiles.Open(t.Context(), &memory{files: files}, l.verify())
		if err == nil {
			err = r.Entries(t.Context(), 0, 700, func(uint64, []byte) error { return nil })
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is missing: %v, want fs.ErrNotExist", path, err)
		}
		files = l.resources(t)
	}
}

// TestPartialGone: where the partial tiles of an old checkpoint are not kept,
// the full ones do.
func TestPartialGone(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 300)
	signed, err := l.log().Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	l.grow(t, 1024)
	// Tile 1/000 of the old log is partial in the new one too, with another
	// width: a server keeps that.
	files := l.resources(t)
	files["tile/1/000.p/1"] = files["tile/1/000.p/4"][:tlog.HashSize]
	for name, f := range map[string]tiles.Fetcher{
		"memory": &memory{files: files},
		"http":   served(t, tiles.Handler(l.log(), func(err error) { t.Error(err) })),
	} {
		r, err := tiles.OpenAt(f, signed, l.verify())
		if err != nil {
			t.Fatal(err)
		}
		readsAll(t, r, l.leaves[:300])
		if _, err := r.Entry(t.Context(), 300); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%s: beyond the checkpoint: %v", name, err)
		}
	}
}

func TestConsistency(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 600)
	r, err := tiles.Open(t.Context(), &memory{files: l.resources(t)}, l.verify())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := r.Checkpoint()
	for _, older := range []uint64{1, 2, 255, 256, 257, 512, 599, 600} {
		root, err := tlog.TreeHash(int64(older), l)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := r.ProveConsistency(t.Context(), older)
		if err != nil {
			t.Fatal(err)
		}
		if err := ledger.CheckConsistency(proof, ledger.Checkpoint{Size: older, Root: root}, c); err != nil {
			t.Errorf("from %d: %v", older, err)
		}
	}
	for _, older := range []uint64{0, 601} {
		if _, err := r.ProveConsistency(t.Context(), older); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("from %d: %v", older, err)
		}
	}
	if _, err := r.Prove(t.Context(), 600); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("entry 600: %v", err)
	}
}

// TestFetchesOnce: reading everything fetches everything once.
func TestFetchesOnce(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 5000)
	m := &memory{files: l.resources(t), fetched: map[string]int{}}
	r, err := tiles.Open(t.Context(), m, l.verify())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Entries(t.Context(), 0, 5000, func(uint64, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for path := range m.files {
		if m.fetched[path] != 1 {
			t.Errorf("%s was fetched %d times", path, m.fetched[path])
		}
	}
}

// TestReadTessera reads the log that tessera keeps for its own tests, at every
// size that it has a checkpoint of.
func TestReadTessera(t *testing.T) {
	t.Parallel()
	key, err := note.ParseKey("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")
	if err != nil {
		t.Fatal(err)
	}
	f := tiles.Dir{FS: os.DirFS("testdata/tessera")}
	var all [][]byte
	for size := 1; size <= 15; size++ {
		signed, err := f.Fetch(t.Context(), fmt.Sprintf("checkpoint.%d", size), note.MaxSize)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tiles.OpenAt(f, signed, tiles.ByKeys(key))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := r.Entry(t.Context(), uint64(size-1))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leaf)
		readsAll(t, r, all)
		newest, err := tiles.Open(t.Context(), f, tiles.ByKeys(key))
		if err != nil {
			t.Fatal(err)
		}
		proof, err := newest.ProveConsistency(t.Context(), uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		older, _ := r.Checkpoint()
		newer, _ := newest.Checkpoint()
		if err := ledger.CheckConsistency(proof, older, newer); err != nil {
			t.Errorf("from %d: %v", size, err)
		}
	}
}

// TestOpenAuthor reads the log of a real author by nothing but its id.
func TestOpenAuthor(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	key := ledgertest.Key(1)
	author := ledgertest.Author(t, l, key)
	stranger := ledgertest.Author(t, l, ledgertest.Key(2))
	for i := range 10 {
		ledgertest.Append(t, l, author, key, "app", "1.0", i)
	}
	base := served(t, tiles.Handlers(l, func(err error) { t.Error(err) }))
	at := func(path string) tiles.HTTP {
		return tiles.HTTP{Prefix: base.Prefix.JoinPath(path), Client: base.Client}
	}
	r, err := tiles.OpenAuthor(t.Context(), at(string(author)), author)
	if err != nil {
		t.Fatal(err)
	}
	var leaves [][]byte
	if err := r.Entries(t.Context(), 0, 11, func(_ uint64, leaf []byte) error {
		leaves = append(leaves, bytes.Clone(leaf))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, signed := r.Checkpoint()
	if _, err := ledger.New(ledger.NewMem(), "public").Extend(t.Context(), author, 0, leaves, signed); err != nil {
		t.Errorf("what was read does not make a ledger: %v", err)
	}
	if _, err := tiles.OpenAuthor(t.Context(), at(string(stranger)), author); !errors.Is(err, ledger.ErrWrongAuthor) {
		t.Errorf("the log of another author: %v, want ErrWrongAuthor", err)
	}
	unknown := ledger.AuthorIDOf([]byte("x"))
	for _, path := range []string{string(unknown), "x", ""} {
		if _, err := tiles.OpenAuthor(t.Context(), at(path), author); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, want fs.ErrNotExist", path, err)
		}
	}
}
