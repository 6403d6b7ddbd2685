package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// randomStatement says something about few things, so that statements meet.
func randomStatement(random *rand.Rand, at uint64) ledger.Statement {
	repo, tag := fmt.Sprint("app", random.IntN(3)), fmt.Sprint(random.IntN(3))
	some := ledger.AuthorIDOf([]byte{byte(random.IntN(3))})
	r := ledgertest.Release(repo, tag, random.IntN(4))
	last := random.Uint64N(at)
	switch random.IntN(10) {
	case 0:
		return &ledger.Revoke{Digest: r.Image.Digest, LastValid: last}
	case 1:
		return &ledger.Revoke{Repo: repo, Tag: tag, LastValid: last}
	case 2:
		return &ledger.Revoke{Key: ledgertest.Key(random.Uint64N(4)).Public().Fingerprint(), LastValid: last}
	case 3:
		return &ledger.Transfer{Repo: repo, To: some}
	case 4:
		return &ledger.Accept{Repo: repo, From: some, Transfer: last + 1}
	default:
		return &r
	}
}

// TestRandomHistories: authors of all kinds of statements, with rotations and
// recoveries. Every entry commits to the state that adding up from the start
// makes; nodes that read the log in any pieces come to the same state, as do
// those that stop and start again.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 7))
		store := ledger.NewMem()
		l := ledger.New(store, "public")
		author := rotating(t, l)
		copied := ledger.NewMem()
		reader := ledger.New(copied, "public")
		key, lastEvent, recoveries := uint64(1), uint64(0), 0
		for size(t, l, author) < 70 {
			at := size(t, l, author)
			s, by := randomStatement(random, at), ledgertest.Key(key)
			switch next := set(ledgertest.Key(key+2), ledgertest.Key(key+1)); {
			case random.IntN(20) == 0:
				s, by = &ledger.Rotate{KeySet: next}, ledgertest.Key(key+1)
			case random.IntN(12) == 0 && at > lastEvent+1:
				s, by = &ledger.Recover{KeySet: next, VoidFrom: lastEvent + 1 + random.Uint64N(at-lastEvent-1)}, ledgertest.Key(key+1)
				recoveries++
			}
			p, err := l.Append(t.Context(), author, []ledger.Key{by}, s)
			if errors.Is(err, ledger.ErrTransferred) || errors.Is(err, ledger.ErrRevoked) || errors.Is(err, ledger.ErrBadEntry) || errors.Is(err, ledger.ErrBadSignature) {
				continue
			}
			if err != nil {
				t.Fatalf("seed %d, entry %d: %v", seed, at, err)
			}
			if s.Type() == ledger.TypeRotate || s.Type() == ledger.TypeRecover {
				key, lastEvent = key+1, p.Index
			}
			if random.IntN(6) == 0 {
				catchUp(t, l, reader, author)
				reader = ledger.New(copied, "public")
			}
			if random.IntN(10) == 0 {
				l = ledger.New(store, "public")
			}
		}
		catchUp(t, l, reader, author)
		if diff := cmp.Diff(states(t, store, author), states(t, copied, author)); diff != "" {
			t.Errorf("seed %d: the copy's state (-want +got):\n%s", seed, diff)
		}
		leaves := mustBeSound(t, l, author)
		for i := 1; i < len(leaves); i++ {
			e, err := ledger.DecodeEntry(author, uint64(i), leaves[i])
			if err != nil {
				t.Fatal(err)
			}
			if want := ledger.NextState(author, leaves[:i], e.Statement); e.State != want {
				t.Fatalf("seed %d: entry %d, %s, commits to %x, want %x", seed, i, e.Type, e.State, want)
			}
		}
		t.Logf("seed %d: %d recoveries, %d items", seed, recoveries, len(states(t, store, author)))
	}
}

func catchUp(t testing.TB, from, to *ledger.Ledger, author ledger.AuthorID) {
	t.Helper()
	have := uint64(0)
	if head, err := to.Head(author); err == nil {
		have = head.Size
	}
	head, err := from.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := from.Range(t.Context(), author, have, head.Size, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Extend(t.Context(), author, have, leaves, head.Checkpoint); err != nil {
		t.Fatal(err)
	}
}

// TestStateIsChecked: a store that lost part of the state is not built on.
func TestStateIsChecked(t *testing.T) {
	t.Parallel()
	store := ledger.NewMem()
	l := ledger.New(store, "public")
	author := ledgertest.Author(t, l, ledgertest.Key(1))
	ledgertest.Append(t, l, author, ledgertest.Key(1), "app", "1", 0)
	head, err := l.Head(author)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(t.Context(), author, 2, nil, nil, []ledger.Item{{Key: "tag/app:1"}}, head); err != nil {
		t.Fatal(err)
	}
	again := ledger.New(store, "public")
	if _, err := again.AppendRelease(t.Context(), author, ledgertest.Key(1), *release("2")); !errors.Is(err, ledger.ErrWrongState) {
		t.Errorf("%v, want ErrWrongState", err)
	}
}
