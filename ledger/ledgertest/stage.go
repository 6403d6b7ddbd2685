package ledgertest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

func (h *history) stage(t *testing.T, s ledger.Store, from, to int, target []byte) error {
	t.Helper()
	hashes := h.hashes[tlog.StoredHashCount(int64(from)):tlog.StoredHashCount(int64(to))]
	return s.Stage(t.Context(), h.author, uint64(from), h.leaves[from:to], hashes, ledger.Stage{Size: uint64(to), Bytes: int64(to), Target: target})
}

func (h *history) mustStage(t *testing.T, s ledger.Store, from, to int, target string) {
	t.Helper()
	var b []byte
	if target != "" {
		b = []byte(target)
	}
	if err := h.stage(t, s, from, to, b); err != nil {
		t.Fatalf("staging %d to %d: %v", from, to, err)
	}
}

// staged wants the log to be staged up to a size, and readable up to there.
func (h *history) staged(t *testing.T, s ledger.Store, size int, target string) {
	t.Helper()
	st, err := s.Staged(h.author)
	if err != nil || st.Size != uint64(size) || st.Bytes != int64(size) || string(st.Target) != target {
		t.Fatalf("staged %d of %q, %v, want %d of %q", st.Size, st.Target, err, size, target)
	}
	leaves, err := s.StagedLeaves(h.author, 0, uint64(size))
	if err != nil || !slices.EqualFunc(leaves, h.leaves[:size], bytes.Equal) {
		t.Errorf("%d staged leaves, %v", len(leaves), err)
	}
	n := tlog.StoredHashCount(int64(size))
	hashes, err := s.StagedHashes(h.author, numbers(n))
	if err != nil || !slices.Equal(hashes, h.hashes[:n]) {
		t.Errorf("%d staged hashes, %v", len(hashes), err)
	}
	if _, err := s.StagedLeaves(h.author, 0, uint64(size)+1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("beyond the stage: %v, want ErrNotFound", err)
	}
	if _, err := s.StagedHashes(h.author, []int64{n}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("beyond the stage: %v, want ErrNotFound", err)
	}
}

func (h *history) notStaged(t *testing.T, s ledger.Store) {
	t.Helper()
	if st, err := s.Staged(h.author); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("staged %+v, %v, want ErrNotFound", st, err)
	}
}

// testStage: what is staged is seen by nobody else until it is taken over.
func testStage(t *testing.T, s ledger.Store) {
	h := newHistory(t, "stage", 40)
	h.notStaged(t, s)
	h.mustStage(t, s, 0, 5, "x")
	if _, err := s.Head(h.author); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("head of what is only staged: %v, want ErrUnknownAuthor", err)
	}
	if _, err := s.Leaves(h.author, 0, 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("leaves of what is only staged: %v, want ErrNotFound", err)
	}
	h.staged(t, s, 5, "x")
	h.mustStage(t, s, 5, 9, "")
	h.staged(t, s, 9, "x")
	for _, from := range []int{1, 5, 8, 10} {
		if err := h.stage(t, s, from, 12, nil); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("staging from %d on: %v, want ErrConflict", from, err)
		}
	}
	h.staged(t, s, 9, "x")

	h.mustCommit(t, s, 9, 12) // takes it over
	h.holds(t, s, 12)
	h.notStaged(t, s)

	for _, from := range []int{0, 5, 13} {
		if err := h.stage(t, s, from, 14, nil); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("staging from %d on: %v, want ErrConflict", from, err)
		}
	}
	h.mustStage(t, s, 12, 20, "y")
	h.mustStage(t, s, 12, 16, "z") // begins again
	h.staged(t, s, 16, "z")
	h.holds(t, s, 12)
	h.mustCommit(t, s, 12, 14) // writes over it
	h.notStaged(t, s)
	h.holds(t, s, 14)

	h.mustStage(t, s, 14, 30, "x")
	if err := s.Commit(t.Context(), h.author, 14, nil, nil, nil, h.head(14)); err != nil {
		t.Fatal(err)
	}
	h.staged(t, s, 30, "x") // a new checkpoint changes nothing about it
	if err := s.Unstage(t.Context(), h.author); err != nil {
		t.Fatal(err)
	}
	h.notStaged(t, s)
	h.mustCommit(t, s, 14, 40)
	h.holds(t, s, 40)
}

// testStageLarge: more than a transaction of most stores holds.
func testStageLarge(t *testing.T, s ledger.Store) {
	h := newHistory(t, "stage large", 1)
	for range 60 {
		h.add(t, bytes.Repeat([]byte{byte(len(h.leaves))}, ledger.MaxLeaf))
	}
	h.mustStage(t, s, 0, 50, "x")
	h.staged(t, s, 50, "x")
	h.mustStage(t, s, 0, 20, "y")
	h.staged(t, s, 20, "y")
	h.mustStage(t, s, 20, 45, "")
	h.mustCommit(t, s, 45, 61)
	h.holds(t, s, 61)
	h.notStaged(t, s)
}
