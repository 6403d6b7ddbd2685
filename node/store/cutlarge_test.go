package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// replaced is how many times the replaced log was written before the step.
func (m mark) replaced() uint64 {
	if testing.Short() {
		return 0
	}
	return uint64(m.step+2) / 6
}

// swapped is how long the replaced log is: more than a transaction holds.
func swapped(n uint64) uint64 { return 1000 + 100*(n%2) }

func swappedLeaf(n, i uint64) []byte { return fmt.Appendf(nil, "%d: %01100d", n, i) }

// replaceLarge makes all of a log, but for its first entry, that of n, unless it
// is.
func replaceLarge(t testing.TB, s *Store, n uint64) {
	t.Helper()
	l, id := s.Ledgers(), author("replaced")
	was, err := l.Head(id)
	if err == nil && bytes.Equal(was.Checkpoint, fmt.Append(nil, "note ", n)) {
		return
	}
	first := uint64(0)
	if was.Size > 0 {
		first = 1
	}
	var leaves [][]byte
	for i := first; i < swapped(n); i++ {
		leaves = append(leaves, swappedLeaf(n*min(i, 1), i))
	}
	hashes := make([]tlog.Hash, tlog.StoredHashCount(int64(swapped(n)))-tlog.StoredHashCount(int64(first)))
	changes := []ledger.Item{{Key: "tag/1", Value: largeValue(n)}}
	next := ledger.Head{Author: id, Size: swapped(n), Root: tlog.Hash{byte(n)}, Checkpoint: fmt.Append(nil, "note ", n)}
	if first == 0 {
		err = l.Commit(t.Context(), id, 0, leaves, hashes, changes, next)
	} else {
		err = l.Replace(t.Context(), id, was, first, leaves, hashes, changes, next)
	}
	if err != nil {
		t.Fatalf("replacing a large log: %v", err)
	}
}

// checkReplaced wants that log to be there if it was written, of one n and no
// other, and not of one before the last that was acknowledged.
func checkReplaced(t testing.TB, s *Store, written uint64) {
	t.Helper()
	l, id := s.Ledgers(), author("replaced")
	h, err := l.Head(id)
	if errors.Is(err, ledger.ErrUnknownAuthor) && written == 0 {
		return
	}
	if err != nil {
		t.Fatalf("a log that was written %d times: %v", written, err)
	}
	var n uint64
	if _, err := fmt.Sscanf(string(h.Checkpoint), "note %d", &n); err != nil || n+1 < written || h.Size != swapped(n) || h.Root != (tlog.Hash{byte(n)}) {
		t.Fatalf("head %q of %d entries, %d were written: %v", h.Checkpoint, h.Size, written, err)
	}
	leaves, err := l.Leaves(id, 0, h.Size)
	if err != nil || uint64(len(leaves)) != h.Size {
		t.Fatalf("%d leaves of %d: %v", len(leaves), h.Size, err)
	}
	for i, leaf := range leaves {
		if !bytes.Equal(leaf, swappedLeaf(n*min(uint64(i), 1), uint64(i))) {
			t.Fatalf("entry %d is %.10q, not of %d", i, leaf, n)
		}
	}
	if v, err := l.State(id, "tag/1"); err != nil || !bytes.Equal(v, largeValue(n)) {
		t.Fatalf("the state is another than that of %d: %v", n, err)
	}
	rest := 0
	err = s.view(func(txn *badger.Txn) error {
		for range each(txn, swapPrefix, "", false) {
			rest++
		}
		return nil
	})
	if err != nil || rest > 0 {
		t.Fatalf("%d records lie beside the log: %v", rest, err)
	}
}

// largeItems is how many items of a state change at once, together more than a
// transaction of Badger takes.
const largeItems = maxDirect + 100

func largeValue(n uint64) []byte { return fmt.Appendf(nil, "%0600d", n) }

// commitLarge makes a log one entry longer, of n, unless it is: all of its state
// changes.
func commitLarge(t testing.TB, s *Store, n uint64) {
	t.Helper()
	l, id := s.Ledgers(), author("large")
	if h, err := l.Head(id); err == nil && h.Size > n {
		return
	}
	changes := make([]ledger.Item, largeItems)
	for i := range changes {
		changes[i] = ledger.Item{Key: fmt.Sprintf("tag/%05d", i), Value: largeValue(n)}
	}
	hashes := make([]tlog.Hash, tlog.StoredHashCount(int64(n)+1)-tlog.StoredHashCount(int64(n)))
	head := ledger.Head{Author: id, Size: n + 1, Checkpoint: fmt.Append(nil, "note ", n)}
	if err := l.Commit(t.Context(), id, n, [][]byte{fmt.Append(nil, n)}, hashes, changes, head); err != nil {
		t.Fatalf("committing a large change: %v", err)
	}
}

// checkLarge wants the state of that log to be that of its head.
func checkLarge(t testing.TB, s *Store) {
	t.Helper()
	l, id := s.Ledgers(), author("large")
	items, err := l.States(id)
	if err != nil {
		t.Fatal(err)
	}
	h, err := l.Head(id)
	if errors.Is(err, ledger.ErrUnknownAuthor) && len(items) == 0 {
		return
	}
	if err != nil || len(items) != largeItems {
		t.Fatalf("%d items of a state, want %d: %v", len(items), largeItems, err)
	}
	for _, it := range items {
		if !bytes.Equal(it.Value, largeValue(h.Size-1)) {
			t.Fatalf("%s is not that of entry %d", it.Key, h.Size-1)
		}
	}
}
