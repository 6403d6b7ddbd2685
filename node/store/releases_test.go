package store

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

func TestReleasesOf(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ih, d := strings.Repeat("ab", 20), digest.FromString("root")
	a, b := ledger.AuthorIDOf([]byte("a")), ledger.AuthorIDOf([]byte("b"))
	if b < a {
		a, b = b, a
	}
	release := func(author ledger.AuthorID, index uint64) *ledger.Entry {
		return &ledger.Entry{Author: author, Index: index, Release: &ledger.Release{
			Infohash: ih, Image: ledger.Descriptor{Digest: d},
		}}
	}
	entries := []*ledger.Entry{release(a, 1), {Author: a, Index: 2}, release(b, 7), release(a, 3), release(a, 1)}
	for range 2 { // told twice, known once
		if err := s.NoteReleases(entries...); err != nil {
			t.Fatal(err)
		}
	}
	want := []ReleaseAt{{a, 3}, {a, 1}, {b, 7}}
	got, err := s.ReleasesOf(ih)
	if err != nil || !cmp.Equal(got, want) {
		t.Fatalf("by infohash: %v, %v", cmp.Diff(want, got), err)
	}
	got, err = s.ReleasesOfDigest(d)
	if err != nil || !cmp.Equal(got, want) {
		t.Fatalf("by digest: %v, %v", cmp.Diff(want, got), err)
	}
	if got, err := s.ReleasesOf(strings.Repeat("00", 20)); err != nil || len(got) != 0 {
		t.Fatalf("of an unknown infohash: %v, %v", got, err)
	}
}
