package store

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

func TestAbout(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := digest.FromString("root")
	a, b, c := ledger.AuthorIDOf([]byte("a")), ledger.AuthorIDOf([]byte("b")), ledger.AuthorIDOf([]byte("c"))
	if b < a {
		a, b = b, a
	}
	entries := []*ledger.Entry{
		{Author: b, Index: 7, Statement: &ledger.Endorse{Author: c, Repo: "app", Digest: d}},
		{Author: b, Index: 8, Statement: &ledger.Release{}},
		{Author: b, Index: 9, Statement: &ledger.Vouch{For: c}},
	}
	want := []EntryAt{}
	for i := range uint64(20) { // of one author, the newest 16
		entries = append(entries, &ledger.Entry{Author: a, Index: i + 1, Statement: &ledger.Attest{Subject: d}})
		if i >= 4 {
			want = append(want, EntryAt{a, i + 1})
		}
	}
	for range 2 { // told twice, known once
		if err := s.NoteAbout(entries...); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []struct {
		subject string
		by      ledger.AuthorID
		want    []EntryAt
	}{
		{string(d), "", append(want, EntryAt{b, 7})},
		{string(d), b, []EntryAt{{b, 7}}},
		{string(d), c, nil},
		{string(c), "", []EntryAt{{b, 9}}},
		{string(digest.FromString("other")), "", nil},
	} {
		got, err := s.About(q.subject, q.by)
		if err != nil || !cmp.Equal(got, q.want) {
			t.Errorf("about %s by %q: %v, %v", q.subject, q.by, cmp.Diff(q.want, got), err)
		}
	}
	if err := s.NoteAbout(); err != nil {
		t.Error(err)
	}
}
