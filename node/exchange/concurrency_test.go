package exchange

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

func TestKeyedMutex(t *testing.T) {
	t.Parallel()
	var k keyedMutex
	var inside, total atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			unlock, err := k.lock(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if inside.Add(1) != 1 {
				t.Error("two at once")
			}
			total.Add(1)
			inside.Add(-1)
		})
	}
	wg.Wait()
	if total.Load() != 50 {
		t.Errorf("%d got the lock, want 50", total.Load())
	}
	unlock, err := k.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if other, err := k.lock(t.Context(), "b"); err != nil {
		t.Errorf("another key waits: %v", err)
	} else {
		other()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting did not end with the context: %v", err)
	}
}

func TestHoldersFeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHolders()
		h.add("one")
		feed, stop := h.feed(t.Context())
		if got := <-feed; got != peer.ID("one").String() {
			t.Errorf("first %q", got)
		}
		h.add("one")
		h.add("two")
		if got := <-feed; got != peer.ID("two").String() {
			t.Errorf("second %q; a holder must come once", got)
		}
		stop()
		if got, open := <-feed; open {
			t.Errorf("%q after the end", got)
		}
		synctest.Wait()
		if len(h.followers) != 0 {
			t.Error("the follower was not forgotten")
		}
	})
}

func TestStallEndsWithoutProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, ctx := newStall(t.Context(), time.Minute, ErrTimeout)
		defer s.cancel(nil)
		for range 5 {
			time.Sleep(50 * time.Second)
			s.progressed()
		}
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatal("ended in spite of progress")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !errors.Is(context.Cause(ctx), ErrTimeout) {
			t.Errorf("cause %v, want ErrTimeout", context.Cause(ctx))
		}
		if err := stallError(ctx, errors.New("cut")); !errors.Is(err, ErrTimeout) {
			t.Errorf("stall not named: %v", err)
		}
	})
}
