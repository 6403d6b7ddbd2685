package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

func TestReadFaults(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	fail := false
	store := &ledgertest.Faulty{Store: ledger.NewMem(), OnRead: func() error {
		if fail {
			return errDisk
		}
		return nil
	}}
	l := ledger.New(store, "public")
	author := ledgertest.Author(t, l, k)
	p := ledgertest.Append(t, l, author, k, "app", "1.0", 0)
	head, err := l.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	l = ledger.New(store, "public") // remembers nothing
	fail = true
	for name, do := range map[string]func() error{
		"append": func() error {
			_, err := l.AppendRelease(t.Context(), author, k, ledgertest.Release("app", "1", 1))
			return err
		},
		"extend":  func() error { _, err := l.Extend(t.Context(), author, 2, nil, head.Checkpoint); return err },
		"check":   func() error { _, err := l.Check(p); return err },
		"prove":   func() error { _, err := l.Prove(t.Context(), author, 1); return err },
		"growth":  func() error { _, err := l.ProveConsistency(t.Context(), author, 1, 2); return err },
		"range":   func() error { _, err := l.Range(t.Context(), author, 0, 2, 1000); return err },
		"entries": func() error { return l.Entries(t.Context(), func(*ledger.Entry) error { return nil }) },
	} {
		if err := do(); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v, want the store's error", name, err)
		}
	}
	if v := l.Verdict(t.Context(), ledger.Claim{Proved: p}); v.Accepted {
		t.Errorf("accepted without having read the log: %+v", v)
	}
	fail = false
	mustBeSound(t, l, author)
}

func TestRange(t *testing.T) {
	t.Parallel()
	l, author := newLog(t, ledgertest.Key(1), 200)
	leaves := mustBeSound(t, l, author)
	for _, tc := range []struct {
		from, to uint64
		maxBytes int
		want     [][]byte
	}{
		{0, 201, 1 << 30, leaves},
		{0, 1 << 40, 1 << 30, leaves},
		{150, 170, 1 << 30, leaves[150:170]},
		{201, 201, 1 << 30, nil},
		{5, 5, 1 << 30, nil},
		{5, 100, 0, leaves[5:6]},
		{5, 100, len(leaves[5]) + len(leaves[6]), leaves[5:7]},
		{5, 100, len(leaves[5]) + len(leaves[6]) - 1, leaves[5:6]},
	} {
		got, err := l.Range(t.Context(), author, tc.from, tc.to, tc.maxBytes)
		if err != nil || !slices.EqualFunc(got, tc.want, bytes.Equal) {
			t.Errorf("%d to %d in %d bytes: %d entries, want %d: %v", tc.from, tc.to, tc.maxBytes, len(got), len(tc.want), err)
		}
	}
	for _, r := range [][2]uint64{{201, 300}, {202, 300}, {202, 202}, {5, 4}} {
		if _, err := l.Range(t.Context(), author, r[0], r[1], 1<<30); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%d to %d: %v, want ErrNotFound", r[0], r[1], err)
		}
	}
	if _, err := l.Range(t.Context(), "nobody", 0, 1, 1); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("unknown author: %v, want ErrUnknownAuthor", err)
	}
	if _, err := l.Prove(t.Context(), author, 201); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("proving what is not there: %v, want ErrNotFound", err)
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	want := map[ledger.AuthorID]uint64{}
	for n := range uint64(5) {
		author := ledgertest.Author(t, l, ledgertest.Key(n))
		for i := range int(n) * 40 {
			ledgertest.Append(t, l, author, ledgertest.Key(n), "app", "1.0", i)
		}
		want[author] = n*40 + 1
	}
	got := map[ledger.AuthorID]uint64{}
	if err := l.Entries(t.Context(), func(e *ledger.Entry) error {
		if e.Index != got[e.Author] {
			t.Errorf("entry %d of %s came after %d others", e.Index, e.Author, got[e.Author])
		}
		got[e.Author]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries by author (-want +got):\n%s", diff)
	}
	if err := l.Entries(t.Context(), func(*ledger.Entry) error { return errDisk }); !errors.Is(err, errDisk) {
		t.Errorf("%v, want the function's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Entries(ctx, func(*ledger.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestProveConsistency(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	l, author := newLog(t, k, 0)
	keys := ledger.KeyState{Keys: []ledger.PublicKey{k.Public()}, Threshold: 1}
	var checkpoints []ledger.Checkpoint
	for i := range 20 {
		head, err := l.Head(author)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ledger.ParseCheckpoint(head.Checkpoint, ledger.Origin("public", author), keys)
		if err != nil {
			t.Fatal(err)
		}
		checkpoints = append(checkpoints, c)
		ledgertest.Append(t, l, author, k, "app", "1.0", i)
	}
	for i, older := range checkpoints {
		for _, newer := range checkpoints[i:] {
			proof, err := l.ProveConsistency(t.Context(), author, older.Size, newer.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := ledger.CheckConsistency(proof, older, newer); err != nil {
				t.Errorf("%d to %d: %v", older.Size, newer.Size, err)
			}
			swapped := older
			swapped.Root = newer.Root
			if older.Size != newer.Size && ledger.CheckConsistency(proof, swapped, newer) == nil {
				t.Errorf("%d to %d: another root was accepted", older.Size, newer.Size)
			}
		}
	}
	for _, r := range [][2]uint64{{0, 5}, {6, 5}, {5, 22}} {
		if _, err := l.ProveConsistency(t.Context(), author, r[0], r[1]); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("%d to %d: %v, want ErrNotFound", r[0], r[1], err)
		}
	}
}
