package main_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// TestPausedNode pauses a node in the middle of a fetch, for longer than the fetch
// may go without progress: it stands, goes on when traffic does, and the registry
// serves all the while what is here. A new fetch is refused.
func TestPausedNode(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Configure(func(i int, cfg *node.Config) {
		if i == 0 {
			cfg.UploadLimit = 2 << 20
		}
	}).Start().Connect().AwaitPeers(1)
	publisher, fetcher := net.Node(0), net.Node(1)
	first := publisher.PublishLayout("small:1.0", testnet.Image{Seed: 420, Layers: []int64{200 << 10}}.Lay(t))
	layout := testnet.Image{Seed: 421, Layers: []int64{8 << 20}}.Lay(t)
	pub := publisher.PublishLayout("app:1.0", layout)
	other := publisher.PublishLayout("other:1.0", testnet.Image{Seed: 422, Layers: []int64{1 << 20}}.Lay(t))
	fetcher.Fetch(first.Magnet)

	c := api.NewSocketClient(fetcher.Addresses().Socket)
	defer c.Close()
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	set := func(r api.LimitsRequest) {
		if _, err := c.SetLimits(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	begun := make(chan struct{})
	ended := make(chan error, 1)
	const timeout = 2 * time.Second
	out := filepath.Join(t.TempDir(), "out")
	go func() {
		told := false
		_, err := c.Fetch(ctx, exchange.FetchRequest{Target: pub.Magnet, Export: "oci:" + out, Timeout: timeout}, func(p exchange.Progress) {
			if p.Step == "fetch" && p.Total == 8<<20 && p.Done > 0 && !told {
				told = true
				close(begun)
			}
		})
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatalf("the fetch ended before it was paused: %v", err)
	}
	set(api.LimitsRequest{Pause: true})
	paused := time.Now()
	if _, err := c.Fetch(ctx, exchange.FetchRequest{Target: other.Magnet, Timeout: testnet.Patience}, nil); !errors.Is(err, api.ErrPaused) {
		t.Errorf("a fetch while paused: %v", err)
	}
	testnet.Await(t, "longer than the fetch may be without progress", func() bool { return time.Since(paused) > 2*timeout })
	a, err := c.Activity(ctx)
	if err != nil || !a.Limits.Paused || len(a.Transfers) != 1 || a.Limits.Connections != 0 {
		t.Errorf("activity %+v, %v", a, err)
	}
	pullWhole(t, ctx, fetcher, first.Author+"/small", first.Digest)
	select {
	case err := <-ended:
		t.Fatalf("the fetch ended while paused: %v", err)
	default:
	}
	set(api.LimitsRequest{Resume: true})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	testnet.SameLayout(t, layout, out)
}

// TestWebSeedIsUnderTheLimits: what the web seed gives counts as uploads to ordinary
// clients, waits for its turn, and stops when traffic with peers does.
func TestWebSeedIsUnderTheLimits(t *testing.T) {
	t.Parallel()
	const size = 600 << 10
	n := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.UploadLimit = 2 << 20 }).Start().Node(0)
	l := testnet.Image{Seed: 423, Layers: []int64{size}}.Lay(t)
	n.PublishLayout("app:1.0", l)
	c := api.NewSocketClient(n.Addresses().Socket)
	defer c.Close()
	url := "http://" + n.Addresses().API + "/webseed/" + strings.Replace(l.Root.Digest.String(), ":", "-", 1) +
		"/blobs/sha256/" + layerOf(t, l, size).Encoded()
	set := func(r api.LimitsRequest) {
		if _, err := c.SetLimits(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if b, status := get(t, url); status != http.StatusOK || len(b) != size {
		t.Errorf("%d, %d bytes", status, len(b))
	}
	counted := regexp.MustCompile(`(?m)^dockchain_traffic_bytes_total{class="client",direction="up",kind="torrent"} (\S+)$`)
	sent := func() float64 {
		t.Helper()
		b, status := get(t, "http://"+n.Addresses().API+"/metrics")
		found := counted.FindSubmatch(b)
		if found == nil {
			t.Fatalf("metrics: %d %s", status, b)
		}
		up, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	if got := sent(); got != size {
		t.Errorf("%.0f bytes are counted of %d", got, size)
	}
	set(api.LimitsRequest{Pause: true})
	if b, status := get(t, url); status != http.StatusServiceUnavailable {
		t.Errorf("while paused: %d, %d bytes", status, len(b))
	}
	set(api.LimitsRequest{Resume: true})
	if _, status := get(t, url); status != http.StatusOK || sent() != 2*size {
		t.Errorf("afterwards: %d, %.0f bytes counted", status, sent())
	}
}

// pullWhole reads a manifest from a node's registry.
func pullWhole(t *testing.T, ctx context.Context, n *testnet.Node, repo, digest string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addresses().Registry+"/v2/"+repo+"/manifests/"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(b), "layers") {
		t.Errorf("the registry answers %s, %v: %.200s", res.Status, err, b)
	}
}
