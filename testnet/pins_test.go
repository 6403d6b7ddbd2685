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
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// pin pins an image on a node.
func pin(t *testing.T, n *testnet.Node, req exchange.PinRequest) exchange.Pin {
	t.Helper()
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	req.Timeout = testnet.Patience
	p, err := n.Exchange().Pin(ctx, req, nil)
	if err != nil {
		t.Fatalf("pinning %s on %s: %v", req.Target, n, err)
	}
	return p
}

// The publisher goes away for good, and everybody else gives the image up. Who pinned
// it gives it on.
func TestPinKeepsAnImageAvailable(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 3).Configure(storing(node.Storage{})).Start().Connect().AwaitPeers(2)
	layout := testnet.Image{Seed: 1, Layers: []int64{300_000, 100_000}}.Lay(t)
	pub := net.Node(0).PublishLayout("app:1", layout)
	keeper, other := net.Node(1), net.Node(2)
	p := pin(t, keeper, exchange.PinRequest{Target: pub.Magnet})
	if !p.Whole || p.Digest != pub.Digest {
		t.Errorf("pinned %+v", p)
	}
	other.Fetch(pub.Magnet)
	for _, n := range net.Nodes()[1:] {
		collect(t, n, 0)
	}
	if !holds(t, keeper, pub) || holds(t, other, pub) {
		t.Errorf("the keeper holds it: %t, the other: %t", holds(t, keeper, pub), holds(t, other, pub))
	}
	net.Node(0).Stop()
	keeper.Restart().Connect(other)
	keeper.AwaitPeers(1)
	late := net.Add(keeper)
	late.AwaitPeers(1)
	out := filepath.Join(t.TempDir(), "out")
	late.FetchTo(pub.Magnet, "oci:"+out)
	testnet.SameLayout(t, layout, out)
	pins, err := keeper.Exchange().Pins(t.Context())
	if err != nil || len(pins.Pins) != 1 || !pins.Pins[0].Whole {
		t.Errorf("pins %+v (%v)", pins, err)
	}
	testnet.Await(t, "the holders to be counted", func() bool {
		pins, err := keeper.Exchange().Pins(t.Context())
		return err == nil && pins.Pins[0].Holders != nil
	})
}

// The holders of a pinned image fall under what they should be: a node that lends its
// room takes it on, and what the keeper itself lost it fetches again.
func TestHoldersComeBack(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 4).Configure(func(i int, c *node.Config) {
		c.Storage = node.Storage{CheckEvery: 500 * time.Millisecond, Settle: time.Nanosecond}
		switch i {
		case 1, 2:
			c.Storage.KeepSeeders = 3
		case 3:
			c.Storage.Lend = 10_000 // too little
		case 4:
			c.Storage.Lend = 1_000_000
		}
	}).Start().Connect().AwaitPeers(3)
	layout := small(1, 300).Lay(t)
	pub := net.Node(0).PublishLayout("app:1", layout)
	keepers := net.Nodes()[1:3]
	for _, n := range keepers {
		pin(t, n, exchange.PinRequest{Target: pub.Magnet})
	}
	holders := func(n *testnet.Node, want int) {
		t.Helper()
		testnet.AwaitNil(t, fmt.Sprintf("%s to count %d holders", n, want), func() error {
			pins, err := n.Exchange().Pins(t.Context())
			if err == nil && pins.Pins[0].Holders == nil {
				err = errors.New("they were not counted")
			}
			if err == nil && *pins.Pins[0].Holders != want {
				err = fmt.Errorf("it counts %d", *pins.Pins[0].Holders)
			}
			return err
		})
	}
	holders(keepers[0], 3) // the publisher is one of them
	holders(keepers[1], 3)
	lender := net.Add(net.Nodes()...)
	lender.AwaitPeers(4)
	net.Node(0).Stop()
	testnet.Await(t, "the lender to hold it", func() bool { return holds(t, lender, pub) })
	holders(keepers[0], 3)
	holders(keepers[1], 3)
	if holds(t, net.Node(3), pub) {
		t.Error("a node lends more than it has")
	}
	if s, err := lender.Exchange().Status(t.Context()); err != nil || s.Storage.Lent < 300_000 {
		t.Errorf("lent: %+v (%v)", s.Storage, err)
	}
	// A disk loses a layer.
	for d, size := range layout.Blobs {
		if size == 300_000 {
			if err := os.Remove(filepath.Join(keepers[1].Home(), "blobs", "sha256", d.Encoded())); err != nil {
				t.Fatal(err)
			}
		}
	}
	testnet.Await(t, "what was lost to come back", func() bool { return layersOn(keepers[1], layout) == len(layout.Blobs) })
	// The lender needs its room.
	collect(t, lender, 0)
	testnet.Await(t, "the lender to be asked again", func() bool { return holds(t, lender, pub) })
}

// What is followed is pinned in its newest release, of whatever tag, and the one
// before may go.
func TestFollowNewestRelease(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Configure(storing(node.Storage{})).Start().Connect().AwaitPeers(1)
	from, n := net.Node(0), net.Node(1)
	first := from.Publish("app:1", small(1, 100))
	name := first.Author + "/app"
	pin(t, n, exchange.PinRequest{Target: first.Magnet}) // which brings the log
	if err := n.Exchange().Unpin(t.Context(), first.Digest); err != nil {
		t.Fatal(err)
	}
	if p := pin(t, n, exchange.PinRequest{Target: name, Follow: true}); p.Digest != first.Digest || p.Follows != name {
		t.Errorf("pinned %+v", p)
	}
	from.Publish("other:1", small(2, 100))
	second := from.Publish("app:2", small(3, 100))
	testnet.AwaitNil(t, "the newest release to be pinned", func() error {
		pins, err := n.Exchange().Pins(t.Context())
		if err == nil && (len(pins.Pins) != 1 || pins.Pins[0].Digest != second.Digest) {
			err = fmt.Errorf("pins: %+v", pins)
		}
		return err
	})
	if n.Restart(); !holds(t, n, second) {
		t.Error("the newest release is not held")
	}
	collect(t, n, 0)
	if holds(t, n, first) || !holds(t, n, second) {
		t.Errorf("the first is held: %t, the second: %t", holds(t, n, first), holds(t, n, second))
	}
	if err := n.Exchange().Unpin(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	pins, err := n.Exchange().Pins(t.Context())
	if err != nil || len(pins.Pins)+len(pins.Follows) != 0 {
		t.Errorf("pins: %+v (%v)", pins, err)
	}
}
