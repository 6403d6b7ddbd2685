package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// many are changes that do not fit beside a head.
func many(value string) []ledger.Item {
	var out []ledger.Item
	for i := range maxDirect + 10 {
		out = append(out, ledger.Item{Key: fmt.Sprintf("tag/%05d", i), Value: []byte(value)})
	}
	return out
}

func commitState(t *testing.T, l ledger.Store, a ledger.AuthorID, first uint64, changes []ledger.Item) error {
	t.Helper()
	leaf := []byte("leaf")
	n := tlog.StoredHashCount(int64(first+1)) - tlog.StoredHashCount(int64(first))
	return l.Commit(t.Context(), a, first, [][]byte{leaf}, make([]tlog.Hash, n), changes,
		ledger.Head{Author: a, Size: first + 1, Checkpoint: []byte("note")})
}

// A crash between the commit of a large change and its move to where it belongs
// is not seen: it counts from the commit on, and is moved later.
func TestLargeChangeCounts(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	a := author("a")
	if err := commitState(t, l, a, 0, many("old")); err != nil {
		t.Fatal(err)
	}
	changes := many("new")
	changes[7].Value = nil
	if err := commitState(t, l, a, 1, changes); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantStates(t, l, a, len(changes)-1, "new")
		s = openAt(t, closed(t, s))
		l = s.Ledgers()
	}
	if err := commitState(t, l, a, 2, []ledger.Item{{Key: "tag/00007", Value: []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	wantStates(t, l, a, len(changes), "new")
	if n := recordsUnder(t, s, redoPrefix) + recordsUnder(t, s, applyPrefix); n != 0 {
		t.Errorf("%d records of the change are left", n)
	}
}

// What a crash before the commit left of a large change counts for nothing,
// then and later.
func TestRemainsOfALargeChange(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	a := author("a")
	if err := commitState(t, l, a, 0, []ledger.Item{{Key: "keys", Value: []byte("good")}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"keys", "tag/remains"} {
		put(t, s, redoPrefix+string(a)+"/"+key, "\x01remains")
	}
	wantStates(t, l, a, 1, "good")
	if err := commitState(t, l, a, 1, []ledger.Item{{Key: "x", Value: []byte("good")}}); err != nil {
		t.Fatal(err)
	}
	wantStates(t, l, a, 2, "good")
	if err := commitState(t, l, a, 2, many("good")); err != nil {
		t.Fatal(err)
	}
	wantStates(t, l, a, 2+len(many("")), "good")
}

// A crash in the middle of the move is made up for by the next commit.
func TestMoveIsRepeated(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	a := author("a")
	if err := commitState(t, l, a, 0, many("good")); err != nil {
		t.Fatal(err)
	}
	for i := range 100 { // moved, and what follows was not reached
		put(t, s, itemPrefix+string(a)+"/"+fmt.Sprintf("tag/%05d", i*3), "good")
	}
	wantStates(t, l, a, len(many("")), "good")
	if err := commitState(t, l, a, 1, nil); err != nil {
		t.Fatal(err)
	}
	wantStates(t, l, a, len(many("")), "good")
	if n := recordsUnder(t, s, redoPrefix) + recordsUnder(t, s, applyPrefix); n != 0 {
		t.Errorf("%d records of the change are left", n)
	}
}

// wantStates wants n items that all have a value.
func wantStates(t *testing.T, l ledger.Store, a ledger.AuthorID, n int, value string) {
	t.Helper()
	items, err := l.States(a)
	if err != nil || len(items) != n {
		t.Fatalf("%d items, want %d: %v", len(items), n, err)
	}
	for _, it := range items {
		one, err := l.State(a, it.Key)
		if string(it.Value) != value || string(one) != value || err != nil {
			t.Fatalf("item %s is %q and %q, %v, want %q", it.Key, it.Value, one, err, value)
		}
	}
	if _, err := l.State(a, "tag/remains"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("what was never committed: %v", err)
	}
}

func closed(t *testing.T, s *Store) string {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.dir
}

func recordsUnder(t *testing.T, s *Store, prefix string) int {
	t.Helper()
	g := newGroupWrite(s.db)
	defer func() { g.txn.Discard() }()
	keys, err := g.keys(prefix)
	if err != nil {
		t.Fatal(err)
	}
	return len(keys)
}

// Several authors whose changes are each large, in one group with small ones.
func TestLargeChangesTogether(t *testing.T) {
	t.Parallel()
	l := open(t).Ledgers()
	errs := make(chan error)
	for i := range 12 {
		go func() {
			changes := []ledger.Item{{Key: "keys", Value: []byte(strings.Repeat("x", 400))}}
			if i%2 == 0 {
				changes = many(strings.Repeat("x", 400))
			}
			errs <- commitState(t, l, author(fmt.Sprint(i)), 0, changes)
		}()
	}
	for range 12 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for i := range 12 {
		n := 1
		if i%2 == 0 {
			n = maxDirect + 10
		}
		wantStates(t, l, author(fmt.Sprint(i)), n, strings.Repeat("x", 400))
	}
}

func FuzzDecodeChange(f *testing.F) {
	for _, s := range []string{"", "\x00", "\x01", "\x01value", "\x00x", "\x02"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := decodeChange(b); err == nil && string(encodeChange(v)) != string(b) {
			t.Errorf("%q re-encodes to %q", b, encodeChange(v))
		}
	})
}
