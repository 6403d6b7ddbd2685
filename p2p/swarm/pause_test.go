package swarm

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// A fetch that a test watches.
type watched struct {
	done   atomic.Int64 // bytes
	alone  atomic.Int64 // reports without a peer since the last with one
	result chan error
}

func watch(t *testing.T, r *resident, job Job) *watched {
	w := &watched{result: make(chan error, 1)}
	job.Progress = func(p Progress) {
		w.done.Store(p.Done)
		if p.Peers == 0 {
			w.alone.Add(1)
		} else {
			w.alone.Store(0)
		}
	}
	ctx := within(t, patience)
	go func() {
		_, err := r.Fetch(ctx, job)
		w.result <- err
	}()
	return w
}

// The limit is changed while a fetch runs that would take an hour under the old one.
func TestLimitsChangeWhileBytesFlow(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"upload", "download"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			slow := Limits{Rates: Rates{Upload: MinRate}}
			giver := func(c *Config) { c.Limits = slow }
			taker := func(*Config) {}
			if way == "download" {
				slow.Rates = Rates{Download: MinRate}
				giver, taker = taker, giver
			}
			alice, bob := tn.node("alice", giver), tn.node("bob", taker)
			bl := newBlob(t, 300, 56<<20)
			alice.shelf.put(bl.info, bl.source())
			job := bl.job(t, "alice")
			w := watch(t, bob, job)
			await(t, "a few bytes", func() bool { return bob.Stats().Traffic[Node].TorrentDown > 64<<10 })
			limited := alice
			if way == "download" {
				limited = bob
			}
			if err := limited.SetLimits(Limits{Rates: Rates{Upload: 1}}); err == nil {
				t.Error("one byte a second is taken")
			}
			if limited.Limits() != slow {
				t.Errorf("the limits are %+v", limited.Limits())
			}
			if err := limited.SetLimits(Limits{}); err != nil {
				t.Fatal(err)
			}
			if err := <-w.result; err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
			up, down := alice.Stats().Traffic[Node].TorrentUp, bob.Stats().Traffic[Node].TorrentDown
			if up < 56<<20 || down < 56<<20 || up > 60<<20 {
				t.Errorf("%d bytes were counted up, %d down", up, down)
			}
		})
	}
}

