package ledgertest

import (
	"errors"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

// gone wants nothing of a log to be there.
func (h *history) gone(t *testing.T, s ledger.Store) {
	t.Helper()
	if head, err := s.Head(h.author); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("head %+v, %v", head, err)
	}
	if leaves, err := s.Leaves(h.author, 0, 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("leaves %q, %v", leaves, err)
	}
	if hashes, err := s.Hashes(h.author, []int64{0}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("hashes %v, %v", hashes, err)
	}
	if items, err := s.States(h.author); err != nil || len(items) > 0 {
		t.Errorf("states %v, %v", items, err)
	}
	if f, err := s.Fault(h.author); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("fault %+v, %v", f, err)
	}
	heads, err := s.Heads("", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range heads {
		if head.Author == h.author {
			t.Error("the log is listed")
		}
	}
}

// testForgets wants a log to be gone without a trace, and its neighbours not.
func testForgets(t *testing.T, s ledger.Store) {
	all := []*history{newHistory(t, "forgets a", 9), newHistory(t, "forgets b", 9), newHistory(t, "forgets c", 9)}
	for _, h := range all {
		h.mustCommit(t, s, 0, 9)
		if err := s.SetFault(t.Context(), h.author, ledger.Fault{Kind: "bad"}); err != nil {
			t.Fatal(err)
		}
	}
	again := newHistory(t, "forgets b", 3)
	for range 2 { // the second time there is nothing to forget
		if err := s.Forget(t.Context(), again.author); err != nil {
			t.Fatal(err)
		}
		again.gone(t, s)
	}
	for _, h := range []*history{all[0], all[2]} {
		h.holds(t, s, 9)
		if f, err := s.Fault(h.author); err != nil || f.Kind != "bad" {
			t.Errorf("fault %+v, %v", f, err)
		}
	}
	again.mustCommit(t, s, 0, 1)
	again.holds(t, s, 1)
	again.mustCommit(t, s, 1, 3)
	again.holds(t, s, 3)
}
