package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// A crash between the steps of forgetting leaves no log, and nothing that one
// which comes later would take for its own.
func TestForgettingGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := ledger.New(s.Ledgers(), "public")
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}
	id, err := l.Incept(t.Context(), in, key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := l.AppendRelease(t.Context(), id, key, ledgertest.Release("app", fmt.Sprint(i), i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.forgetHead(id); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.New(s.Ledgers(), "public").Incept(t.Context(), in, key); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("the log begins before the old one is gone: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.dir)
	if items, err := s.Ledgers().States(id); err != nil || len(items) > 0 {
		t.Errorf("%d items of its state are left (%v)", len(items), err)
	}
	l = ledger.New(s.Ledgers(), "public")
	if again, err := l.Incept(t.Context(), in, key); err != nil || again != id {
		t.Fatalf("beginning again: %s, %v", again, err)
	}
	if _, err := l.AppendRelease(t.Context(), id, key, ledgertest.Release("app", "1", 1)); err != nil {
		t.Errorf("going on: %v", err)
	}
}

func TestUsageIsKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	all := map[ledger.AuthorID]Usage{
		author("a"): {Entries: 3, Bytes: 999, WorkBits: 16, Since: day, Used: day.Add(time.Hour), Fetched: true},
		author("b"): {Entries: 1, Bytes: 1, Since: day},
	}
	if err := s.SaveUsage(all); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveUsage(map[ledger.AuthorID]Usage{author("a"): {Bytes: -1}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("negative bytes: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, s.dir)
	got, err := s.LoadUsage()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(all, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if err := s.Ledgers().Forget(t.Context(), author("a")); err != nil {
		t.Fatal(err)
	}
	delete(all, author("a"))
	if got, err = s.LoadUsage(); err != nil || !cmp.Equal(got, all) {
		t.Errorf("after forgetting one: %v, %v", got, err)
	}
}
