package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// What is deleted in the registry of a node goes from its disk, and what was
// published of it stays.
func TestCollectWhatWasDeleted(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Start()
	n := net.Node(0)
	pushed, published := small(1, 100).Lay(t), small(2, 100).Lay(t)
	for tag, l := range map[string]*testnet.Layout{"1": pushed, "2": published} {
		pushLayout(t, n.Addresses().Registry, "me/app", tag, l)
	}
	pub := exchange.PublishRequest{Source: "blobs:" + published.Root.Digest.String(), As: "me/app:2"}
	p, err := n.Exchange().Publish(t.Context(), pub, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*testnet.Layout{pushed, published} {
		deleteManifest(t, n.Addresses().Registry, "me/app", l.Root.Digest)
	}
	if got := layersOn(n, pushed); got != len(pushed.Blobs) {
		t.Fatalf("%d files of %d are here before", got, len(pushed.Blobs))
	}
	res := collect(t, n, -1)
	if got := layersOn(n, pushed); got != 0 || res.Files != len(pushed.Blobs) {
		t.Errorf("%d files of %d are left of what was deleted; %+v", got, len(pushed.Blobs), res)
	}
	if got := layersOn(n, published); got != len(published.Blobs) || !holds(t, n, p) {
		t.Errorf("%d files of %d are left of what was published", got, len(published.Blobs))
	}
	if res := collect(t, n, 0); res.Images != 0 || res.Freed != 0 {
		t.Errorf("something of this node's own gave way: %+v", res)
	}
}

// Two nodes fetch, while their collectors have everything give way that may, and all
// of what they were told is here is.
func TestCollectWhileFetching(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Configure(storing(node.Storage{Quota: 5_000_000})).Start().Connect().AwaitPeers(2)
	base := testnet.Image{Seed: 1, Layers: []int64{400_000}}
	var pubs []exchange.Published
	var layouts []*testnet.Layout
	for i := range 6 {
		img := base
		img.Blobs = []testnet.Blob{{MediaType: "application/vnd.oci.image.layer.v1.tar", Data: fmt.Append(nil, strings.Repeat(fmt.Sprint(i), 150_000))}}
		layouts = append(layouts, img.Lay(t))
		pubs = append(pubs, net.Node(0).PublishLayout(fmt.Sprintf("app:%d", i), layouts[i]))
	}
	stop := make(chan struct{})
	var collectors, fetchers sync.WaitGroup
	var mu sync.Mutex
	exported := map[string]*testnet.Layout{}
	for _, n := range net.Nodes()[1:] {
		collectors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					collect(t, n, 0)
				}
			}
		})
		for w := range 2 {
			fetchers.Go(func() {
				for i := range pubs {
					i = (i + 3*w) % len(pubs)
					out := filepath.Join(t.TempDir(), "out")
					if _, err := n.TryFetch(pubs[i].Magnet, "oci:"+out); err != nil {
						t.Errorf("%s: fetching image %d: %v", n, i, err)
						continue
					}
					mu.Lock()
					exported[out] = layouts[i]
					mu.Unlock()
				}
			})
		}
	}
	fetchers.Wait()
	close(stop)
	collectors.Wait()
	for out, l := range exported {
		testnet.SameLayout(t, l, out)
	}
	for _, n := range net.Nodes()[1:] {
		testnet.WholeBlobs(t, n.Home())
		collect(t, n, 0)
		if s, err := n.Exchange().Status(t.Context()); err != nil || s.Images != 0 || s.Blobs != 0 || s.Storage.Used != 0 || s.Storage.Evicted == 0 {
			t.Errorf("%s: %+v, %+v (%v)", n, s, s.Storage, err)
		}
	}
}

