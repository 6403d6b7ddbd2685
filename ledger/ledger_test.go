package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// mustBeSound reads a whole log back as a stranger would: every entry verifies
// and is proven, and a fresh ledger takes the log. It returns its leaves.
func mustBeSound(t testing.TB, l *ledger.Ledger, author ledger.AuthorID) [][]byte {
	t.Helper()
	head, err := l.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := l.Range(t.Context(), author, 0, head.Size, 1<<30)
	if err != nil || uint64(len(leaves)) != head.Size {
		t.Fatalf("%d entries of %d: %v", len(leaves), head.Size, err)
	}
	for index := range head.Size {
		e, c, err := prove(t, l, author, index).Verify()
		if err != nil || c.Size != head.Size || c.Root != head.Root || !bytes.Equal(e.Leaf, leaves[index]) {
			t.Fatalf("entry %d under %+v: %v", index, c, err)
		}
	}
	fresh := ledger.New(ledger.NewMem(), l.Network())
	if _, err := fresh.Extend(t.Context(), author, 0, leaves, head.Checkpoint); err != nil {
		t.Fatalf("a fresh ledger refuses the log: %v", err)
	}
	return leaves
}

func TestAppend(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	l := ledger.New(ledger.NewMem(), "public")
	author := ledgertest.Author(t, l, k)
	for i := range 20 {
		p := ledgertest.Append(t, l, author, k, "app", "1.0", i)
		e, c, err := p.Verify()
		if err != nil {
			t.Fatal(err)
		}
		index := uint64(i) + 1
		if e.Index != index || e.Release.Seq != index || c.Size != index+1 {
			t.Errorf("release %d is entry %d of %d with seq %d", i, e.Index, c.Size, e.Release.Seq)
		}
		want := ledgertest.Release("app", "1.0", i)
		want.Seq = index
		if diff := cmp.Diff(&want, e.Release); diff != "" {
			t.Errorf("release %d (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(prove(t, l, author, index), p); diff != "" {
			t.Errorf("release %d: proven otherwise than by Prove (-want +got):\n%s", i, diff)
		}
	}
	mustBeSound(t, l, author)
	if again := ledgertest.Author(t, l, k); again != author {
		t.Errorf("starting the log again makes %s of %s", again, author)
	}
	if head, err := l.Head(author); err != nil || head.Size != 21 {
		t.Errorf("starting the log again leaves %d entries: %v", head.Size, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	k, other := ledgertest.Key(1), ledgertest.Key(2)
	l, author := newLog(t, k, 1)
	two := ledger.New(ledger.NewMem(), "public")
	good := ledgertest.Release("app", "1.0", 0)
	bad := good
	bad.Repo = "No"
	huge := good
	huge.Labels = map[string]string{}
	for i := range ledger.MaxLabels + 1 {
		huge.Labels[fmt.Sprint(i)] = ""
	}
	for name, tc := range map[string]struct {
		l       *ledger.Ledger
		key     ledger.Key
		release ledger.Release
		want    error
	}{
		"unknown author": {two, k, good, ledger.ErrUnknownAuthor},
		"another key":    {l, other, good, ledger.ErrBadSignature},
		"no key":         {l, ledger.Key{}, good, ledger.ErrBadSignature},
		"bad name":       {l, k, bad, ledger.ErrBadEntry},
		"too many":       {l, k, huge, ledger.ErrBadEntry},
	} {
		if p, err := tc.l.AppendRelease(t.Context(), author, tc.key, tc.release); !errors.Is(err, tc.want) || p != nil {
			t.Errorf("%s: %v, %v, want %v", name, p, err, tc.want)
		}
	}
	if head, err := l.Head(author); err != nil || head.Size != 2 {
		t.Errorf("the log has %d entries: %v", head.Size, err)
	}
}

func TestInceptRefuses(t *testing.T) {
	t.Parallel()
	k, other := ledgertest.Key(1), ledgertest.Key(2)
	l := ledger.New(ledger.NewMem(), "public")
	in := func(network string, threshold int, keys ...ledger.Key) ledger.Inception {
		out := ledger.Inception{Network: network, Threshold: threshold}
		for _, k := range keys {
			out.Keys = append(out.Keys, k.Public())
		}
		return out
	}
	for name, tc := range map[string]struct {
		in   ledger.Inception
		want error
	}{
		"another network": {in("test", 1, k), ledger.ErrWrongNetwork},
		"another key":     {in("public", 1, other), ledger.ErrBadSignature},
		"two must sign":   {in("public", 2, k, other), ledger.ErrBadSignature},
		"no keys":         {in("public", 1), ledger.ErrBadEntry},
		"key twice":       {in("public", 1, k, k), ledger.ErrBadEntry},
		"weak key":        {ledger.Inception{Network: "public", Keys: []ledger.PublicKey{{1}}, Threshold: 1}, ledger.ErrBadKey},
	} {
		if _, err := l.Incept(t.Context(), tc.in, k); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if heads, err := l.Heads("", 10); err != nil || len(heads) != 0 {
		t.Errorf("%d logs were started: %v", len(heads), err)
	}
}

// TestConcurrentAppends: writers of one log share commits; each gets its own
// entry, proven.
func TestConcurrentAppends(t *testing.T) {
	t.Parallel()
	const writers = 300
	k := ledgertest.Key(1)
	var commits atomic.Int64
	gate := make(chan struct{})
	store := &ledgertest.Faulty{Store: ledger.NewMem(), OnCommit: func(_ ledger.AuthorID, first uint64, _ int) (bool, error) {
		commits.Add(1)
		if first > 0 {
			<-gate // until all writers are at it
		}
		return true, nil
	}}
	l := ledger.New(store, "public")
	author := ledgertest.Author(t, l, k)
	var group sync.WaitGroup
	var started sync.WaitGroup
	started.Add(writers)
	proofs := make([]*ledger.Proved, writers)
	for i := range writers {
		group.Go(func() {
			started.Done()
			var err error
			if proofs[i], err = l.AppendRelease(t.Context(), author, k, ledgertest.Release("app", fmt.Sprint(i), i)); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	started.Wait()
	close(gate)
	group.Wait()
	seen := map[uint64]bool{}
	for i, p := range proofs {
		e, _, err := p.Verify()
		if err != nil {
			t.Fatalf("writer %d: %v", i, err)
		}
		if e.Release.Tag != fmt.Sprint(i) || seen[e.Index] {
			t.Errorf("writer %d got entry %d of tag %s", i, e.Index, e.Release.Tag)
		}
		seen[e.Index] = true
		if _, err := l.Check(p); err != nil {
			t.Errorf("writer %d: %v", i, err)
		}
	}
	mustBeSound(t, l, author)
	t.Logf("%d commits for %d releases", commits.Load()-1, writers)
}

// TestAppendCancelled: a writer that gives up while it waits leaves nothing
// behind, and does not disturb the others.
func TestAppendCancelled(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	entered, gate := make(chan struct{}, 8), make(chan struct{})
	store := &ledgertest.Faulty{Store: ledger.NewMem(), OnCommit: func(_ ledger.AuthorID, first uint64, _ int) (bool, error) {
		if first == 1 {
			entered <- struct{}{}
			<-gate
		}
		return true, nil
	}}
	l := ledger.New(store, "public")
	author := ledgertest.Author(t, l, k)
	leaderCtx, cancelLeader := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := l.AppendRelease(leaderCtx, author, k, ledgertest.Release("app", "first", 0))
		first <- err
	}()
	<-entered
	cancelLeader() // while it writes: the writing goes on and its outcome counts
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.AppendRelease(ctx, author, k, ledgertest.Release("app", "given-up", 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("giving up: %v, want context.Canceled", err)
	}
	close(gate)
	if err := <-first; err != nil {
		t.Errorf("the first writer: %v", err)
	}
	ledgertest.Append(t, l, author, k, "app", "last", 0)
	var tags []string
	if err := l.Entries(t.Context(), func(e *ledger.Entry) error {
		if e.Release != nil {
			tags = append(tags, e.Release.Tag)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"first", "last"}; !slices.Equal(tags, want) {
		t.Errorf("the log has %v, want %v", tags, want)
	}
}

var errDisk = errors.New("disk is on fire")

// TestCommitFaults stops at every commit in turn, before and after it took
// place. Whatever was acknowledged stays, the log stays sound, and the same
// ledger and a new one over the same store go on.
func TestCommitFaults(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	const commits = 6
	for stop := range commits {
		for _, apply := range []bool{false, true} {
			count := 0
			store := &ledgertest.Faulty{Store: ledger.NewMem()}
			store.OnCommit = func(ledger.AuthorID, uint64, int) (bool, error) {
				if count++; count-1 == stop {
					return apply, errDisk
				}
				return true, nil
			}
			l := ledger.New(store, "public")
			in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{k.Public()}, Threshold: 1}
			author, err := l.Incept(t.Context(), in, k)
			if err != nil {
				if !errors.Is(err, errDisk) {
					t.Fatal(err)
				}
				author = ledgertest.Author(t, l, k)
			}
			acknowledged := map[uint64][]byte{}
			for i := range commits {
				p, err := l.AppendRelease(t.Context(), author, k, ledgertest.Release("app", "1.0", i))
				if err != nil && !errors.Is(err, errDisk) {
					t.Fatalf("stop %d: %v", stop, err)
				}
				if err == nil {
					acknowledged[p.Index] = p.Entry
				}
				if p != nil != (err == nil) {
					t.Errorf("stop %d: both an entry and %v", stop, err)
				}
				leaves := mustBeSound(t, l, author)
				for index, leaf := range acknowledged {
					if !bytes.Equal(leaves[index], leaf) {
						t.Errorf("stop %d, apply %v: entry %d was acknowledged and is gone", stop, apply, index)
					}
				}
			}
			restarted := ledger.New(store, "public")
			ledgertest.Append(t, restarted, author, k, "app", "2.0", 0)
			mustBeSound(t, restarted, author)
		}
	}
}

// TestTwoLedgersOneStore: the second writer finds out that it was not alone,
// and no history is overwritten.
func TestTwoLedgersOneStore(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	store := ledger.NewMem()
	a, b := ledger.New(store, "public"), ledger.New(store, "public")
	author := ledgertest.Author(t, a, k)
	ledgertest.Append(t, b, author, k, "app", "1.0", 0)
	if _, err := a.AppendRelease(t.Context(), author, k, ledgertest.Release("app", "1.0", 1)); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	ledgertest.Append(t, a, author, k, "app", "1.0", 2)
	if leaves := mustBeSound(t, a, author); len(leaves) != 3 {
		t.Errorf("the log has %d entries, want 3", len(leaves))
	}
}