// Half of what is given goes to a node and half to an ordinary client, unless one of
// them has a limit of its own.
func TestNodesAndClientsAreLimitedApart(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	limits := Limits{}
	limits.Classes[Node].Upload, limits.Classes[Client].Upload = 2<<20, 512<<10
	alice, bob, carol := tn.node("alice", ordinary, func(c *Config) { c.Limits = limits }), tn.node("bob"), tn.node("carol")
	bl := newBlob(t, 301, 4<<20)
	alice.shelf.put(bl.info, bl.source())
	asClient := bl.job(t)
	asClient.Addrs = []string{alice.Addr()}
	slow := watch(t, carol, asClient)
	await(t, "the client to get something", func() bool { return alice.Stats().Traffic[Client].TorrentUp > 128<<10 })
	before := alice.Stats().Traffic
	if err := <-watch(t, bob, bl.job(t, "alice")).result; err != nil {
		t.Fatal(err)
	}
	after := alice.Stats().Traffic
	node, client := after[Node].TorrentUp-before[Node].TorrentUp, after[Client].TorrentUp-before[Client].TorrentUp
	if ratio := float64(node) / float64(client); ratio < 2.5 || ratio > 6 {
		t.Errorf("the node got %d bytes while the client got %d: want four times as much", node, client)
	}
	if err := alice.SetLimits(Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := <-slow.result; err != nil {
		t.Error(err)
	}
}

// The LAN is free of the rates of all: at this one it would take an hour.
func TestLANIsFree(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	slow := func(c *Config) {
		c.Limits.Rates = Rates{Upload: MinRate, Download: MinRate}
		c.LoopbackIsLAN = true
	}
	alice, bob := tn.node("alice", slow), tn.node("bob", slow)
	bl := newBlob(t, 302, 56<<20)
	alice.shelf.put(bl.info, bl.source())
	if err := <-watch(t, bob, bl.job(t, "alice")).result; err != nil {
		t.Fatal(err)
	}
	if n := alice.Stats().Traffic[LAN].TorrentUp; n < 56<<20 {
		t.Errorf("%d bytes were counted as the LAN's", n)
	}
}

// While paused nothing passes, nobody is let in, and a fetch waits, beyond its
// patience; then it goes on where it was.
func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"giver", "taker"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice := tn.node("alice", func(c *Config) { c.UploadLimit = 1 << 20 })
			bob := tn.node("bob")
			bl := newBlob(t, 303, 4<<20)
			alice.shelf.put(bl.info, bl.source())
			job := bl.job(t, "alice")
			pauses := bob
			if who == "giver" {
				pauses = alice
			} else {
				job.Patience = 5 * time.Second // a busy machine sends nothing for a while, too
			}
			w := watch(t, bob, job)
			await(t, "the first piece", func() bool { return w.done.Load() > 0 })
			pauses.SetPaused(true)
			pauses.SetPaused(true)
			paused := time.Now()
			await(t, "nobody to be connected", func() bool { return w.alone.Load() > 0 && alice.limiter.conns() == 0 && bob.limiter.conns() == 0 })
			stood := w.done.Load()
			before, tried := pauses.Stats().Traffic[Node], bob.Stats().Traffic[Node].TorrentUp
			await(t, "longer than patience", func() bool { return w.alone.Load() > 10 && time.Since(paused) > job.Patience })
			if who == "giver" {
				await(t, "another try", func() bool { return bob.Stats().Traffic[Node].TorrentUp > tried })
			}
			if now := pauses.Stats().Traffic[Node]; now.TorrentUp != before.TorrentUp || now.TorrentDown != before.TorrentDown {
				t.Errorf("traffic while paused: %+v, then %+v", before, now)
			}
			if w.done.Load() != stood || !pauses.Paused() {
				t.Errorf("%d bytes, then %d", stood, w.done.Load())
			}
			select {
			case err := <-w.result:
				t.Fatalf("the fetch ended: %v", err)
			default:
			}
			if err := alice.SetLimits(Limits{}); err != nil {
				t.Fatal(err)
			}
			pauses.SetPaused(false)
			if err := <-w.result; err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
			if alice.Stats().Unreachable+bob.Stats().Unreachable > 0 {
				t.Error("a pause was taken for a peer that cannot be reached")
			}
		})
	}
}

// A fetch that begins while paused waits too, and may be given up.
func TestFetchBeginsPaused(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bob.SetPaused(true)
	bl := newBlob(t, 304, 1<<20)
	alice.shelf.put(bl.info, bl.source())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := bob.Fetch(ctx, bl.job(t, "alice"))
		ended <- err
	}()
	await(t, "it to begin", func() bool { return bob.Open() == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	bob.SetPaused(false)
	if err := <-watch(t, bob, bl.job(t, "alice")).result; err != nil {
		t.Error(err)
	}
}

// The budget of connections holds, and what comes in leaves room to dial.
func TestBudgetOfConnections(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice := tn.node("alice", func(c *Config) { c.Conns, c.ConnsPerTorrent = 6, 3 })
	bl := newBlob(t, 305, 1<<20)
	alice.shelf.put(bl.info, bl.source())
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		c, err := tn.dial(t.Context(), name, "alice")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	await(t, "two to be refused", func() bool { return alice.Stats().Refused == 2 })
	if n := alice.limiter.conns(); n != 4 {
		t.Errorf("%d connections", n)
	}
	for range 2 {
		if err := alice.mayConnect(); err != nil {
			t.Fatal(err)
		}
		alice.meter(endless{}, true)
	}
	if err := alice.mayConnect(); !errors.Is(err, errFull) {
		t.Errorf("a seventh: %v", err)
	}
}
