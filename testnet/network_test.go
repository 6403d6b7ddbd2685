package main_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// TestTwentyNodes publishes on one of twenty nodes, of which each knows four
// others. All find the image by search, and one that joins later by its link.
func TestTwentyNodes(t *testing.T) {
	n := 20
	if testing.Short() {
		n = 8
	}
	net := testnet.New(t, n).Start().Connect().AwaitPeers(testnet.Neighbours)
	layout := testnet.Image{Seed: 300, Layers: []int64{2 << 20, 100 << 10}, Title: "Weather station"}.Lay(t)
	pub := net.Node(0).PublishLayout("weather:1.0", layout)
	published := time.Now()
	for _, nd := range net.Nodes()[1:] {
		nd.AwaitSearch("weather station", pub.Digest)
	}
	t.Logf("all nodes found it within %s", time.Since(published).Round(time.Millisecond))

	late := net.Add(net.Node(n - 1))
	out := filepath.Join(t.TempDir(), "out")
	got := late.FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	testnet.SameLayout(t, layout, out)
	if got.BytesFromPeers < 2<<20 {
		t.Errorf("only %d bytes came from peers", got.BytesFromPeers)
	}
}

// TestFoundByTheDHTAlone has two nodes that only know peers which answer nothing
// but the DHT: the link leads from the one to the other all the same.
func TestFoundByTheDHTAlone(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Start()
	publisher := net.Node(0)
	mute := []*testnet.Hostile{net.Hostile(), net.Hostile(), net.Hostile()}
	for i, m := range mute {
		m.Connect(publisher)
		for _, other := range mute[:i] {
			m.ConnectAddr(other.Addr())
		}
	}
	layout := testnet.Image{Seed: 301, Layers: []int64{300 << 10}}.Lay(t)
	pub := publisher.PublishLayout("app:1.0", layout)
	ih := testnet.InfohashOf(t, pub.Magnet)

	late := net.Add()
	late.ConnectAddr(mute[2].Addr())
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	var holders int
	testnet.Await(t, "the DHT to name the holder", func() bool {
		for info := range late.Host().FindProviders(ctx, imageKey(ih), 8) {
			if info.ID == publisher.ID() {
				holders++
			}
		}
		return holders > 0
	})
	out := filepath.Join(t.TempDir(), "out")
	late.FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	testnet.SameLayout(t, layout, out)
}

// TestPublisherGoesAway takes the publisher away after one other node has the
// image: a third still gets it, from that one.
func TestPublisherGoesAway(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 4).Start().Connect().AwaitPeers(3)
	layout := testnet.Image{Seed: 302, Layers: []int64{2 << 20, 80 << 10, 10}}.Lay(t)
	pub := net.Node(0).PublishLayout("app:1.0", layout)
	second, third := net.Node(1), net.Node(2)
	second.Fetch(pub.Magnet)
	net.Node(0).Stop()

	out := filepath.Join(t.TempDir(), "out")
	got := third.FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	testnet.SameLayout(t, layout, out)
	if n := got.Sources[second.ID().String()]; n < 2<<20 {
		t.Errorf("%d bytes came from the one that has it: %v", n, got.Sources)
	}
	// And one that joins only now, by the link and by the author's name.
	late := net.Add(net.Node(3))
	late.Fetch(testnet.BareMagnet(t, pub.Magnet))
	last := net.Add(net.Node(3))
	last.Fetch(pub.Author + "/app:1.0")
}

// TestHolderRestarts stops both holders and starts one again: it seeds what it
// has, under new addresses.
func TestHolderRestarts(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	layout := testnet.Image{Seed: 303, Layers: []int64{1 << 20}}.Lay(t)
	pub := net.Node(0).PublishLayout("app:1.0", layout)
	net.Node(1).Fetch(pub.Magnet)
	net.Node(0).Stop()
	holder := net.Node(1).Restart()
	late := net.Add(holder)
	out := filepath.Join(t.TempDir(), "out")
	late.FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	testnet.SameLayout(t, layout, out)
}

// TestNewsAfterACut publishes while a link is cut: when it heals, the other side
// learns what it missed.
func TestNewsAfterACut(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	a, b := net.Node(0), net.Node(1)
	net.Cut(a, b)
	pub := a.Publish("news:1", testnet.Image{Seed: 304, Layers: []int64{100}})
	if b.Finds("news", pub.Digest) {
		t.Fatal("the news came over a cut link")
	}
	net.Heal(a, b)
	b.AwaitSearch("news", pub.Digest)
}

// TestLinkToNothing ends within the time allowed, with and without peers.
func TestLinkToNothing(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Start()
	net.Node(0).Connect(net.Node(1))
	net.Node(0).AwaitPeers(1)
	sum := sha1.Sum([]byte("nothing"))
	link := "magnet:?xt=urn:btih:" + hex.EncodeToString(sum[:])
	for _, n := range []*testnet.Node{net.Node(0), net.Node(2)} {
		ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
		_, err := n.Exchange().Fetch(ctx, exchange.FetchRequest{Target: link, Timeout: 2 * time.Second}, nil)
		if !errors.Is(err, exchange.ErrTimeout) || ctx.Err() != nil {
			t.Errorf("%s, with %d peers: %v, want %v", n, len(n.Members()), err, exchange.ErrTimeout)
		}
		cancel()
	}
}

// TestHangingHolder pauses a holder in the middle of a fetch: the bytes that are
// missing come from another one.
func TestHangingHolder(t *testing.T) {
	bin := builtProgram(t)
	net := testnet.New(t, 2).Configure(func(_ int, cfg *node.Config) { cfg.UploadLimit = 8 << 20 }).Start().Connect().AwaitPeers(1)
	publisher, fetcher := net.Node(0), net.Node(1)
	layout := testnet.Image{Seed: 305, Layers: []int64{6 << 20}}.Lay(t)
	pub := publisher.PublishLayout("app:1.0", layout)

	holder := testnet.Run(t, bin, testnet.Home(t), "--bootstrap", publisher.Addr())
	if _, err := holder.Fetch(t.Context(), exchange.FetchRequest{Target: pub.Magnet}, nil); err != nil {
		t.Fatal(err)
	}
	net.Cut(publisher, fetcher)
	fetcher.ConnectAddr(holder.Addresses.Peer[0])
	fetcher.AwaitPeers(1)
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	hung := false
	out := filepath.Join(t.TempDir(), "out")
	ended := make(chan error, 1)
	paused := make(chan struct{})
	go func() {
		_, err := fetcher.Exchange().Fetch(ctx, exchange.FetchRequest{
			Target: testnet.BareMagnet(t, pub.Magnet), Export: "oci:" + out, Timeout: testnet.Patience,
		}, func(p exchange.Progress) {
			if p.Step == "fetch" && !hung {
				hung = true
				holder.Pause()
				close(paused)
			}
		})
		ended <- err
	}()
	select {
	case <-paused:
	case err := <-ended:
		t.Fatalf("the fetch ended before it began: %v", err)
	}
	net.Heal(publisher, fetcher)
	if err := <-ended; err != nil {
		t.Fatalf("fetching while a holder hangs: %v", err)
	}
	holder.Resume()
	testnet.SameLayout(t, layout, out)
}
