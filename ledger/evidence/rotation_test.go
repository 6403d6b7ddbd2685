package evidence_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// rotated makes a log of size entries whose keys are 1 before entry at, which
// brings the key 2, and 2 from then on.
func rotated(t *testing.T, flavour string, common, at, size int) *history {
	t.Helper()
	h := &history{Ledger: ledger.New(ledger.NewMem(), "public")}
	k := ledgertest.Key(1)
	second := ledgertest.Key(2)
	in := ledger.Inception{
		Network: "public", Keys: []ledger.PublicKey{k.Public()}, Threshold: 1,
		Next: []string{second.Public().Fingerprint()}, NextThreshold: 1,
	}
	author, err := h.Incept(t.Context(), in, k)
	if err != nil {
		t.Fatal(err)
	}
	h.author = author
	h.keep(t)
	for i := 1; i < size; i++ {
		repo := "app"
		if i >= common {
			repo = flavour
		}
		if i == at {
			k = second
			if _, err := h.Rotate(t.Context(), author, []ledger.Key{k}, ledger.KeySet{Keys: []ledger.PublicKey{k.Public()}, Threshold: 1}); err != nil {
				t.Fatal(err)
			}
		} else {
			ledgertest.Append(t, h.Ledger, author, k, repo, "1.0", i)
		}
		h.keep(t)
	}
	return h
}

// TestForkAcrossRotation: histories that differ before, at and after a change
// of keys are proven, with the keys that signed them.
func TestForkAcrossRotation(t *testing.T) {
	t.Parallel()
	const size, at = 7, 4
	first, second := ledgertest.Key(1).Public(), ledgertest.Key(2).Public()
	for common := 2; common < size; common++ {
		a, b := rotated(t, "a", common, at, size), rotated(t, "b", common, at, size)
		for n := common + 1; n < size; n++ {
			p, err := evidence.FromCheckpoint(t.Context(), a, a.author, b.checkpoints[n-1])
			if n == at+1 && common == at && errors.Is(err, evidence.ErrNoFork) {
				continue // the change of keys is the same in both
			}
			if err != nil {
				t.Fatalf("%d common, %d there: %v", common, n, err)
			}
			convicts(t, "across", p, a.author, common)
			fork, err := p.Verify()
			if err != nil {
				t.Fatal(err)
			}
			want := first
			if n > at {
				want = second
			}
			if diff := cmp.Diff([]ledger.PublicKey{want}, fork.Older.Keys.Keys); diff != "" {
				t.Errorf("%d common, %d there: older: %s", common, n, diff)
			}
			if diff := cmp.Diff([]ledger.PublicKey{second}, fork.Newer.Keys.Keys); diff != "" {
				t.Errorf("%d common, %d there: newer: %s", common, n, diff)
			}
		}
	}
}

// TestThreatStolenSigningKeyConvictsNobody: with keys that were replaced, no history can be made up
// that goes on after that, in the eyes of anybody who has seen them replaced.
func TestThreatStolenSigningKeyConvictsNobody(t *testing.T) {
	t.Parallel()
	const size, at = 7, 4
	honest := rotated(t, "a", size, at, size)
	thief := rotated(t, "b", 2, size+1, size) // goes on with key 1
	seen := honest.prove(t, 0)
	for n := at + 1; n <= size; n++ {
		forged := thief.checkpoints[n-1]
		for i := range size {
			p := &evidence.Proof{Proved: honest.prove(t, i), Checkpoint: forged}
			if fork, err := p.Verify(); !errors.Is(err, ledger.ErrBadSignature) {
				t.Errorf("size %d, entry %d: %+v, %v", n, i, fork, err)
			}
		}
		// He hides the change of keys: an old proof does not know of it.
		p, err := evidence.FromRange(t.Context(), honest.at(t, at), honest.author, 2, thief.leaves[2:n], forged)
		if err != nil {
			t.Fatalf("size %d: %v", n, err)
		}
		replaced(t, p, seen, true)
	}
	// What was signed before the change is for people to judge.
	p, err := evidence.FromCheckpoint(t.Context(), honest, honest.author, thief.checkpoints[at-1])
	if err != nil {
		t.Fatal(err)
	}
	replaced(t, p, seen, false)
}

func replaced(t *testing.T, p *evidence.Proof, seen *ledger.Proved, want bool) {
	t.Helper()
	fork, err := p.Verify()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fork.Replaced(seen); err != nil || got != want {
		t.Errorf("sizes %d and %d: replaced %v, %v, want %v", fork.Older.Size, fork.Newer.Size, got, err, want)
	}
}

// TestReplacedByNobody: an author who forks and changes keys in both histories,
// or in none, has no such excuse.
func TestReplacedByNobody(t *testing.T) {
	t.Parallel()
	for _, at := range []int{4, 100} {
		a, b := rotated(t, "a", 2, at, 7), rotated(t, "b", 2, at, 7)
		p, err := evidence.FromCheckpoint(t.Context(), a, a.author, b.checkpoints[6])
		if err != nil {
			t.Fatal(err)
		}
		replaced(t, p, a.prove(t, 0), false)
		replaced(t, p, b.prove(t, 0), false)
	}
	stranger := newHistory(t, 9, "a", 1, 2)
	a, b := rotated(t, "a", 2, 4, 7), rotated(t, "b", 2, 4, 7)
	p, err := evidence.FromCheckpoint(t.Context(), a, a.author, b.checkpoints[6])
	if err != nil {
		t.Fatal(err)
	}
	fork, err := p.Verify()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fork.Replaced(stranger.prove(t, 0)); !errors.Is(err, ledger.ErrWrongAuthor) {
		t.Errorf("by the log of somebody else: %v, want ErrWrongAuthor", err)
	}
}
