// Package witnesstest is the conformance suite for witness.Store, and a store
// that fails on demand.
package witnesstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/witness"
)

// TestStore runs the conformance suite.
func TestStore(t *testing.T, h ledgertest.Harness[witness.Store]) {
	h.Run(t, map[string]func(*testing.T, witness.Store){
		"unknown":     testUnknown,
		"swap":        testSwap,
		"conflict":    testConflict,
		"records":     testRecords,
		"odd origins": testOddOrigins,
		"cancelled":   testCancelled,
		"one winner":  testOneWinner,
	}, testReopen)
}

// record returns the n-th record, the same one every time.
func record(n int) witness.Record {
	text := fmt.Sprintf("a\n%d\n", n)
	return witness.Record{Size: uint64(n), Root: tlog.RecordHash([]byte(text)), Time: int64(1000 + n), Checkpoint: []byte(text)}
}

func swap(t *testing.T, s witness.Store, origin string, old, next witness.Record) {
	t.Helper()
	if err := s.Swap(t.Context(), origin, old, next); err != nil {
		t.Fatalf("swapping %s: %v", origin, err)
	}
	holds(t, s, origin, next)
}

func holds(t *testing.T, s witness.Store, origin string, want witness.Record) {
	t.Helper()
	got, err := s.Record(t.Context(), origin)
	if err != nil {
		t.Fatalf("reading %s: %v", origin, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("record of %s: %s", origin, diff)
	}
}

func testUnknown(t *testing.T, s witness.Store) {
	holds(t, s, "a", witness.Record{})
	if got, err := s.Records(t.Context(), "", 10); err != nil || len(got) != 0 {
		t.Errorf("%v, %v, want none", got, err)
	}
}

func testSwap(t *testing.T, s witness.Store) {
	swap(t, s, "a", witness.Record{}, record(1))
	swap(t, s, "b", witness.Record{}, record(7))
	swap(t, s, "a", record(1), record(2))
	swap(t, s, "a", record(2), record(1)) // whether it may shrink is not for the store to say
	holds(t, s, "b", record(7))
}

func testConflict(t *testing.T, s witness.Store) {
	swap(t, s, "a", witness.Record{}, record(1))
	otherTime, otherRoot, otherNote := record(1), record(1), record(1)
	otherTime.Time++
	otherRoot.Root[0] ^= 1
	otherNote.Checkpoint = []byte("other")
	for name, old := range map[string]witness.Record{
		"none": {}, "another": record(2), "time": otherTime, "root": otherRoot, "note": otherNote,
	} {
		if err := s.Swap(t.Context(), "a", old, record(3)); !errors.Is(err, witness.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
		holds(t, s, "a", record(1))
	}
	if err := s.Swap(t.Context(), "b", record(1), record(2)); !errors.Is(err, witness.ErrConflict) {
		t.Errorf("no record: %v, want ErrConflict", err)
	}
	holds(t, s, "b", witness.Record{})
}

func testRecords(t *testing.T, s witness.Store) {
	var want []witness.Latest
	for i := range 25 {
		l := witness.Latest{Origin: fmt.Sprintf("public/l/%02d", i*7%25), Record: record(i + 1)}
		swap(t, s, l.Origin, witness.Record{}, l.Record)
		want = append(want, l)
	}
	slices.SortFunc(want, func(a, b witness.Latest) int { return strings.Compare(a.Origin, b.Origin) })
	for _, limit := range []int{1, 7, 25, 100} {
		var got []witness.Latest
		for after := ""; ; {
			some, err := s.Records(t.Context(), after, limit)
			if err != nil || len(some) > limit {
				t.Fatalf("%d of %d, %v", len(some), limit, err)
			}
			if len(some) == 0 {
				break
			}
			got = append(got, some...)
			after = some[len(some)-1].Origin
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d at a time: %s", limit, diff)
		}
	}
	if got, err := s.Records(t.Context(), "", 0); err != nil || len(got) != 0 {
		t.Errorf("limit 0: %v, %v", got, err)
	}
}

// testOddOrigins: origins are any line of text, and one that begins like
// another is another one.
func testOddOrigins(t *testing.T, s witness.Store) {
	origins := []string{"a", "a/", "a/b", "a\x7f", "Ä ö", strings.Repeat("x", 500), "~"}
	for i, o := range origins {
		swap(t, s, o, witness.Record{}, record(i+1))
	}
	for i, o := range origins {
		holds(t, s, o, record(i+1))
	}
	if got, err := s.Records(t.Context(), "", 100); err != nil || len(got) != len(origins) {
		t.Errorf("%d records, %v, want %d", len(got), err, len(origins))
	}
}

func testCancelled(t *testing.T, s witness.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Swap(ctx, "a", witness.Record{}, record(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	holds(t, s, "a", witness.Record{})
}

// testOneWinner: of many who swap the same record, one does.
func testOneWinner(t *testing.T, s witness.Store) {
	for round := range 20 {
		old := witness.Record{}
		if round > 0 {
			old = record(round)
			swap(t, s, "a", mustRecord(t, s, "a"), old)
		}
		var wins atomic.Int64
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				err := s.Swap(t.Context(), "a", old, record(1000+i))
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, witness.ErrConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d won", round, wins.Load())
		}
	}
}

func mustRecord(t *testing.T, s witness.Store, origin string) witness.Record {
	t.Helper()
	r, err := s.Record(t.Context(), origin)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testReopen(t *testing.T, h ledgertest.Harness[witness.Store]) {
	s := h.Open(t)
	swap(t, s, "a", witness.Record{}, record(1))
	swap(t, s, "a", record(1), record(2))
	s = h.Reopen(t, s)
	holds(t, s, "a", record(2))
	swap(t, s, "a", record(2), record(3))
}

// Faulty is a store that fails on demand. Set its function before its first
// use.
type Faulty struct {
	witness.Store

	// OnSwap decides about a swap: whether it takes place, and what the caller
	// is told. (true, err) is the store that writes and dies before it can say
	// so.
	OnSwap func(origin string, next witness.Record) (apply bool, err error)
}

// Swap implements witness.Store.
func (f *Faulty) Swap(ctx context.Context, origin string, old, next witness.Record) error {
	apply, fault := f.OnSwap(origin, next)
	if apply {
		if err := f.Store.Swap(ctx, origin, old, next); err != nil {
			return err
		}
	}
	return fault
}
