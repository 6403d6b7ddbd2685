package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p/swarm"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// small is an image of about so many kB that shares nothing with others.
func small(seed uint64, kb int64) testnet.Image {
	return testnet.Image{Seed: seed, Layers: []int64{kb * 1000}}
}

// storing makes the nodes but the first keep things as cfg says. What was used does
// not settle for long.
func storing(cfg node.Storage) func(int, *node.Config) {
	cfg.Settle = time.Nanosecond
	return func(i int, c *node.Config) {
		if i > 0 {
			c.Storage = cfg
		}
	}
}

// collect has a node collect what it may, at once.
func collect(t *testing.T, n *testnet.Node, to int64) exchange.Collected {
	t.Helper()
	grace := time.Duration(0)
	req := exchange.CollectRequest{Grace: &grace}
	if to >= 0 {
		req.To = &to
	}
	res, err := n.Exchange().Collect(t.Context(), req, nil)
	if err != nil {
		t.Fatalf("collecting on %s: %v", n, err)
	}
	return res
}

// holds tells whether a node gives an image to others.
func holds(t *testing.T, n *testnet.Node, p exchange.Published) bool {
	t.Helper()
	m, err := swarm.ParseMagnet(p.Magnet)
	if err != nil {
		t.Fatal(err)
	}
	_, _, ok := n.Exchange().ResolveTorrent(m.Infohash)
	return ok
}

// layersOn counts the layers of a layout whose files a node has.
func layersOn(n *testnet.Node, l *testnet.Layout) (here int) {
	for d := range l.Blobs {
		if _, err := os.Stat(filepath.Join(n.Home(), "blobs", "sha256", d.Encoded())); err == nil {
			here++
		}
	}
	return here
}

// A node with a quota gives images up for others, files and all, those first that
// were unused the longest; never what it pinned or released itself. What it gave up
// it can fetch again.
func TestQuotaMakesRoom(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Configure(storing(node.Storage{Quota: 4_000_000})).Start().Connect().AwaitPeers(1)
	from, n := net.Node(0), net.Node(1)
	own := n.Publish("own:1", small(1, 900))
	var pubs []exchange.Published
	var layouts []*testnet.Layout
	for i := range 5 {
		layouts = append(layouts, small(uint64(10+i), 900).Lay(t))
		pubs = append(pubs, from.PublishLayout(fmt.Sprintf("app:%d", i), layouts[i]))
	}
	pin(t, n, exchange.PinRequest{Target: pubs[0].Magnet})
	for _, p := range pubs[1:] {
		n.Fetch(p.Magnet)
	}
	if !holds(t, n, own) || !holds(t, n, pubs[0]) || !holds(t, n, pubs[4]) {
		t.Error("what was released here, pinned or fetched last is gone")
	}
	if holds(t, n, pubs[1]) || layersOn(n, layouts[1]) != 0 {
		t.Error("the image that was unused the longest is here")
	}
	status, err := n.Exchange().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s := status.Storage; s.Used > 4_000_000 || s.Evicted == 0 || s.Collected < 900_000 || s.Pinned != 1 {
		t.Errorf("storage: %+v", s)
	}
	out := filepath.Join(t.TempDir(), "again")
	n.FetchTo(pubs[1].Magnet, "oci:"+out)
	testnet.SameLayout(t, layouts[1], out)

	n.Restart()
	if !holds(t, n, own) || !holds(t, n, pubs[0]) || !holds(t, n, pubs[1]) {
		t.Error("after a restart something is gone")
	}
	testnet.WholeBlobs(t, n.Home())
	// When all that is left is to stay, there is no room for more.
	n.Connect(from)
	n.AwaitPeers(1)
	for _, p := range pubs[1:3] {
		pin(t, n, exchange.PinRequest{Target: p.Magnet})
	}
	if _, err := n.TryFetch(pubs[3].Magnet, ""); !errors.Is(err, exchange.ErrStorageQuota) {
		t.Errorf("fetching what does not fit: %v", err)
	}
	if !holds(t, n, own) || !holds(t, n, pubs[0]) || !holds(t, n, pubs[1]) || !holds(t, n, pubs[2]) {
		t.Error("something that is to stay is gone")
	}
	if err := n.Exchange().Unpin(t.Context(), pubs[0].Magnet); err != nil {
		t.Fatal(err)
	}
	testnet.AwaitNil(t, "room to be made", func() error { // it is not tried again at once
		_, err := n.TryFetch(pubs[3].Magnet, "")
		return err
	})
}

// Images of other registries give way like any that were fetched, and come back; what
// is pinned of them stays.
func TestThirdPartyImagesGiveWay(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	one, two := small(1, 300).Lay(t), small(2, 300).Lay(t)
	o.push(one, "1")
	o.push(two, "2")
	net := testnet.New(t, 1).Configure(func(_ int, c *node.Config) { c.Storage.Settle = time.Nanosecond }).Start()
	n := net.Node(0)
	registry := n.Addresses().Registry
	for tag, l := range map[string]*testnet.Layout{"1": one, "2": two} {
		pullLayout(t, registry, o.host+"/org/app", tag, l)
	}
	name := o.host + "/org/app:2"
	pin(t, n, exchange.PinRequest{Target: name})
	if err := n.Exchange().Unpin(t.Context(), name); err != nil {
		t.Error(err)
	}
	pin(t, n, exchange.PinRequest{Target: two.Root.Digest.String()})
	if pins, err := n.Exchange().Pins(t.Context()); err != nil || len(pins.Pins) != 1 || !pins.Pins[0].Whole || pins.Pins[0].Size < 300_000 {
		t.Errorf("pins %+v (%v)", pins, err)
	}
	if res := collect(t, n, 0); res.Images != 1 || layersOn(n, one) != 0 || layersOn(n, two) != len(two.Blobs) {
		t.Errorf("%d files of one, %d of the other, after %+v", layersOn(n, one), layersOn(n, two), res)
	}
	pullLayout(t, registry, o.host+"/org/app", "1", one)
	if got := layersOn(n, one); got != len(one.Blobs) {
		t.Errorf("%d files came back of %d", got, len(one.Blobs))
	}
}

// Whoever asks for nonsense to be kept gets nothing.
func TestLendingIsBounded(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Configure(func(i int, c *node.Config) {
		if i == 1 {
			c.Storage.Lend = 500_000
		}
	}).Start().Connect().AwaitPeers(1)
	keep := func(p exchange.Published) error {
		m, err := swarm.ParseMagnet(p.Magnet)
		if err != nil {
			t.Fatal(err)
		}
		_, err = net.Node(0).Host().Request(t.Context(), net.Node(1).ID(), exchange.OpKeep, fmt.Appendf(nil, `{"infohash":%q,"author":%q}`, m.Infohash.String(), p.Author))
		return err
	}
	large := net.Node(0).Publish("large:1", small(1, 600))
	if err := keep(large); err == nil {
		t.Error("more was promised than is lent")
	}
	fits := net.Node(0).Publish("fits:1", small(2, 300))
	testnet.AwaitNil(t, "a node to take an image on", func() error { return keep(fits) }) // not at once after the first
	testnet.Await(t, "the image to be held", func() bool { return holds(t, net.Node(1), fits) })
	again := net.Node(0).Publish("again:1", small(3, 300))
	for range 3 {
		if err := keep(again); err == nil {
			t.Error("more was promised than is lent")
		}
	}
	if holds(t, net.Node(1), large) || holds(t, net.Node(1), again) {
		t.Error("more is held than is lent")
	}
}
