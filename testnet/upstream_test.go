package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

func (p puller) record(name string) exchange.PullRecord {
	p.t.Helper()
	all, err := p.n.Exchange().Pulls(p.t.Context(), exchange.PullsRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	p.t.Fatalf("no pull of %s on the list", name)
	return exchange.PullRecord{}
}

// awaitRecord waits for the list to say so of a pull.
func (p puller) awaitRecord(name string, says func(exchange.PullRecord) bool) {
	p.t.Helper()
	testnet.AwaitNil(p.t, "the list of pulls", func() error {
		if r := p.record(name); !says(r) {
			return fmt.Errorf("it says %+v", r)
		}
		return nil
	})
}

// An image that only its registry has is brought from there, once however many ask.
func TestThirdPartyImage(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	l := testnet.Image{Seed: 80, Layers: []int64{3 << 20, 5000}}.Lay(t)
	o.push(l, "1.0")
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Pull.Fresh = -1 }).Start()
	p, name := puller{t, net.Node(0)}, o.host+"/org/app"
	layer := layerOf(t, l, 3<<20)
	if _, err := net.Node(0).Exchange().OpenContent(t.Context(), name, layer); !errors.Is(err, exchange.ErrNotFound) {
		t.Errorf("a layer that nobody pulled: %v", err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			got, err := p.try(name + ":1.0")
			if err != nil || got.Root.Digest != l.Root.Digest || !got.Stale.IsZero() {
				t.Errorf("pulled %v, %v", got, err)
				return
			}
			for d := range l.Blobs {
				c, err := p.n.Exchange().OpenContent(t.Context(), name, d)
				if err != nil {
					t.Errorf("opening %s: %v", d, err)
					return
				}
				b, err := io.ReadAll(c)
				_ = c.Close()
				if err != nil || digest.FromBytes(b) != d {
					t.Errorf("read %d bytes of %s: %v", len(b), d, err)
				}
			}
		})
	}
	wg.Wait()
	for d, size := range l.Blobs {
		if d == l.Root.Digest {
			continue
		}
		if n := o.count("GET", o.blob(d)); n != 1 || o.sentOf(d) != size {
			t.Errorf("%s was transferred %d times, %d of %d bytes", d, n, o.sentOf(d), size)
		}
	}
	if n := o.count("GET", "/v2/org/app/manifests/1.0"); n != 1 {
		t.Errorf("the manifest was asked for %d times", n)
	}
	p.awaitRecord(name+":1.0", func(r exchange.PullRecord) bool {
		return r.State == exchange.PullDone && r.FromUpstream >= 3<<20 && r.FromPeers == 0 && strings.Contains(r.Why, "nobody in the swarm has it")
	})
	if s, err := net.Node(0).Exchange().Status(t.Context()); err != nil || s.Images != 0 {
		t.Errorf("%d images are held that nobody signed (%v)", s.Images, err)
	}

	// The registry is gone: what is here is given, and the answer says how old it is.
	net.Node(0).Restart()
	o.srv.Close()
	got := p.pull(name + ":1.0")
	if got.Stale.IsZero() {
		t.Error("an answer of before is not marked as one")
	}
	p.whole(name, l)
	p.pull(name + "@" + l.Root.Digest.String())
	p.awaitRecord(name+":1.0", func(r exchange.PullRecord) bool {
		return strings.Contains(r.Why, "cannot be asked") && r.FromDisk > 3<<20
	})
	if _, err := p.try(name + ":other"); !errors.Is(err, exchange.ErrUpstream) {
		t.Errorf("a tag that was never asked for: %v", err)
	}
}

// Layers come from the swarm where somebody there has them, and the registry is not
// asked for a byte of them.
func TestThirdPartyLayersFromTheSwarm(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	const size = 6 << 20
	l := testnet.Image{Seed: 81, Layers: []int64{size, 4000}}.Lay(t)
	o.push(l, "1.0")
	net := testnet.New(t, 2).Configure(func(_ int, cfg *node.Config) {
		cfg.Pull.SwarmBudget = 20 * time.Second // as slow as a machine may be
	}).Start().Connect().AwaitPeers(1)
	pub := net.Node(0).PublishLayout("app:1.0", l)
	net.Node(1).AwaitSearch("app", pub.Digest)
	p, name := puller{t, net.Node(1)}, o.host+"/org/app"
	p.pull(name + ":1.0")
	p.whole(name, l)
	layer := layerOf(t, l, size)
	if n := o.sentOf(layer); n != 0 {
		t.Errorf("the registry sent %d bytes of a layer that a peer has", n)
	}
	p.awaitRecord(name+":1.0", func(r exchange.PullRecord) bool { return r.FromPeers == size })
	// Somebody released it: it is held now, and given to others.
	testnet.Await(t, "the image to be held", func() bool {
		s, err := net.Node(1).Exchange().Status(t.Context())
		return err == nil && s.Images == 1
	})
}

