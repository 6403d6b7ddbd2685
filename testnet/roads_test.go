package main_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
	"github.com/dockchains/dockchain/testnet/netns"
)

// A roadLab is a small internet whose places run nodes, each a real process.
type roadLab struct {
	*netns.Lab
	t   *testing.T
	bin string
}

func newRoadLab(t *testing.T) *roadLab {
	t.Helper()
	if err := netns.Supported(); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	lab, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the nodes, whose ends are cleaned up first
		if err := lab.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	return &roadLab{lab, t, builtProgram(t)}
}

// A roadNode is a node in a place.
type roadNode struct {
	*testnet.Process
	place *netns.Place
	lab   *roadLab
}

// run starts a node in a place.
func (l *roadLab) run(p *netns.Place, args ...string) *roadNode {
	l.t.Helper()
	return &roadNode{testnet.RunWithin(l.t, p.Within(), l.bin, testnet.Home(l.t), args...), p, l}
}

// public starts a node that everybody can dial.
func (l *roadLab) public(link netns.Link, args ...string) *roadNode {
	l.t.Helper()
	p, err := l.Public(link)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.run(p, append([]string{"--reach", "public"}, args...)...)
}

// home starts a node behind NAT.
func (l *roadLab) home(nat netns.NAT, args ...string) *roadNode {
	l.t.Helper()
	p, err := l.Home(nat, netns.Link{Delay: 2 * time.Millisecond})
	if err != nil {
		l.t.Fatal(err)
	}
	return l.run(p, append([]string{"--reach", "private"}, args...)...)
}

// addr is where the node of a public place can be dialled.
func (n *roadNode) addr() string {
	n.lab.t.Helper()
	for _, a := range n.Addresses.Peer {
		if strings.HasPrefix(a, "/ip4/"+n.place.Addr.String()+"/tcp/") {
			return a
		}
	}
	n.lab.t.Fatalf("the node has no public address among %v", n.Addresses.Peer)
	return ""
}

func (n *roadNode) id() string {
	a := n.Addresses.Peer[0]
	return a[strings.LastIndex(a, "/")+1:]
}

// peer is what the node says of another.
func (n *roadNode) peer(other *roadNode) api.PeerStatus {
	n.lab.t.Helper()
	peers, err := n.Peers(n.lab.t.Context())
	if err != nil {
		n.lab.t.Fatal(err)
	}
	for _, p := range peers {
		if p.ID == other.id() {
			return p
		}
	}
	return api.PeerStatus{}
}

func (n *roadNode) publish(name string, l *testnet.Layout) exchange.Published {
	n.lab.t.Helper()
	ctx, cancel := testnet.Deadline(n.lab.t)
	defer cancel()
	pub, err := n.Publish(ctx, exchange.PublishRequest{Source: "oci:" + l.Dir, As: "me/" + name}, nil)
	if err != nil {
		n.lab.t.Fatalf("publishing: %v", err)
	}
	return pub
}

// fetch fetches, and compares every byte of what it exports.
func (n *roadNode) fetch(target string, want *testnet.Layout, progress func(exchange.Progress)) exchange.Fetched {
	n.lab.t.Helper()
	ctx, cancel := testnet.Deadline(n.lab.t)
	defer cancel()
	dir := n.lab.t.TempDir()
	got, err := n.Fetch(ctx, exchange.FetchRequest{Target: target, Timeout: testnet.Patience, Export: "oci:" + dir + "/layout"}, progress)
	if err != nil {
		n.lab.t.Fatalf("fetching: %v", err)
	}
	if !got.Verdict.Accepted || got.Digest != want.Root.Digest.String() {
		n.lab.t.Fatalf("fetched %s with the verdict %+v, want %s", got.Digest, got.Verdict, want.Root.Digest)
	}
	checkLayout(n.lab.t, want, dir+"/layout")
	return got
}

// checkLayout compares the blobs of a layout with those of a directory.
func checkLayout(t *testing.T, want *testnet.Layout, dir string) {
	t.Helper()
	for d := range want.Blobs {
		a, err := os.ReadFile(want.Path(d))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(dir + "/blobs/" + strings.Replace(d.String(), ":", "/", 1))
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Errorf("blob %s differs", d)
		}
	}
}

// awaitRoad waits until the node reaches another by a road.
func (n *roadNode) awaitRoad(other *roadNode, road string, punched bool) {
	n.lab.t.Helper()
	testnet.AwaitNil(n.lab.t, "a peer to be reached by "+road, func() error {
		if p := n.peer(other); !p.Connected || p.Road != road || p.Punched != punched {
			return fmt.Errorf("it is %+v", p)
		}
		return nil
	})
}

