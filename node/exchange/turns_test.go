package exchange

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
)

func waiting(author string, from peer.ID) catchUp {
	return catchUp{author: ledger.AuthorID(author), from: from}
}

// Whoever brings much holds up nobody else.
func TestPeersTakeTurns(t *testing.T) {
	t.Parallel()
	q := newTurns(100, 2, 2)
	for i := range 150 {
		if ok := q.add(waiting(fmt.Sprint("junk ", i), "flood")); ok != (i < 100) {
			t.Fatalf("%d of the flood: %v", i, ok)
		}
	}
	if !q.add(waiting("honest", "friend")) {
		t.Fatal("no room beside the flood")
	}
	if q.add(waiting("x", "third")) {
		t.Error("a third peer")
	}
	take := func(want string) func() {
		t.Helper()
		c, done, err := q.take(t.Context())
		if err != nil || string(c.author) != want {
			t.Fatalf("%q, %v, want %q", c.author, err, want)
		}
		return done
	}
	first := take("junk 0")
	take("honest")()
	take("junk 1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, _, err := q.take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%q: a third one of the flood at once", c.author)
	}
	if !q.add(waiting("late", "friend")) {
		t.Fatal("no room for the friend again")
	}
	take("late")()
	first()
	take("junk 2")
}

func TestTurnsWake(t *testing.T) {
	t.Parallel()
	q := newTurns(1000, 1, 10)
	got := make(chan string)
	for range 4 {
		go func() {
			for {
				c, done, err := q.take(t.Context())
				if err != nil {
					return
				}
				got <- string(c.author)
				done()
			}
		}()
	}
	seen := map[string]bool{}
	for i := range 500 {
		if !q.add(waiting(fmt.Sprint(i), peer.ID(fmt.Sprint(i%3)))) {
			t.Fatal("no room")
		}
	}
	for range 500 {
		seen[<-got] = true
	}
	if len(seen) != 500 {
		t.Errorf("%d of 500 were worked off", len(seen))
	}
}
