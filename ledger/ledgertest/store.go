// Package ledgertest is the conformance suite for ledger.Store, a store that
// fails on demand, and short ways to make keys, authors and releases.
package ledgertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// TestStore runs the conformance suite.
func TestStore(t *testing.T, h Harness[ledger.Store]) {
	h.Run(t, map[string]func(*testing.T, ledger.Store){
		"unknown author":   testUnknown,
		"grows":            testGrows,
		"conflict":         testConflict,
		"ranges":           testRanges,
		"new checkpoint":   testNewCheckpoint,
		"heads":            testHeads,
		"large state":      testLargeState,
		"faults":           testFaults,
		"forgets":          testForgets,
		"replace":          testReplace,
		"neighbours":       testNeighbours,
		"large":            testLarge,
		"stage":            testStage,
		"stage large":      testStageLarge,
		"cancelled":        testCancelled,
		"many authors":     testManyAuthors,
		"one winner":       testOneWinner,
		"reads while grow": testReadsWhileGrowing,
	}, testReopen)
}

func testUnknown(t *testing.T, s ledger.Store) {
	author := ledger.AuthorIDOf([]byte("nobody"))
	if _, err := s.Head(author); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("head: %v, want ErrUnknownAuthor", err)
	}
	if _, err := s.Leaves(author, 0, 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("leaves: %v, want ErrNotFound", err)
	}
	if _, err := s.Hashes(author, []int64{0}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("hashes: %v, want ErrNotFound", err)
	}
	if _, err := s.State(author, "keys"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("state: %v, want ErrNotFound", err)
	}
	if items, err := s.States(author); err != nil || len(items) != 0 {
		t.Errorf("states: %v, %v, want none", items, err)
	}
	if _, err := s.Fault(author); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("fault: %v, want ErrNotFound", err)
	}
	if heads, err := s.Heads("", 10); err != nil || len(heads) != 0 {
		t.Errorf("heads: %v, %v, want none", heads, err)
	}
}

func testGrows(t *testing.T, s ledger.Store) {
	h := newHistory(t, "grows", 70)
	size := 0
	for _, to := range []int{1, 2, 3, 7, 8, 9, 64, 65, 70} {
		h.mustCommit(t, s, size, to)
		h.holds(t, s, to)
		size = to
	}
}

func testConflict(t *testing.T, s ledger.Store) {
	h := newHistory(t, "conflict", 10)
	wantConflict := func(from, to int) {
		t.Helper()
		if err := h.commit(t.Context(), s, from, to); !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("committing %d to %d: %v, want ErrConflict", from, to, err)
		}
	}
	wantConflict(3, 5)
	if _, err := s.Head(h.author); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("head after refused commit: %v, want ErrUnknownAuthor", err)
	}
	h.mustCommit(t, s, 0, 4)
	wantConflict(0, 5)
	wantConflict(3, 5)
	wantConflict(5, 6)
	h.holds(t, s, 4)
	h.mustCommit(t, s, 4, 6)
	h.holds(t, s, 6)
}

func testRanges(t *testing.T, s ledger.Store) {
	h := newHistory(t, "ranges", 9)
	h.mustCommit(t, s, 0, 9)
	for from := range 10 {
		for to := from; to <= 9; to++ {
			leaves, err := s.Leaves(h.author, uint64(from), uint64(to))
			if err != nil || !slices.EqualFunc(leaves, h.leaves[from:to], bytes.Equal) {
				t.Errorf("leaves %d to %d: %d of them, %v", from, to, len(leaves), err)
			}
		}
	}
	for _, r := range [][2]uint64{{0, 10}, {9, 10}, {10, 11}, {5, 4}, {0, 1 << 40}} {
		if _, err := s.Leaves(h.author, r[0], r[1]); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("leaves %d to %d: %v, want ErrNotFound", r[0], r[1], err)
		}
	}
	hashes, err := s.Hashes(h.author, []int64{7, 0, 7, 3})
	if want := []tlog.Hash{h.hashes[7], h.hashes[0], h.hashes[7], h.hashes[3]}; err != nil || !slices.Equal(hashes, want) {
		t.Errorf("hashes in any order: %v, %v, want %v", hashes, err, want)
	}
	if hashes, err := s.Hashes(h.author, nil); err != nil || len(hashes) != 0 {
		t.Errorf("no hashes: %v, %v, want none", hashes, err)
	}
	if _, err := s.Hashes(h.author, []int64{0, -1}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("hash -1: %v, want ErrNotFound", err)
	}
}

