package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/ledger/witness/witnesstest"
)

func TestWitnessConforms(t *testing.T) {
	t.Parallel()
	witnesstest.TestStore(t, ledgertest.Harness[witness.Store]{
		Open: func(t *testing.T) witness.Store { return open(t).Witness() },
		Reopen: func(t *testing.T, s witness.Store) witness.Store {
			old := s.(Witness).s
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, old.dir).Witness()
		},
	})
}

func TestWitnessRefuses(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := s.Witness()
	for _, origin := range []string{"", strings.Repeat("x", maxOrigin+1)} {
		if err := w.Swap(t.Context(), origin, witness.Record{}, witness.Record{Size: 1}); !errors.Is(err, ErrInvalid) {
			t.Errorf("origin of %d bytes: %v, want ErrInvalid", len(origin), err)
		}
	}
	put(t, s, witnessPrefix+"a", "!")
	if _, err := w.Record(t.Context(), "a"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged record: %v, want ErrCorrupt", err)
	}
	if _, err := w.Records(t.Context(), "", 10); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damaged records: %v, want ErrCorrupt", err)
	}
	if err := w.Swap(t.Context(), "a", witness.Record{}, witness.Record{Size: 1}); !errors.Is(err, witness.ErrConflict) {
		t.Errorf("over a damaged record: %v, want ErrConflict", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Swap(t.Context(), "b", witness.Record{}, witness.Record{Size: 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v, want ErrClosed", err)
	}
}

// TestWitnessManyAtOnce: swaps of many logs, some with notes as large as they
// may be, share transactions and lose nothing.
func TestWitnessManyAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	w := s.Witness()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			old := witness.Record{}
			for size := uint64(1); size <= 3; size++ {
				next := witness.Record{Size: size, Time: 1}
				if i%4 == 0 {
					next.Checkpoint = make([]byte, note.MaxSize)
				}
				if err := w.Swap(t.Context(), fmt.Sprintf("log/%03d", i), old, next); err != nil {
					t.Error(err)
				}
				old = next
			}
		})
	}
	all.Wait()
	got, err := w.Records(t.Context(), "", 1000)
	if err != nil || len(got) != 100 {
		t.Fatalf("%d records, %v, want 100", len(got), err)
	}
	for _, l := range got {
		if l.Record.Size != 3 {
			t.Errorf("%s has size %d, want 3", l.Origin, l.Record.Size)
		}
	}
}