// TestKillWhileCollecting kills a node at random moments while images give way. What
// is pinned is whole after each, what is held is, and in the end nothing is left of
// the rest.
func TestKillWhileCollecting(t *testing.T) {
	bin, home := builtProgram(t), testnet.Home(t)
	net := testnet.New(t, 1).Start()
	from := net.Node(0)
	var pubs []exchange.Published
	for i := range 5 {
		pubs = append(pubs, from.Publish(fmt.Sprintf("app:%d", i), testnet.Image{Seed: uint64(i), Layers: []int64{200_000, 100_000, 30_000}}))
	}
	run := func() *testnet.Process {
		return testnet.Run(t, bin, home, "--bootstrap", from.Addr(), "--keep-free", "0", "--gc-settle", "1ns")
	}
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	p := run()
	if _, err := p.Pin(ctx, exchange.PinRequest{Target: pubs[0].Magnet, Timeout: testnet.Patience}, nil); err != nil {
		t.Fatal(err)
	}
	fetch := func(pub exchange.Published) exchange.Fetched {
		t.Helper()
		got, err := p.Fetch(ctx, exchange.FetchRequest{Target: pub.Magnet, Timeout: testnet.Patience}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	grace, to := time.Duration(0), int64(0)
	everything := exchange.CollectRequest{Grace: &grace, To: &to}
	var took time.Duration
	partly := 0
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range killRounds() + 1 {
		for _, pub := range pubs[1:] {
			fetch(pub)
		}
		start := time.Now()
		done := make(chan error, 1)
		go func() {
			_, err := p.Collect(ctx, everything, nil)
			done <- err
		}()
		if round == 0 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			took = time.Since(start)
			continue
		}
		killAfter(p, time.Duration(rnd.Int64N(int64(took)*5/4)))
		if <-done != nil {
			partly++
		}
		inspect(t, home)
		p = run()
		pins, err := p.Pins(ctx)
		if err != nil || len(pins.Pins) != 1 || !pins.Pins[0].Whole {
			t.Fatalf("kill %d: pins %+v (%v)", round, pins, err)
		}
		if got := fetch(pubs[0]); got.BytesFromPeers != 0 {
			t.Errorf("kill %d: %d bytes of what is pinned had to be fetched", round, got.BytesFromPeers)
		}
		for _, pub := range pubs[1:] { // what is held can be read
			v, err := p.Verify(ctx, pub.Magnet, nil)
			if err != nil || v.Local && !v.Verdict.Accepted {
				t.Errorf("kill %d: %+v (%v)", round, v, err)
			}
		}
	}
	t.Logf("%d of %d kills came before the end", partly, killRounds())
	if _, err := p.Collect(ctx, everything, nil); err != nil {
		t.Fatal(err)
	}
	s, err := p.Status(ctx)
	if err != nil || s.Images != 1 || s.Storage.Used > 400_000 {
		t.Errorf("left: %+v, %+v (%v)", s, s.Storage, err)
	}
	p.Stop()
}

// On a full disk a collection makes room, and the fetch that had none goes on.
func TestCollectOnAFullDisk(t *testing.T) {
	dir, _ := smallDisk(t, 40)
	bin := builtProgram(t)
	net := testnet.New(t, 1).Start()
	first := net.Node(0).Publish("first:1", testnet.Image{Seed: 1, Layers: []int64{14 << 20}})
	second := net.Node(0).Publish("second:1", testnet.Image{Seed: 2, Layers: []int64{12 << 20, 16 << 20}})
	p := testnet.Run(t, bin, filepath.Join(dir, "home"), "--keep-free", "0", "--gc-settle", "1ns", "--bootstrap", net.Node(0).Addr())
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	if _, err := p.Fetch(ctx, exchange.FetchRequest{Target: first.Magnet, Timeout: testnet.Patience}, nil); err != nil {
		t.Fatal(err)
	}
	req := exchange.FetchRequest{Target: second.Magnet, Timeout: testnet.Patience}
	if _, err := p.Fetch(ctx, req, nil); !errors.Is(err, exchange.ErrNoSpace) {
		t.Fatalf("fetching onto a full disk: %v", err)
	}
	grace, to := time.Duration(0), int64(0)
	if res, err := p.Collect(ctx, exchange.CollectRequest{Grace: &grace, To: &to}, nil); err != nil || res.Images != 1 {
		t.Fatalf("collecting on a full disk: %+v (%v)", res, err)
	}
	if _, err := p.Fetch(ctx, req, nil); err != nil {
		t.Errorf("fetching when there is room again: %v", err)
	}
	testnet.WholeBlobs(t, p.Home())
	// And a guard refuses before anything is written.
	p.Stop()
	p = testnet.Run(t, bin, filepath.Join(dir, "home"), "--keep-free", "36MiB", "--bootstrap", net.Node(0).Addr())
	if _, err := p.Fetch(ctx, exchange.FetchRequest{Target: first.Magnet, Timeout: testnet.Patience}, nil); !errors.Is(err, exchange.ErrNoSpace) {
		t.Errorf("fetching into what is kept free: %v", err)
	}
	p.Stop()
}