// testNewCheckpoint: a head may get another note over the same entries, with
// signatures of others.
func testNewCheckpoint(t *testing.T, s ledger.Store) {
	h := newHistory(t, "new checkpoint", 3)
	h.mustCommit(t, s, 0, 3)
	head := h.head(3)
	head.Checkpoint = append(bytes.Clone(head.Checkpoint), "— witness sig\n"...)
	if err := s.Commit(t.Context(), h.author, 3, nil, nil, nil, head); err != nil {
		t.Fatalf("committing no leaves: %v", err)
	}
	got, err := s.Head(h.author)
	if diff := cmp.Diff(head, got); err != nil || diff != "" {
		t.Fatalf("head: %v (-want +got):\n%s", err, diff)
	}
}

func testHeads(t *testing.T, s ledger.Store) {
	var want []ledger.Head
	for i := range 7 {
		h := newHistory(t, fmt.Sprint("heads ", i), i+1)
		h.mustCommit(t, s, 0, i+1)
		want = append(want, h.head(i+1))
	}
	slices.SortFunc(want, func(a, b ledger.Head) int { return bytes.Compare([]byte(a.Author), []byte(b.Author)) })
	for _, limit := range []int{1, 2, 3, 7, 100} {
		var got []ledger.Head
		after := ledger.AuthorID("")
		for {
			page, err := s.Heads(after, limit)
			if err != nil {
				t.Fatalf("heads after %q: %v", after, err)
			}
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Fatalf("%d heads, limit %d", len(page), limit)
			}
			got = append(got, page...)
			after = page[len(page)-1].Author
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("heads by %d (-want +got):\n%s", limit, diff)
		}
	}
}

// testNeighbours: logs do not bleed into each other.
func testNeighbours(t *testing.T, s ledger.Store) {
	a, b := newHistory(t, "a", 5), newHistory(t, "b", 8)
	a.mustCommit(t, s, 0, 2)
	b.mustCommit(t, s, 0, 5)
	a.holds(t, s, 2)
	b.holds(t, s, 5)
	b.mustCommit(t, s, 5, 8)
	a.mustCommit(t, s, 2, 5)
	a.holds(t, s, 5)
	b.holds(t, s, 8)
}

func testLarge(t *testing.T, s ledger.Store) {
	h := newHistory(t, "large", 1)
	for i := range 40 {
		h.add(t, bytes.Repeat([]byte{byte(i)}, ledger.MaxLeaf))
	}
	for i := range 1500 {
		h.add(t, fmt.Appendf(nil, "small %d", i))
	}
	h.mustCommit(t, s, 0, 1)
	h.mustCommit(t, s, 1, len(h.leaves))
	h.holds(t, s, len(h.leaves))
}

