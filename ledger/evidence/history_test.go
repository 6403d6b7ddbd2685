package evidence_test

import (
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// history is one of the histories that an author signs, with the checkpoint
// that it had at every size.
type history struct {
	*ledger.Ledger
	author      ledger.AuthorID
	checkpoints [][]byte // of size i+1
	leaves      [][]byte
}

// newHistory makes a log of size entries. Two of one key have the first common
// ones in common, and none after.
func newHistory(t testing.TB, key uint64, flavour string, common, size int) *history {
	t.Helper()
	h := &history{Ledger: ledger.New(ledger.NewMem(), "public")}
	k := ledgertest.Key(key)
	h.author = ledgertest.Author(t, h.Ledger, k)
	h.keep(t)
	for i := 1; i < size; i++ {
		repo := "app"
		if i >= common {
			repo = flavour
		}
		ledgertest.Append(t, h.Ledger, h.author, k, repo, "1.0", i)
		h.keep(t)
	}
	return h
}

func (h *history) keep(t testing.TB) {
	t.Helper()
	head, err := h.Head(h.author)
	if err != nil {
		t.Fatal(err)
	}
	h.checkpoints = append(h.checkpoints, head.Checkpoint)
	if h.leaves, err = h.Leaves(h.author, 0, head.Size); err != nil {
		t.Fatal(err)
	}
}

func (h *history) prove(t testing.TB, index int) *ledger.Proved {
	t.Helper()
	p, err := h.Prove(t.Context(), h.author, uint64(index))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at returns the history as it was at a size.
func (h *history) at(t testing.TB, size int) *history {
	t.Helper()
	out := &history{Ledger: ledger.New(ledger.NewMem(), "public"), author: h.author, checkpoints: h.checkpoints[:size], leaves: h.leaves[:size]}
	if _, err := out.Extend(t.Context(), h.author, 0, out.leaves, out.checkpoints[size-1]); err != nil {
		t.Fatal(err)
	}
	return out
}
