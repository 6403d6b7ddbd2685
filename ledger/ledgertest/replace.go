package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// another is h with other entries from an index on.
func (h *history) another(t *testing.T, from, size int) *history {
	t.Helper()
	out := &history{
		author: h.author, leaves: slices.Clone(h.leaves[:from]), states: slices.Clone(h.states[:from]),
		hashes: slices.Clone(h.hashes[:tlog.StoredHashCount(int64(from))]),
	}
	for i := from; i < size; i++ {
		out.add(t, fmt.Appendf(nil, "another %d of %s", i, h.author))
	}
	return out
}

func replace(t *testing.T, s ledger.Store, was ledger.Head, first int, ours, h *history, size int) error {
	hashes := h.hashes[tlog.StoredHashCount(int64(first)):tlog.StoredHashCount(int64(size))]
	var changes []ledger.Item
	for key := range ours.stateAt(int(was.Size)) {
		if _, ok := h.stateAt(size)[key]; !ok {
			changes = append(changes, ledger.Item{Key: key})
		}
	}
	for key, value := range h.stateAt(size) {
		changes = append(changes, ledger.Item{Key: key, Value: []byte(value)})
	}
	return s.Replace(t.Context(), h.author, was, uint64(first), h.leaves[first:size], hashes, changes, h.head(size))
}

// testReplace replaces the end of a log by a shorter one, a longer one, and one
// that takes several transactions.
func testReplace(t *testing.T, s ledger.Store) {
	ours := newHistory(t, "replaced", 20)
	ours.mustCommit(t, s, 0, 20)
	ours.mustStage(t, s, 20, 20, "x")
	if err := replace(t, s, ours.head(19), 5, ours, ours.another(t, 5, 7), 7); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("another head: %v, want ErrConflict", err)
	}
	ours.holds(t, s, 20)
	for i, to := range []struct{ from, size int }{{5, 7}, {3, 40}, {0, 1}, {1, 9000}, {8000, 9500}} {
		was := ours.head(len(ours.leaves))
		next := ours.another(t, to.from, to.size)
		if err := replace(t, s, was, to.from, ours, next, to.size); err != nil {
			t.Fatalf("replacing %d: %v", i, err)
		}
		next.holds(t, s, to.size)
		ours = next
	}
	more := newHistory(t, "more", 3)
	more.mustCommit(t, s, 0, 3)
	ours.holds(t, s, len(ours.leaves))
}
