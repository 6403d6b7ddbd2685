package main_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// Nodes whose clocks are ten years back, a day ahead, stepping back and right
// publish and fetch with one another; an author's older statement, told again, takes
// nothing back anywhere, nor does a start with another clock.
func TestThreatClockOfNodes(t *testing.T) {
	t.Parallel()
	const years, day = 10 * 365 * 24 * time.Hour, 24 * time.Hour
	var stepped atomic.Bool
	clocks := []func() time.Time{
		func() time.Time { return time.Now().Add(-years) },
		func() time.Time { return time.Now().Add(day) },
		func() time.Time {
			if stepped.Load() {
				return time.Now().Add(-2 * day)
			}
			return time.Now()
		},
		time.Now,
	}
	net := testnet.New(t, len(clocks)).Configure(func(i int, cfg *node.Config) {
		cfg.Now = clocks[i]
	}).Start().Connect().AwaitPeers(len(clocks) - 1)

	author := testnet.NewAuthor(t)
	h := author.History()
	first := testnet.Invent("moved", "1")
	old := h.Release(first)
	latest := testnet.Invent("moved", "1")
	latest.Image.Digest = digest.FromString("the tag's later image")
	latest.Infohash = latest.Image.Digest.Encoded()[:40]
	h.Release(latest)
	teller := net.Hostile()
	h.Serve(teller)
	teller.Connect(net.Node(0))
	for _, n := range net.Nodes() {
		n.AwaitSearch("moved", latest.Image.Digest.String())
	}

	publishAll := func(name string, seed uint64) {
		for i, n := range net.Nodes() {
			pub := n.Publish(name, testnet.Image{Seed: seed + uint64(i), Layers: []int64{5000}, Title: name})
			for _, other := range net.Nodes() {
				other.AwaitSearch(name, pub.Digest)
				if got := other.Fetch(pub.Magnet); got.Digest != pub.Digest {
					t.Errorf("%s fetched %s of %s", other, got.Digest, pub.Digest)
				}
			}
		}
	}
	publishAll("before:1", 100)
	stepped.Store(true)
	teller.Gossip(old.Encode()) // is heard before what is published from now on
	publishAll("after:1", 200)
	for i, n := range net.Nodes() {
		if i == 0 { // it comes back with its clock put right
			clocks[0] = time.Now
		}
		n.Restart().AwaitSearch("moved", latest.Image.Digest.String())
		if n.Finds("moved", first.Image.Digest.String()) {
			t.Errorf("%s went back to an older release", n)
		}
	}
}