// A peer that stops in the middle of a layer: the registry is asked for the rest, by
// a range, and not for what came.
func TestRegistryGoesOnWhereTheSwarmStops(t *testing.T) {
	t.Parallel()
	const size, dammed = 8 << 20, 4 << 20
	o := newOrigin(t)
	b := newBetween(t, testnet.Image{Seed: 82, Layers: []int64{size}})
	o.push(b.layout, "1.0")
	dam := testnet.NewDam(dammed)
	t.Cleanup(dam.Open)
	for ih, torrent := range b.publisher.Torrents("me/app:1.0") {
		torrent.Files = dam.Before(torrent.Files)
		b.hostile.Share(ih, torrent)
	}
	b.victim.Stop()
	b.Configure(func(_ int, cfg *node.Config) {
		cfg.Pull.SwarmBudget, cfg.Pull.SwarmPatience = 20*time.Second, time.Second
	})
	b.victim.Start()
	b.Cut(b.publisher, b.victim)
	b.hostile.Connect(b.victim)
	p, name := puller{t, b.victim}, o.host+"/org/app"
	p.pull(name + ":1.0")
	p.whole(name, b.layout)
	sent := o.sentOf(layerOf(t, b.layout, size))
	if sent == 0 || sent >= size {
		t.Errorf("the registry sent %d of %d bytes", sent, size)
	}
	p.awaitRecord(name+":1.0", func(r exchange.PullRecord) bool {
		return r.FromPeers > 0 && r.FromUpstream >= sent && strings.Contains(r.Why, "stalled after")
	})
}

// A registry that breaks off is asked for the rest.
func TestRegistryBreaksOff(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	o := newOrigin(t)
	l := testnet.Image{Seed: 83, Layers: []int64{size}}.Lay(t)
	o.push(l, "1.0")
	layer := layerOf(t, l, size)
	o.set(func() { o.cut[o.blob(layer)] = 1 << 20 })
	net := testnet.New(t, 1).Start()
	p, name := puller{t, net.Node(0)}, o.host+"/org/app"
	p.pull(name + ":1.0")
	p.whole(name, l)
	if n := o.count("GET", o.blob(layer)); n != 2 {
		t.Errorf("the layer was asked for %d times: %q", n, o.ranges)
	}
	if n := o.sentOf(layer); n >= size+size/2 {
		t.Errorf("%d bytes were sent of %d", n, size)
	}
}

// A registry that gives other bytes than the digest says: nobody reads all of them,
// and none are kept.
func TestRegistryGivesWrongBytes(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	o := newOrigin(t)
	l := testnet.Image{Seed: 84, Layers: []int64{size}}.Lay(t)
	o.push(l, "1.0")
	layer := layerOf(t, l, size)
	evil := bytes.Repeat([]byte("evil"), size/4)
	o.set(func() {
		o.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != o.blob(layer) {
				return false
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(evil))
			return true
		}
	})
	net := testnet.New(t, 1).Start()
	p, name := puller{t, net.Node(0)}, o.host+"/org/app"
	p.pull(name + ":1.0")
	n, err := io.Copy(io.Discard, p.open(name, layer))
	if !errors.Is(err, exchange.ErrUpstream) && n >= size || err == nil {
		t.Errorf("read %d wrong bytes: %v", n, err)
	}
	testnet.WholeBlobs(t, net.Node(0).Home())
	if p.has(layer) {
		t.Error("wrong bytes are kept")
	}
	o.set(func() { o.before = nil })
	testnet.AwaitNil(t, "the right bytes", func() error {
		c, err := p.n.Exchange().OpenContent(t.Context(), name, layer)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.Copy(io.Discard, c)
		return err
	})
	p.whole(name, l)
}

// A peer that gives other bytes than the digest says, in a torrent that it made up:
// no reader sees one of them.
func TestPeerMakesUpATorrentOfALayer(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	o := newOrigin(t)
	l := testnet.Image{Seed: 85, Layers: []int64{size}}.Lay(t)
	o.push(l, "1.0")
	layer := layerOf(t, l, size)
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Pull.SwarmBudget = 5 * time.Second }).Start()
	hostile := net.Hostile()
	offer := testnet.NewOffer(t, l, "trojan:1.0", func(_ digest.Digest, b []byte) []byte {
		return bytes.Repeat([]byte("evil"), len(b)/4+1)[:len(b)]
	})
	offer.Serve(hostile)
	for _, b := range offer.Map.Blobs {
		if b.Digest == layer {
			hostile.Answer(exchange.OpLayer, func([]byte) ([]byte, error) {
				return fmt.Appendf(nil, `{"infohash":%q,"size":%d}`, b.Infohash, b.Size), nil
			})
		}
	}
	hostile.Connect(net.Node(0))
	p, name := puller{t, net.Node(0)}, o.host+"/org/app"
	p.pull(name + ":1.0")
	p.whole(name, l)
	if hostile.Asked("stream") == 0 {
		t.Error("the peer was not asked")
	}
	net.Node(0).AwaitReason(hostile.ID(), "wrong piece")
}

