package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// programs are the clients that people have.
var programs = map[string]func(t *testing.T, s seat) bitTorrent{
	"aria2":        startAria2,
	"transmission": startTransmission,
	"libtorrent":   startQbittorrent,
}

// A discovery is a road by which nodes and clients find each other.
type discovery struct {
	node func(cfg *node.Config, tracker string)
	seat func(s *seat)
	// only are the programs that know the road; none: all do.
	only []string
}

var discoveries = map[string]discovery{
	"tracker": {node: func(cfg *node.Config, tracker string) { cfg.Trackers = []string{tracker} }},
	"mainline DHT": {
		node: func(cfg *node.Config, _ string) {
			cfg.MainlineDHT, cfg.MainlineBootstrap = true, []string{"10.77.0.1:6881"}
			cfg.MainlineListen = cfg.BitTorrent
		},
		seat: func(s *seat) { s.dht = true },
		// Transmission asks a network of two nodes nothing within minutes: it takes it for
		// broken.
		only: []string{"aria2", "libtorrent"},
	},
	"local discovery": {
		node: func(cfg *node.Config, _ string) {
			cfg.LocalDiscovery, cfg.BitTorrent = true, "10.77.0.1:0" // where its packets come from
		},
		seat: func(s *seat) { s.lsd = true },
		// Transmission hears the node, but not in this network: it knows one client of
		// an address, and the first that it hears from 10.77.0.1 is itself.
		only: []string{"aria2", "libtorrent"},
	},
	"address in the link": {only: []string{"libtorrent"}}, // the others do not know x.pe
}

// TestBitTorrentClients is every ordinary client by every road: it opens the magnet
// link of an image and gets from the node a directory that skopeo reads as an OCI
// layout; then the node that published it is gone, and another one, which has the
// release from a third, fetches the image from the client.
func TestBitTorrentClients(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"aria2c", "transmission-daemon", "qbittorrent-nox", "skopeo"} {
		newClient(t, name)
	}
	if !ownNetwork(t) {
		return
	}
	testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { // where mainline DHT begins
		cfg.MainlineDHT, cfg.MainlineListen, cfg.MainlineBootstrap = true, "10.77.0.1:6881", []string{"10.77.0.1:9"}
	}).Start()
	n := 1
	for program, start := range programs {
		for road, d := range discoveries {
			if len(d.only) > 0 && !slices.Contains(d.only, program) {
				continue
			}
			n++
			s := newSeat(t, n)
			t.Run(program+", "+road, func(t *testing.T) {
				t.Parallel()
				clientByRoad(t, start, s, d)
			})
		}
	}
}

func clientByRoad(t *testing.T, start func(*testing.T, seat) bitTorrent, s seat, d discovery) {
	tracker := newTracker(t, "10.77.0.1")
	net := testnet.New(t, 2).Configure(func(i int, cfg *node.Config) {
		// Transmission takes whoever comes from the address of a seeder for one.
		cfg.BitTorrent = fmt.Sprintf("10.77.0.%d:0", 50+i)
		if d.node != nil {
			d.node(cfg, tracker.url)
		}
	}).Start().Connect().AwaitPeers(1)
	publisher, third := net.Node(0), net.Node(1)
	tracker.knows(publisher.Addresses().BitTorrent)
	l := testnet.Image{Seed: uint64(s.port), Layers: []int64{3 << 20, 100_000}}.Lay(t)
	pub := publisher.PublishLayout("app:1", l)
	third.AwaitSearch("app", pub.Digest)

	if d.seat != nil {
		d.seat(&s)
	}
	client := start(t, s)
	client.add(t, pub.Magnet)
	dir := awaitLayout(t, s.dir, l)
	skopeoReads(t, dir, l)

	publisher.Stop()
	target := pub.Magnet
	if d.node == nil { // of the client, in place of the node's
		target = testnet.BareMagnet(t, pub.Magnet) + fmt.Sprintf("&x.pe=%s:%d", s.ip, s.port)
	}
	got := net.Add(third).FetchTo(target, "oci:"+filepath.Join(t.TempDir(), "out"))
	if got.Digest != l.Root.Digest.String() {
		t.Errorf("fetched %s, want %s", got.Digest, l.Root.Digest)
	}
	from := int64(0)
	for peer, bytes := range got.Sources {
		if strings.HasPrefix(peer, s.ip+":") {
			from += bytes
		}
	}
	if from < 3<<20 {
		t.Errorf("%d bytes came from the client: %v", from, got.Sources)
	}
}

// awaitLayout waits until a client has written all of an image, and gives its
// directory.
func awaitLayout(t *testing.T, dir string, l *testnet.Layout) string {
	t.Helper()
	dir = filepath.Join(dir, strings.Replace(l.Root.Digest.String(), ":", "-", 1))
	testnet.AwaitNil(t, "the client to have the image", func() error { return l.Whole(dir) })
	return dir
}

// skopeoReads wants skopeo to find the image in a directory.
func skopeoReads(t *testing.T, dir string, l *testnet.Layout) {
	t.Helper()
	skopeo := newClient(t, "skopeo", "--insecure-policy")
	if out := skopeo.must("inspect", "--format", "{{.Digest}}", "oci:"+dir); strings.TrimSpace(out) != l.Root.Digest.String() {
		t.Errorf("skopeo inspects %s, want %s", out, l.Root.Digest)
	}
	back := filepath.Join(t.TempDir(), "back")
	skopeo.must("copy", "--preserve-digests", "oci:"+dir, "oci:"+back)
	testnet.SameLayout(t, l, back)
}