func testCancelled(t *testing.T, s ledger.Store) {
	h := newHistory(t, "cancelled", 4)
	h.mustCommit(t, s, 0, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	size := 2
	if err := h.commit(ctx, s, 2, 4); err == nil {
		size = 4 // done before it looked, which is allowed
	}
	h.holds(t, s, size)
}

func testManyAuthors(t *testing.T, s ledger.Store) {
	const authors, commits = 40, 5
	histories := make([]*history, authors)
	for i := range histories {
		histories[i] = newHistory(t, fmt.Sprint("many ", i), commits*3)
	}
	var group sync.WaitGroup
	for _, h := range histories {
		group.Go(func() {
			for c := range commits {
				if err := h.commit(t.Context(), s, c*3, c*3+3); err != nil {
					t.Errorf("commit %d: %v", c, err)
					return
				}
				if err := h.check(s, c*3+3); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, h := range histories {
		h.holds(t, s, commits*3)
	}
}

// testOneWinner: of several commits at the same size, exactly one takes place.
func testOneWinner(t *testing.T, s ledger.Store) {
	base := newHistory(t, "one winner", 1)
	base.mustCommit(t, s, 0, 1)
	rivals := make([]*history, 8)
	for i := range rivals {
		rivals[i] = newHistory(t, "one winner", 1)
		rivals[i].add(t, fmt.Appendf(nil, "%x", sha256.Sum256([]byte{byte(i)})))
	}
	var winner atomic.Pointer[history]
	var group sync.WaitGroup
	for _, h := range rivals {
		group.Go(func() {
			err := h.commit(t.Context(), s, 1, 2)
			switch {
			case err == nil && !winner.CompareAndSwap(nil, h):
				t.Error("two commits won")
			case err != nil && !errors.Is(err, ledger.ErrConflict):
				t.Errorf("losing: %v, want ErrConflict", err)
			}
		})
	}
	group.Wait()
	if winner.Load() == nil {
		t.Fatal("no commit won")
	}
	winner.Load().holds(t, s, 2)
}

// testReadsWhileGrowing: what a head says is there can be read.
func testReadsWhileGrowing(t *testing.T, s ledger.Store) {
	h := newHistory(t, "reads", 60)
	h.mustCommit(t, s, 0, 1)
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				head, err := s.Head(h.author)
				if err == nil {
					_, err = s.Leaves(h.author, 0, head.Size)
				}
				if err == nil {
					_, err = s.Hashes(h.author, numbers(tlog.StoredHashCount(int64(head.Size))))
				}
				if err != nil {
					t.Errorf("reading: %v", err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := 1; i < 60; i++ {
		if err := h.commit(t.Context(), s, i, i+1); err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
	}
	close(done)
	group.Wait()
	h.holds(t, s, 60)
}

// testLargeState: states far bigger than a transaction, growing and shrinking.
func testLargeState(t *testing.T, s ledger.Store) {
	h, other := newHistory(t, "large state", 5), newHistory(t, "other", 2)
	h.states[1] = map[string]string{}
	for i := range 30_000 {
		h.states[1][fmt.Sprint("tag/", i)] = strings.Repeat("x", 100)
	}
	h.states[2] = maps.Clone(h.states[1])
	h.states[2]["tag/7"] = "changed"
	h.states[3] = map[string]string{"keys": "few"}
	h.states[4] = h.states[1]
	other.mustCommit(t, s, 0, 1)
	for i := range 5 {
		h.mustCommit(t, s, i, i+1)
		h.holds(t, s, i+1)
		other.holds(t, s, 1)
	}
	other.mustCommit(t, s, 1, 2)
	other.holds(t, s, 2)
}

func testFaults(t *testing.T, s ledger.Store) {
	h := newHistory(t, "faults", 2)
	for _, f := range []ledger.Fault{{Kind: "first", Common: 7, Evidence: []byte("one\ntwo\x00")}, {Kind: "second", Common: 1 << 39, Evidence: []byte("x")}} {
		if err := s.SetFault(t.Context(), h.author, f); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Fault(h.author); err != nil || !cmp.Equal(got, f) {
			t.Errorf("fault %+v, %v, want %+v", got, err, f)
		}
	}
	h.mustCommit(t, s, 0, 2)
	h.holds(t, s, 2)
}

func testReopen(t *testing.T, h Harness[ledger.Store]) {
	s := h.Open(t)
	a, b, c := newHistory(t, "reopen a", 20), newHistory(t, "reopen b", 3), newHistory(t, "reopen c", 20)
	size := 0
	for _, to := range []int{1, 5, 20} {
		a.mustCommit(t, s, size, to)
		if size == 0 {
			b.mustCommit(t, s, 0, 3)
		}
		s = h.Reopen(t, s)
		a.holds(t, s, to)
		b.holds(t, s, 3)
		if size > 0 {
			c.staged(t, s, size, "x")
		}
		c.mustStage(t, s, size, to, "x")
		size = to
		if f, err := s.Fault(b.author); size > 1 && (err != nil || f.Kind != "kept") {
			t.Errorf("fault %+v, %v, want it kept", f, err)
		}
		if err := s.SetFault(t.Context(), b.author, ledger.Fault{Kind: "kept"}); err != nil {
			t.Fatal(err)
		}
	}
}