// A registry that wants to be left alone is, and what it said before serves.
func TestRateLimitedRegistry(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	l := testnet.Image{Seed: 86, Layers: []int64{1000}}.Lay(t)
	o.push(l, "1.0")
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Pull.Fresh = -1 }).Start()
	p, name := puller{t, net.Node(0)}, o.host+"/org/app"
	p.pull(name + ":1.0")
	p.whole(name, l)
	o.set(func() {
		o.before = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
	})
	for range 5 {
		if got := p.pull(name + ":1.0"); got.Stale.IsZero() {
			t.Error("an answer of before is not marked as one")
		}
	}
	if n := o.count("HEAD", "/v2/org/app/manifests/1.0"); n != 1 {
		t.Errorf("it was asked %d times although it forbade it", n)
	}
}

// A registry that gives the manifest and fails at the layers: somebody in the swarm
// is looked for again, for longer.
func TestSwarmGoesOnWhereTheRegistryFails(t *testing.T) {
	t.Parallel()
	const size = 2 << 20
	o := newOrigin(t)
	l := testnet.Image{Seed: 87, Layers: []int64{size}}.Lay(t)
	o.push(l, "1.0")
	layer := layerOf(t, l, size)
	o.set(func() {
		o.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == o.blob(layer) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return r.URL.Path == o.blob(layer)
		}
	})
	net := testnet.New(t, 2).Configure(func(_ int, cfg *node.Config) { cfg.Pull.SwarmBudget = 1 }).Start().Connect().AwaitPeers(1)
	net.Node(0).PublishLayout("app:1.0", l)
	p, name := puller{t, net.Node(1)}, o.host+"/org/app"
	p.pull(name + ":1.0")
	p.whole(name, l)
	if o.count("GET", o.blob(layer)) == 0 {
		t.Error("the registry was not asked")
	}
	p.awaitRecord(name+":1.0", func(r exchange.PullRecord) bool {
		return r.FromPeers == size && strings.Contains(r.Why, "the registry fails")
	})
}

// Docker and others reach all of it through the registry's own listener.
func TestThirdPartyImageThroughTheRegistry(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	l := testnet.Image{Seed: 88, Layers: []int64{300 << 10}}.Lay(t)
	o.push(l, "1.0")
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Pull.Fresh = -1 }).Start()
	base := "http://" + net.Node(0).Addresses().Registry + "/v2/" + o.host + "/org/app"
	get := func(path, ranges string) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranges != "" {
			req.Header.Set("Range", ranges)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, b
	}
	res, b := get("/manifests/1.0", "")
	if res.StatusCode != 200 || digest.FromBytes(b) != l.Root.Digest || res.Header.Get("Warning") != "" {
		t.Fatalf("%s %q %q", res.Status, res.Header.Get("Warning"), b)
	}
	layer := layerOf(t, l, 300<<10)
	if res, b := get("/blobs/"+layer.String(), "bytes=1000-1999"); res.StatusCode != 206 || !bytes.Equal(b, o.read(l, layer)[1000:2000]) {
		t.Errorf("a range of the layer: %s, %d bytes", res.Status, len(b))
	}
	if res, b := get("/blobs/"+layer.String(), ""); res.StatusCode != 200 || digest.FromBytes(b) != layer {
		t.Errorf("the layer: %s, %d bytes", res.Status, len(b))
	}
	if res, b := get("/manifests/2.0", ""); res.StatusCode != 404 {
		t.Errorf("a tag that is not there: %s %s", res.Status, b)
	}
	o.srv.Close()
	if res, b := get("/manifests/1.0", ""); res.StatusCode != 200 || digest.FromBytes(b) != l.Root.Digest || !strings.Contains(res.Header.Get("Warning"), "cannot be asked") {
		t.Errorf("with the registry gone: %s %q", res.Status, res.Header.Get("Warning"))
	}
	if res, b := get("/manifests/3.0", ""); res.StatusCode != 502 {
		t.Errorf("an unknown tag with the registry gone: %s %s", res.Status, b)
	}
}
