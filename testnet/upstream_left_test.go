package main_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

const leftSize, leftAt = 8 << 20, 5 << 20

// leave pulls an image of one layer from a registry that falls silent in the middle of
// it, and goes away when all that was sent is here.
func leave(t *testing.T, o *origin, n *testnet.Node, seed uint64) (l *testnet.Layout, layer digest.Digest, name string) {
	t.Helper()
	l = testnet.Image{Seed: seed, Layers: []int64{leftSize}}.Lay(t)
	o.push(l, "1.0")
	layer, name = layerOf(t, l, leftSize), o.host+"/org/app"
	o.set(func() { o.hold[o.blob(layer)] = leftAt })
	p := puller{t, n}
	p.pull(name + ":1.0")
	c, err := n.Exchange().OpenContent(t.Context(), name, layer)
	if err != nil {
		t.Fatal(err)
	}
	p.same(c, l.Path(layer), 0, leftAt)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if sent := o.sentOf(layer); sent != leftAt {
		t.Fatalf("the registry sent %d bytes, want %d", sent, leftAt)
	}
	return l, layer, name
}

// read waits until a blob can be read to its end.
func (p puller) read(name string, d digest.Digest) {
	p.t.Helper()
	testnet.AwaitNil(p.t, "the blob", func() error {
		c, err := p.n.Exchange().OpenContent(p.t.Context(), name, d)
		if err != nil {
			return err
		}
		defer c.Close()
		b, err := io.ReadAll(c)
		if err == nil && digest.FromBytes(b) != d {
			err = fmt.Errorf("%d other bytes", len(b))
		}
		return err
	})
}

func (o *origin) wantRest(layer digest.Digest) {
	o.t.Helper()
	if sent := o.sentOf(layer); sent != leftSize {
		o.t.Errorf("the registry sent %d bytes of a layer of %d", sent, leftSize)
	}
	o.set(func() {
		if want := fmt.Sprintf("bytes=%d-%d", leftAt, leftSize-1); !slices.Contains(o.ranges, want) {
			o.t.Errorf("it was asked for %q, not for %s", o.ranges, want)
		}
	})
}

// A transfer that a restart of the node cut off goes on from the byte where it stopped.
func TestRegistryGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	n := testnet.New(t, 1).Start().Node(0)
	l, layer, name := leave(t, o, n, 180)
	n.Restart()
	p := puller{t, n}
	p.pull(name + ":1.0")
	p.whole(name, l)
	o.wantRest(layer)
	p.awaitRecord(name+":1.0", func(r exchange.PullRecord) bool {
		return strings.Contains(r.Why, fmt.Sprintf("begun before, and went on at byte %d", leftAt))
	})
}

// So does one that all clients left.
func TestRegistryGoesOnAfterAllLeft(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	n := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Pull.Linger = time.Millisecond }).Start().Node(0)
	_, layer, name := leave(t, o, n, 181)
	testnet.Await(t, "the transfer to be given up", func() (given bool) {
		o.set(func() { given = o.left > 0 })
		return given
	})
	puller{t, n}.read(name, layer)
	o.wantRest(layer)
}

// What the disk kept of it wrongly is fetched anew, all of it.
func TestRegistryGoesOnFromWrongBytes(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	n := testnet.New(t, 1).Start().Node(0)
	_, layer, name := leave(t, o, n, 182)
	n.Stop()
	if err := os.WriteFile(filepath.Join(n.Home(), "staging", "fetch", "sha256-"+layer.Encoded()), bytes.Repeat([]byte("evil"), leftAt/4), 0o600); err != nil {
		t.Fatal(err)
	}
	n.Start()
	puller{t, n}.read(name, layer)
	if sent := o.sentOf(layer); sent != leftAt+(leftSize-leftAt)+leftSize {
		t.Errorf("the registry sent %d bytes", sent)
	}
	testnet.WholeBlobs(t, n.Home())
}
