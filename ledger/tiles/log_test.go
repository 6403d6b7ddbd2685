package tiles_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/tiles"
)

// source has one log in memory, whoever asks.
type source struct {
	head   ledger.Head
	leaves [][]byte
	hashes []tlog.Hash
}

func (s *source) Head(ledger.AuthorID) (ledger.Head, error) { return s.head, nil }

func (s *source) Leaves(_ ledger.AuthorID, from, to uint64) ([][]byte, error) {
	if to > uint64(len(s.leaves)) {
		return nil, ledger.ErrNotFound
	}
	return s.leaves[from:to], nil
}

func (s *source) Hashes(_ ledger.AuthorID, indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		if i >= int64(len(s.hashes)) {
			return nil, ledger.ErrNotFound
		}
		out = append(out, s.hashes[i])
	}
	return out, nil
}

// ReadHashes implements tlog.HashReader.
func (s *source) ReadHashes(indexes []int64) ([]tlog.Hash, error) { return s.Hashes("", indexes) }

// plainLog is a log whose entries are short and unsigned, under a signed
// checkpoint.
type plainLog struct {
	*source
	author ledger.AuthorID
	origin string
	name   string
}

func newPlainLog(t testing.TB, name string, size int) *plainLog {
	t.Helper()
	l := &plainLog{source: &source{}, author: ledger.AuthorIDOf([]byte("author")), origin: "example.com/log", name: name}
	l.grow(t, size)
	return l
}

// grow adds entries up to a size, and signs that.
func (l *plainLog) grow(t testing.TB, size int) {
	t.Helper()
	for i := len(l.leaves); i < size; i++ {
		leaf := fmt.Appendf(nil, "%s: entry %d", l.name, i)
		stored, err := tlog.StoredHashes(int64(i), leaf, l)
		if err != nil {
			t.Fatal(err)
		}
		l.leaves, l.hashes = append(l.leaves, leaf), append(l.hashes, stored...)
	}
	root, err := tlog.TreeHash(int64(size), l)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: l.origin, Size: uint64(size), Root: root}, ledgertest.Key(1))
	if err != nil {
		t.Fatal(err)
	}
	l.head = ledger.Head{Author: l.author, Size: uint64(size), Root: root, Checkpoint: signed}
}

func (l *plainLog) log() tiles.Log { return tiles.Of(l.source, l.author) }

func (l *plainLog) verify() tiles.Verify {
	return tiles.ByKeys(note.Key{Name: l.origin, Alg: note.Ed25519, Public: ledgertest.Key(1).Public()})
}

// served returns a fetcher over HTTP.
func served(t testing.TB, h http.Handler) tiles.HTTP {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	prefix, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return tiles.HTTP{Prefix: prefix, Client: server.Client()}
}

// memory is a fetcher over a map, which counts.
type memory struct {
	files   map[string][]byte
	fetched map[string]int
}

func (m *memory) Fetch(_ context.Context, path string, limit int64) ([]byte, error) {
	if m.fetched != nil {
		m.fetched[path]++
	}
	b, ok := m.files[path]
	switch {
	case !ok:
		return nil, fs.ErrNotExist
	case int64(len(b)) > limit:
		return nil, errors.New("too long")
	}
	return slices.Clone(b), nil
}

// resources reads all that a reader of this size needs.
func (l *plainLog) resources(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	signed, err := l.log().Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	out["checkpoint"] = signed
	for level := -1; level < 0 || len(l.leaves)>>(8*level) > 0; level++ {
		p := tiles.Path{Entries: level < 0, Level: max(level, 0)}
		hashes := len(l.leaves) >> (8 * p.Level)
		for at := 0; at < hashes; at += 256 {
			p.N, p.Width = uint64(at/256), min(256, hashes-at)
			b, err := l.log().Tile(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			out[p.String()] = b
		}
	}
	return out
}

// readsAll wants a reader to give every entry and to prove some.
func readsAll(t testing.TB, r *tiles.Reader, want [][]byte) {
	t.Helper()
	n := 0
	err := r.Entries(t.Context(), 0, uint64(len(want)), func(index uint64, leaf []byte) error {
		if index != uint64(n) || string(leaf) != string(want[n]) {
			t.Errorf("entry %d is %q, want %q", index, leaf, want[n])
		}
		n++
		return nil
	})
	if err != nil || n != len(want) {
		t.Fatalf("%d entries of %d: %v", n, len(want), err)
	}
	c, signed := r.Checkpoint()
	again := func(got []byte) (ledger.Checkpoint, error) {
		if string(got) != string(signed) {
			return ledger.Checkpoint{}, errors.New("another checkpoint")
		}
		return c, nil
	}
	for _, i := range []int{0, len(want) / 3, len(want) / 2, len(want) - 1} {
		leaf, err := r.Entry(t.Context(), uint64(i))
		if err != nil || string(leaf) != string(want[i]) {
			t.Errorf("entry %d: %q, %v", i, leaf, err)
		}
		p, err := r.Prove(t.Context(), uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(want[i], again); err != nil {
			t.Errorf("proof of %d: %v", i, err)
		}
		if _, err := p.Verify([]byte("another"), again); !errors.Is(err, ledger.ErrBadProof) {
			t.Errorf("proof of another entry than %d: %v", i, err)
		}
	}
}
