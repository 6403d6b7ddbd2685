package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

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

// ask sends a request to a registry, and wants it done.
func ask(t *testing.T, method, url, contentType string, body []byte) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s (%v)", method, url, res.Status, b, err)
	}
	return b
}

// pushLayout pushes an image to the registry of a node.
func pushLayout(t *testing.T, registry, repo, tag string, l *testnet.Layout) {
	t.Helper()
	base := "http://" + registry + "/v2/" + repo
	for d := range l.Blobs {
		b, err := os.ReadFile(l.Path(d))
		if err != nil {
			t.Fatal(err)
		}
		if d != l.Root.Digest {
			ask(t, http.MethodPost, base+"/blobs/uploads/?digest="+d.String(), "application/octet-stream", b)
		}
	}
	root, err := os.ReadFile(l.Path(l.Root.Digest))
	if err != nil {
		t.Fatal(err)
	}
	ask(t, http.MethodPut, base+"/manifests/"+tag, l.Root.MediaType, root)
}

func deleteManifest(t *testing.T, registry, repo string, d digest.Digest) {
	t.Helper()
	ask(t, http.MethodDelete, "http://"+registry+"/v2/"+repo+"/manifests/"+d.String(), "", nil)
}

// pullLayout pulls all of an image through the registry of a node.
func pullLayout(t *testing.T, registry, repo, tag string, l *testnet.Layout) {
	t.Helper()
	base := "http://" + registry + "/v2/" + repo
	if got := digest.FromBytes(ask(t, http.MethodGet, base+"/manifests/"+tag, "", nil)); got != l.Root.Digest {
		t.Errorf("%s is %s, want %s", tag, got, l.Root.Digest)
	}
	for d := range l.Blobs {
		if d == l.Root.Digest {
			continue
		}
		if got := digest.FromBytes(ask(t, http.MethodGet, base+"/blobs/"+d.String(), "", nil)); got != d {
			t.Errorf("%s is %s", d, got)
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
