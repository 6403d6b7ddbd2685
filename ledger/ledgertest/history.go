package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// history is a log that a test writes, with what the store must then hold.
type history struct {
	author ledger.AuthorID
	leaves [][]byte
	hashes []tlog.Hash
	states []map[string]string // after each entry
}

// newHistory makes a log of n leaves that are like nobody else's.
func newHistory(t *testing.T, name string, n int) *history {
	t.Helper()
	h := &history{author: ledger.AuthorIDOf([]byte(name))}
	for i := range n {
		h.add(t, fmt.Appendf(nil, "%s: entry %d", name, i))
	}
	return h
}

func (h *history) add(t *testing.T, leaf []byte) {
	t.Helper()
	stored, err := tlog.StoredHashes(int64(len(h.leaves)), leaf, tlog.HashReaderFunc(h.read))
	if err != nil {
		t.Fatalf("hashing: %v", err)
	}
	h.leaves = append(h.leaves, leaf)
	h.hashes = append(h.hashes, stored...)
	h.states = append(h.states, h.nextState())
}

// nextState is a state that differs from the one before in a new key, a changed
// one and one that is gone.
func (h *history) nextState() map[string]string {
	n := len(h.states)
	state := map[string]string{}
	if n > 0 {
		state = maps.Clone(h.states[n-1])
	}
	state["tag/app:"+fmt.Sprint(n)] = string(h.author)
	state["keys"] = fmt.Sprint(n)
	delete(state, "tag/app:"+fmt.Sprint(n-3))
	return state
}

func (h *history) stateAt(size int) map[string]string {
	if size == 0 {
		return nil
	}
	return h.states[size-1]
}

// changes are those between two sizes.
func (h *history) changes(from, to int) []ledger.Item {
	before, after := h.stateAt(from), h.stateAt(to)
	var out []ledger.Item
	for key := range before {
		if _, ok := after[key]; !ok {
			out = append(out, ledger.Item{Key: key})
		}
	}
	for key, value := range after {
		if was, ok := before[key]; !ok || was != value {
			out = append(out, ledger.Item{Key: key, Value: []byte(value)})
		}
	}
	return out
}

func (h *history) read(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, h.hashes[i])
	}
	return out, nil
}

func (h *history) head(size int) ledger.Head {
	root, err := tlog.TreeHash(int64(size), tlog.HashReaderFunc(h.read))
	if err != nil {
		panic(err)
	}
	return ledger.Head{
		Author:     h.author,
		Size:       uint64(size),
		Root:       root,
		Checkpoint: fmt.Appendf(nil, "%s\n%d\n%s\n\n— a sig\n", h.author, size, root),
	}
}

func (h *history) commit(ctx context.Context, s ledger.Store, from, to int) error {
	hashes := h.hashes[tlog.StoredHashCount(int64(from)):tlog.StoredHashCount(int64(to))]
	return s.Commit(ctx, h.author, uint64(from), h.leaves[from:to], hashes, h.changes(from, to), h.head(to))
}

func (h *history) mustCommit(t *testing.T, s ledger.Store, from, to int) {
	t.Helper()
	if err := h.commit(t.Context(), s, from, to); err != nil {
		t.Fatalf("committing %d to %d: %v", from, to, err)
	}
}

// holds wants the store to hold exactly the first size entries.
func (h *history) holds(t *testing.T, s ledger.Store, size int) {
	t.Helper()
	if err := h.check(s, size); err != nil {
		t.Fatal(err)
	}
}

func (h *history) check(s ledger.Store, size int) error {
	head, err := s.Head(h.author)
	if err != nil {
		return fmt.Errorf("reading head: %w", err)
	}
	if diff := cmp.Diff(h.head(size), head); diff != "" {
		return fmt.Errorf("head (-want +got):\n%s", diff)
	}
	leaves, err := s.Leaves(h.author, 0, uint64(size))
	if err != nil {
		return fmt.Errorf("reading leaves: %w", err)
	}
	if !slices.EqualFunc(h.leaves[:size], leaves, bytes.Equal) {
		return fmt.Errorf("%d leaves differ from the %d committed", len(leaves), size)
	}
	count := tlog.StoredHashCount(int64(size))
	hashes, err := s.Hashes(h.author, numbers(count))
	if err != nil {
		return fmt.Errorf("reading hashes: %w", err)
	}
	if !slices.Equal(h.hashes[:count], hashes) {
		return fmt.Errorf("%d hashes differ from the %d committed", len(hashes), count)
	}
	if err := h.checkState(s, size); err != nil {
		return err
	}
	if _, err := s.Hashes(h.author, []int64{count}); !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("reading a hash after the last: %v, want ErrNotFound", err)
	}
	if _, err := s.Leaves(h.author, uint64(size), uint64(size)+1); !errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("reading a leaf after the last: %v, want ErrNotFound", err)
	}
	return nil
}

func (h *history) checkState(s ledger.Store, size int) error {
	items, err := s.States(h.author)
	if err != nil {
		return fmt.Errorf("reading state: %w", err)
	}
	if !slices.IsSortedFunc(items, func(a, b ledger.Item) int { return strings.Compare(a.Key, b.Key) }) {
		return errors.New("items are not in the order of their keys")
	}
	got := map[string]string{}
	for _, it := range items {
		got[it.Key] = string(it.Value)
		value, err := s.State(h.author, it.Key)
		if err != nil || !bytes.Equal(value, it.Value) {
			return fmt.Errorf("reading state %s: %q, %w, want %q", it.Key, value, err, it.Value)
		}
	}
	if diff := cmp.Diff(h.stateAt(size), got); diff != "" {
		return fmt.Errorf("state (-want +got):\n%s", diff)
	}
	for i := range max(size-3, 0) {
		if _, err := s.State(h.author, "tag/app:"+fmt.Sprint(i)); !errors.Is(err, ledger.ErrNotFound) {
			return fmt.Errorf("reading a state that is gone: %w, want ErrNotFound", err)
		}
	}
	return nil
}

func numbers(n int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}