// TestBitTorrentWebSeeds: each client fetches an image of which the node is a web seed
// and nothing else; then a plain web server with what the client wrote is the only one
// who has it, and a node fetches it from there.
func TestBitTorrentWebSeeds(t *testing.T) {
	t.Parallel()
	if !ownNetwork(t) {
		return
	}
	n := 0
	for program, start := range programs {
		n++
		s, api := newSeat(t, n), fmt.Sprintf("127.0.0.1:%d", 22000+n)
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			base := "http://" + api + "/webseed/"
			net := testnet.New(t, 2).Configure(func(i int, cfg *node.Config) {
				if i == 0 {
					cfg.API, cfg.WebSeeds, cfg.BitTorrent = api, []string{base}, ""
				}
			}).Start().Connect().AwaitPeers(1)
			publisher, third := net.Node(0), net.Node(1)
			l := testnet.Image{Seed: 77, Layers: []int64{3 << 20, 100_000}, Title: program}.Lay(t)
			pub := publisher.PublishLayout("app:1", l)
			third.AwaitSearch("app", pub.Digest)
			name := strings.Replace(l.Root.Digest.String(), ":", "-", 1)

			start(t, s).add(t, base+name+".torrent")
			dir := awaitLayout(t, s.dir, l)
			skopeoReads(t, dir, l)

			torrent, status := get(t, base+name+".torrent")
			if status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
			if err := os.WriteFile(filepath.Join(s.dir, name+".torrent"), torrent, 0o600); err != nil {
				t.Fatal(err)
			}
			publisher.Stop()
			var sent atomic.Int64
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.Add(1)
				http.FileServer(http.Dir(s.dir)).ServeHTTP(w, r)
			}))
			t.Cleanup(web.Close)
			got := net.Add(third).Fetch(testnet.BareMagnet(t, pub.Magnet) + "&ws=" + web.URL + "/")
			if got.Digest != l.Root.Digest.String() || got.Sources[web.URL] < 3<<20 || sent.Load() == 0 {
				t.Errorf("fetched %s from %v by %d requests", got.Digest, got.Sources, sent.Load())
			}
		})
	}
}

// get is what an URL answers, and how.
func get(t *testing.T, url string) ([]byte, int) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b, res.StatusCode
}

// TestBitTorrentPeerExchange: a client that knows of the node alone learns from it of
// another one.
func TestBitTorrentPeerExchange(t *testing.T) {
	t.Parallel()
	if !ownNetwork(t) {
		return
	}
	n := 0
	for first, second := range map[string]string{"aria2": "transmission", "transmission": "libtorrent", "libtorrent": "aria2"} {
		n += 2
		a, b := newSeat(t, n), newSeat(t, n+1)
		a.slow, b.slow = true, true
		t.Run(first+" tells "+second, func(t *testing.T) {
			t.Parallel()
			tracker := newTracker(t, "10.77.0.1")
			nd := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) {
				cfg.BitTorrent, cfg.Trackers = "10.77.0.50:0", []string{tracker.url}
			}).Start().Node(0)
			tracker.tell(nd.Addresses().BitTorrent)
			pub := nd.Publish("app:1", testnet.Image{Seed: uint64(n), Layers: []int64{16 << 20}})
			early, late := programs[first](t, a), programs[second](t, b)
			connected := func(c bitTorrent, ip string) func() bool {
				return func() bool {
					return slices.ContainsFunc(c.peers(t), func(p string) bool { return strings.HasPrefix(p, ip+":") })
				}
			}
			early.add(t, pub.Magnet)
			testnet.Await(t, first+" to be connected to the node", connected(early, "10.77.0.50"))
			late.add(t, pub.Magnet)
			testnet.Await(t, second+" to be connected to "+first, connected(late, a.ip))
		})
	}
}

// TestWebSeedGivesWhatMayBeGiven: not what was only pushed or imported, nor what its
// author took back, and nothing outside of the image.
func TestWebSeedGivesWhatMayBeGiven(t *testing.T) {
	t.Parallel()
	n := testnet.New(t, 1).Start().Node(0)
	base := "http://" + n.Addresses().API + "/webseed/"
	l := testnet.Image{Seed: 78, Layers: []int64{100_000}}.Lay(t)
	pub := n.PublishLayout("app:1", l)
	other := n.Publish("other:1", testnet.Image{Seed: 79, Layers: []int64{100_000}})
	name := strings.Replace(l.Root.Digest.String(), ":", "-", 1)
	root := "/blobs/sha256/" + l.Root.Digest.Encoded()
	for path, want := range map[string]int{
		name + "/oci-layout": 200, name + "/index.json": 200, name + root: 200, name + ".torrent": 200,
		name + "/blobs/sha256/" + strings.TrimPrefix(other.Digest, "sha256:"): 404,
		strings.Replace(other.Digest, ":", "-", 1) + root:                     404, "sha256-" + strings.Repeat("a", 64) + "/oci-layout": 404, "x/oci-layout": 404,
	} {
		if _, got := get(t, base+path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if _, err := n.Exchange().Revoke(t.Context(), exchange.RevokeRequest{Target: pub.Digest, Reason: "rain"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{name + "/oci-layout", name + root, name + ".torrent"} {
		testnet.Await(t, path+" not to be given", func() bool { _, got := get(t, base+path); return got == http.StatusNotFound })
	}
	if _, got := get(t, base+strings.Replace(other.Digest, ":", "-", 1)+"/oci-layout"); got != http.StatusOK {
		t.Errorf("another image is not given: %d", got)
	}
}
