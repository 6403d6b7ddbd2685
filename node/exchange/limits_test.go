package exchange

import (
	"log/slog"
	"testing"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/node/store"
)

// newLimited is as much of an exchange as decides on room.
func newLimited(t *testing.T, cfg quota.Config) *Exchange {
	t.Helper()
	s, err := store.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	x := &Exchange{Config: Config{Store: s, Ledger: ledger.New(s.Ledgers(), "public"), Me: Author{ID: newAuthor(t).id}}}
	if x.limits, err = newLimits(cfg); err != nil {
		t.Fatal(err)
	}
	return x
}

// keep takes over an author's log as it is.
func keep(t *testing.T, x *Exchange, a *author) {
	t.Helper()
	head, err := a.ledger.Head(a.id)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := a.ledger.Leaves(a.id, 0, head.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Ledger.Extend(t.Context(), a.id, 0, leaves, head.Checkpoint); err != nil {
		t.Fatal(err)
	}
}

func TestVouchesOfTrustedAuthorsCount(t *testing.T) {
	t.Parallel()
	x := newLimited(t, quota.Config{})
	friend, stranger, idler, late := newAuthor(t), newAuthor(t), newAuthor(t), newAuthor(t)
	for _, by := range []*author{friend, stranger} {
		for who, expires := range map[*author]time.Duration{idler: time.Hour, late: -time.Hour} {
			v := &ledger.Vouch{For: who.id, Expires: time.Now().Add(expires).UTC().Truncate(time.Second)}
			if _, err := by.ledger.Append(t.Context(), by.id, []ledger.Key{by.key}, v); err != nil {
				t.Fatal(err)
			}
		}
		keep(t, x, by)
	}
	want := func(who *author, n int) {
		t.Helper()
		if got, err := x.vouchesFor(who.id); err != nil || got != n {
			t.Errorf("%d vouches count (%v), want %d", got, err, n)
		}
	}
	want(idler, 0)
	if err := x.SetAlias(t.Context(), Alias{Name: "friend", Author: string(friend.id)}); err != nil {
		t.Fatal(err)
	}
	want(idler, 1)
	want(late, 0)
	p := idler.release(t, "1", anInfohash)
	if err := x.mayKeep(t.Context(), idler.id, p.Inception, 2, 1000); err != nil {
		t.Errorf("an author who is vouched for: %v", err)
	}
	if err := x.mayKeep(t.Context(), late.id, late.release(t, "1", anInfohash).Inception, 2, 1000); err == nil {
		t.Error("there is room for an author whose vouch ran out")
	}
	if err := x.RemoveAlias(t.Context(), "friend"); err != nil {
		t.Fatal(err)
	}
	want(idler, 0)
}

func TestHeldIsCountedOn(t *testing.T) {
	t.Parallel()
	x := newLimited(t, quota.Config{})
	a := newAuthor(t)
	for range 3 {
		a.release(t, "1", anInfohash)
		keep(t, x, a)
		head, err := a.ledger.Head(a.id)
		if err != nil {
			t.Fatal(err)
		}
		leaves, err := a.ledger.Leaves(a.id, 0, head.Size)
		if err != nil {
			t.Fatal(err)
		}
		want := quota.Room{Entries: int64(head.Size), Bytes: int64(sizeOf(leaves))}
		if got, err := x.heldOf(t.Context(), a.id); err != nil || got != want {
			t.Errorf("held %+v (%v), want %+v", got, err, want)
		}
	}
}