// TestRoadsTCP: nodes that can dial each other use TCP; neighbours use the local
// network, though their router keeps everybody else out.
func TestRoadsTCP(t *testing.T) {
	lab := newRoadLab(t)
	seed := lab.public(netns.Link{})
	layout := testnet.Image{Seed: 1, Layers: []int64{5 << 20, 100}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	for _, a := range append(seed.Addresses.Peer, strings.Split(pub.Magnet, "=")...) {
		if strings.HasPrefix(a, "/p2p-circuit") {
			t.Errorf("%s leads nowhere", a)
		}
	}

	other := lab.public(netns.Link{})
	other.fetch(pub.Magnet, layout, nil)
	other.awaitRoad(seed, "tcp", false)

	home := lab.home(netns.Cone, "--bootstrap", seed.addr())
	home.fetch(pub.Magnet, layout, nil)
	home.awaitRoad(seed, "tcp", false)
	if home.peer(seed).Near {
		t.Error("a node on the internet is told to be near")
	}
	place, err := home.place.Neighbour()
	if err != nil {
		t.Fatal(err)
	}
	neighbour := lab.run(place, "--reach", "private", "--bootstrap", seed.addr())
	local := home.publish("local:1.0", testnet.Image{Seed: 2, Layers: []int64{2 << 20}}.Lay(t))
	neighbour.fetch(local.Magnet, testnet.Image{Seed: 2, Layers: []int64{2 << 20}}.Lay(t), nil)
	neighbour.awaitRoad(home, "tcp", false)
	if !neighbour.peer(home).Near {
		t.Error("a neighbour is not told to be near")
	}
}

// TestRoadsQUIC: where a firewall swallows TCP, QUIC is used.
func TestRoadsQUIC(t *testing.T) {
	lab := newRoadLab(t)
	seed := lab.public(netns.Link{})
	layout := testnet.Image{Seed: 3, Layers: []int64{5 << 20, 100}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	if err := seed.place.BlockTCP(); err != nil {
		t.Fatal(err)
	}
	other := lab.public(netns.Link{})
	other.fetch(pub.Magnet, layout, nil)
	other.awaitRoad(seed, "quic", false)
}

// TestRoadsPunched: two nodes behind NAT meet at a relay, make holes, and go on
// directly.
func TestRoadsPunched(t *testing.T) {
	lab := newRoadLab(t)
	relay := lab.public(netns.Link{Delay: 5 * time.Millisecond})
	seed := lab.home(netns.Cone, "--bootstrap", relay.addr())
	fetcher := lab.home(netns.Cone, "--bootstrap", relay.addr())
	layout := testnet.Image{Seed: 4, Layers: []int64{20 << 20, 3 << 20}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	before := relay.place.Sent()
	fetcher.fetch(pub.Magnet, layout, nil)
	p := fetcher.peer(seed)
	t.Logf("reached at %v", p.Addrs)
	if !p.Connected || p.Road == "relay" || !p.Punched {
		t.Errorf("the seed is reached like this: %+v", p)
	}
	if sent := relay.place.Sent() - before; sent > 23<<20 {
		t.Errorf("the relay sent %d bytes: it carried the image", sent)
	}
}

// TestRoadsPunchedQUIC: where routers let no hole for TCP be made, one is made for
// QUIC, though the nodes reached everybody else by TCP.
func TestRoadsPunchedQUIC(t *testing.T) {
	lab := newRoadLab(t)
	relay := lab.public(netns.Link{Delay: 5 * time.Millisecond})
	seed := lab.home(netns.Cone, "--bootstrap", relay.addr())
	fetcher := lab.home(netns.Cone, "--bootstrap", relay.addr())
	for _, n := range []*roadNode{seed, fetcher} {
		if err := n.place.RefuseCalls(); err != nil {
			t.Fatal(err)
		}
		n.awaitRoad(relay, "tcp", false)
	}
	layout := testnet.Image{Seed: 10, Layers: []int64{5 << 20, 1 << 20}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	fetcher.fetch(pub.Magnet, layout, nil)
	fetcher.awaitRoad(seed, "quic", true)
}

// TestRoadsRelay: where no hole can be made, the relay carries a small image, and
// the nodes say so.
func TestRoadsRelay(t *testing.T) {
	lab := newRoadLab(t)
	relay := lab.public(netns.Link{})
	seed := lab.home(netns.Symmetric, "--bootstrap", relay.addr())
	fetcher := lab.home(netns.Symmetric, "--bootstrap", relay.addr())
	layout := testnet.Image{Seed: 5, Layers: []int64{1 << 20, 100}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	got := fetcher.fetch(pub.Magnet, layout, nil)
	if got.Sources[seed.id()] < 1<<20 {
		t.Errorf("the bytes came from %v", got.Sources)
	}
	if p := fetcher.peer(seed); p.Road != "relay" || p.Punched {
		t.Errorf("the seed is reached like this: %+v", p)
	}
	if sent := relay.place.Sent(); sent < 1<<20 {
		t.Errorf("the relay sent %d bytes only", sent)
	}
}

// TestRoadsUnaided: nodes that are told nothing find out who can be dialled, who
// relays and who needs it.
func TestRoadsUnaided(t *testing.T) {
	t.Parallel() // it mostly waits: libp2p takes its time
	lab := newRoadLab(t)
	const auto = "--reach=auto"
	first := lab.public(netns.Link{}, auto)
	lab.public(netns.Link{}, auto, "--bootstrap", first.addr())
	seed := lab.home(netns.Cone, auto, "--bootstrap", first.addr())
	fetcher := lab.home(netns.Cone, auto, "--bootstrap", first.addr())
	testnet.AwaitNil(t, "the seed to have a place at a relay", func() error {
		s, err := seed.Status(t.Context())
		if err == nil && !strings.Contains(strings.Join(s.Addresses.Peer, " "), "/p2p-circuit") {
			err = fmt.Errorf("its addresses are %v", s.Addresses.Peer)
		}
		return err
	})
	layout := testnet.Image{Seed: 9, Layers: []int64{3 << 20}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	fetcher.fetch(pub.Magnet, layout, nil)
	if p := fetcher.peer(seed); !p.Connected || !p.Punched && p.Road != "relay" {
		t.Errorf("the seed is reached like this: %+v", p)
	}
}

// TestRoadsDelayAndLoss: far away, with one packet of a hundred lost each way, an
// image arrives byte by byte.
func TestRoadsDelayAndLoss(t *testing.T) {
	lab := newRoadLab(t)
	seed := lab.public(netns.Link{Delay: 25 * time.Millisecond, Loss: 0.01, Rate: 100e6 / 8})
	layout := testnet.Image{Seed: 6, Layers: []int64{9 << 20, 1 << 20, 100}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	other := lab.public(netns.Link{})
	other.fetch(pub.Magnet, layout, nil)
}

// TestRoadsCut: one of two sources vanishes in the middle of a fetch without a
// word; the other gives the rest.
func TestRoadsCut(t *testing.T) {
	lab := newRoadLab(t)
	link := netns.Link{Rate: 3e6} // slow enough to be cut in the middle
	one := lab.public(link)
	two := lab.public(link, "--bootstrap", one.addr())
	layout := testnet.Image{Seed: 7, Layers: []int64{12 << 20}}.Lay(t)
	pub := one.publish("app:1.0", layout)
	two.fetch(pub.Magnet, layout, nil)
	fetcher := lab.public(netns.Link{}, "--bootstrap", one.addr(), "--bootstrap", two.addr())
	fetcher.awaitRoad(one, "tcp", false)
	fetcher.awaitRoad(two, "tcp", false)
	cut := false
	got := fetcher.fetch(pub.Magnet, layout, func(p exchange.Progress) {
		if !cut && p.Done > 2<<20 && p.Done < 10<<20 {
			cut = true
			one.place.Cut()
		}
	})
	if !cut {
		t.Fatal("the fetch was over before the link was cut")
	}
	if got.Sources[two.id()] == 0 {
		t.Errorf("the bytes came from %v", got.Sources)
	}
	testnet.Await(t, "the dead connection to be closed", func() bool { return !fetcher.peer(one).Connected })
}

// TestRoadsPartition: the only source is cut off in the middle, comes back, and
// the fetch goes on.
func TestRoadsPartition(t *testing.T) {
	lab := newRoadLab(t)
	seed := lab.public(netns.Link{Rate: 4e6})
	layout := testnet.Image{Seed: 8, Layers: []int64{12 << 20}}.Lay(t)
	pub := seed.publish("app:1.0", layout)
	fetcher := lab.public(netns.Link{})
	cut := make(chan bool, 1)
	told := false
	fetched := make(chan exchange.Fetched, 1)
	go func() {
		defer close(fetched)
		fetched <- fetcher.fetch(pub.Magnet, layout, func(p exchange.Progress) {
			if !told && p.Done > 2<<20 && p.Done < 10<<20 {
				told = true
				seed.place.Cut()
				cut <- true
			}
		})
	}()
	select {
	case <-cut:
	case <-fetched:
		t.Fatal("the fetch was over before the link was cut")
	}
	testnet.Await(t, "the dead connection to be closed", func() bool { return !fetcher.peer(seed).Connected })
	seed.place.Heal()
	if got, ok := <-fetched; !ok || got.Digest != pub.Digest {
		t.Errorf("fetched %+v", got)
	}
}
