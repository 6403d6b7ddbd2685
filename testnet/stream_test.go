package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// pulls are what the tests of pulling do at a node's registry.
type puller struct {
	t *testing.T
	n *testnet.Node
}

func (p puller) pull(target string) exchange.Pulled {
	p.t.Helper()
	got, err := p.try(target)
	if err != nil {
		p.t.Fatalf("pulling %s: %v", target, err)
	}
	return got
}

func (p puller) try(target string) (exchange.Pulled, error) {
	return p.request(exchange.PullRequest{Target: target, Client: "test"})
}

func (p puller) request(req exchange.PullRequest) (exchange.Pulled, error) {
	ctx, cancel := testnet.Deadline(p.t)
	defer cancel()
	return p.n.Exchange().Pull(ctx, req)
}

func (p puller) open(name string, d digest.Digest) exchange.Content {
	p.t.Helper()
	c, err := p.n.Exchange().OpenContent(p.t.Context(), name, d)
	if err != nil {
		p.t.Fatalf("opening %s of %s: %v", d, name, err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// same wants n bytes of a content, from its present place, to be those of a file.
func (p puller) same(c exchange.Content, file string, off, n int64) {
	p.t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(c, got); err != nil {
		p.t.Fatalf("reading %d bytes at %d: %v", n, off, err)
	}
	if !bytes.Equal(got, want[off:off+n]) {
		p.t.Fatalf("other bytes at %d", off)
	}
}

func (p puller) whole(name string, l *testnet.Layout) {
	p.t.Helper()
	for d, size := range l.Blobs {
		c := p.open(name, d)
		if c.Size() != size {
			p.t.Errorf("%s has %d bytes, want %d", d, c.Size(), size)
		}
		p.same(c, l.Path(d), 0, size)
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			p.t.Errorf("after the end of %s: %d, %v", d, n, err)
		}
	}
}

func (p puller) has(d digest.Digest) bool {
	_, err := p.n.Exchange().Blobs.Stat(d)
	return err == nil
}

// layerOf is the blob of a layout that has so many bytes.
func layerOf(t *testing.T, l *testnet.Layout, size int64) digest.Digest {
	t.Helper()
	for d, n := range l.Blobs {
		if n == size {
			return d
		}
	}
	t.Fatalf("no blob of %d bytes", size)
	return ""
}

// Clients read a layer while the rest of it is not here, from any place, and the
// image is given to nobody before it is here whole.
func TestPullIsStreamed(t *testing.T) {
	t.Parallel()
	const size, dammed = 8 << 20, 6 << 20
	b := newBetween(t, testnet.Image{Seed: 70, Layers: []int64{size, 300 << 10, 2000}})
	dam := testnet.NewDam(dammed)
	t.Cleanup(dam.Open)
	for ih, torrent := range b.publisher.Torrents("me/app:1.0") {
		torrent.Files = dam.Before(torrent.Files)
		b.hostile.Share(ih, torrent)
	}
	name := b.published.Author + "/app"
	p := puller{t, b.victim}
	// The layers wait for somebody to read one, so that its beginning is among what is
	// asked for first.
	got, err := p.request(exchange.PullRequest{Target: name + ":1.0", Client: "test", Peek: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Root.Digest.String() != b.published.Digest || got.Root.Size != b.layout.Blobs[got.Root.Digest] {
		t.Fatalf("pulled %v, want %s", got.Root, b.published.Digest)
	}
	p.same(p.open(name, got.Root.Digest), b.layout.Path(got.Root.Digest), 0, got.Root.Size)
	layer := layerOf(t, b.layout, size)
	content := p.open(name, layer)
	p.same(content, b.layout.Path(layer), 0, 1<<20)
	if p.has(layer) {
		t.Fatal("the layer is here whole, in spite of the dam")
	}
	if _, err := content.Seek(1<<19, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	p.same(content, b.layout.Path(layer), 1<<19, 1<<19)
	if _, err := b.hostile.Host.Request(t.Context(), b.victim.ID(), exchange.OpBlob,
		[]byte(`{"digest":"`+got.Root.Digest.String()+`"}`)); err == nil {
		t.Error("a document is given to a peer before the image is here")
	}
	if _, err := b.victim.Exchange().OpenContent(t.Context(), b.published.Author+"/other", layer); !errors.Is(err, exchange.ErrNotFound) {
		t.Errorf("the layer under a name that nobody pulled: %v", err)
	}

	var wg sync.WaitGroup
	for range 20 { // who join
		wg.Go(func() {
			if again, err := p.try(name + ":1.0"); err != nil || again.Root.Digest != got.Root.Digest {
				t.Errorf("pulled %v, %v", again.Root, err)
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	waiting, err := b.victim.Exchange().OpenContent(ctx, name, layer)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if _, err := waiting.Seek(-10, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	left := make(chan error)
	go func() {
		_, err := waiting.Read(make([]byte, 10))
		left <- err
	}()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}

	dam.Open()
	p.whole(name, b.layout)
	p.same(content, b.layout.Path(layer), 1<<20, size-1<<20)
	testnet.Await(t, "the image to be held", func() bool {
		s, err := b.victim.Exchange().Status(t.Context())
		return err == nil && s.Images == 1
	})
	if exchange.Whole(p.open(b.published.Author+"/app", layer)) == nil {
		t.Error("a blob that is here whole is not given as a file")
	}
	testnet.WholeBlobs(t, b.victim.Home())
}

// A layer whose pieces verify, and whose bytes are not those of its digest, is cut
// before its end, and what came of it is gone.
func TestStreamOfAWrongBlobIsCut(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	net := testnet.New(t, 1).Start()
	victim, hostile := net.Node(0), net.Hostile()
	layout := testnet.Image{Seed: 71, Layers: []int64{size}}.Lay(t)
	offer := testnet.NewOffer(t, layout, "trojan:1.0", func(_ digest.Digest, b []byte) []byte {
		return bytes.Repeat([]byte("evil"), len(b)/4+1)[:len(b)]
	})
	author := testnet.NewAuthor(t)
	history := author.History()
	history.Serve(hostile, history.Release(offer.Release))
	offer.Serve(hostile)
	hostile.Connect(victim)

	p, name := puller{t, victim}, string(author.ID)+"/trojan"
	p.pull(name + ":1.0")
	layer := layerOf(t, layout, size)
	content := p.open(name, layer)
	n, err := io.Copy(io.Discard, content)
	if err == nil || n >= size {
		t.Errorf("read %d of %d wrong bytes: %v", n, size, err)
	}
	testnet.AwaitNil(t, "the image to be refused", func() error {
		_, err := victim.Exchange().OpenContent(t.Context(), name, layer)
		if !errors.Is(err, exchange.ErrRejected) {
			return errors.New("it is not")
		}
		return nil
	})
	if p.has(layer) {
		t.Error("the wrong bytes are kept")
	}
	testnet.WholeBlobs(t, victim.Home())
	if s, err := victim.Exchange().Status(t.Context()); err != nil || s.Images != 0 {
		t.Errorf("the victim holds %d images (%v)", s.Images, err)
	}
}

// A layer that stops arriving ends with a reason, and goes on where it stopped.
func TestStalledStream(t *testing.T) {
	t.Parallel()
	const size, dammed = 4 << 20, 2 << 20
	b := newBetween(t, testnet.Image{Seed: 72, Layers: []int64{size}})
	dam := testnet.NewDam(dammed)
	t.Cleanup(dam.Open)
	for ih, torrent := range b.publisher.Torrents("me/app:1.0") {
		torrent.Files = dam.Before(torrent.Files)
		b.hostile.Share(ih, torrent)
	}
	b.victim.Stop()
	b.Configure(func(i int, cfg *node.Config) { cfg.Pull.Patience = 2 * time.Second })
	b.victim.Start()
	b.Cut(b.publisher, b.victim)
	b.hostile.Connect(b.victim)
	p, name := puller{t, b.victim}, b.published.Author+"/app"
	if _, err := p.request(exchange.PullRequest{Target: name + ":1.0", Peek: true}); err != nil {
		t.Fatal(err)
	}
	layer := layerOf(t, b.layout, size)
	content := p.open(name, layer)
	n, err := io.Copy(io.Discard, content)
	if !errors.Is(err, exchange.ErrTimeout) || n > dammed { // what came first need not be the beginning
		t.Errorf("read %d bytes: %v", n, err)
	}
	dam.Open()
	b.Heal(b.publisher, b.victim)
	testnet.AwaitNil(t, "the rest", func() error {
		_, err := p.try(name + ":1.0")
		return err
	})
	p.whole(name, b.layout)
}

// Docker looks at the tag and pulls by the digest: the list tells where the bytes
// came from all the same.
func TestPullAfterALook(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	layout := testnet.Image{Seed: 75, Layers: []int64{size}}.Lay(t)
	published := net.Node(0).PublishLayout("app:1.0", layout)
	awaitSameLog(t, published.Author, 2, net.Nodes()...)
	p, name := puller{t, net.Node(1)}, published.Author+"/app"
	got, err := p.request(exchange.PullRequest{Target: name + ":1.0", Client: "docker", Peek: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.request(exchange.PullRequest{Target: name + "@" + got.Root.Digest.String(), Client: "docker"}); err != nil {
		t.Fatal(err)
	}
	p.whole(name, layout)
	testnet.AwaitNil(t, "the pull to be told", func() error {
		list, err := p.n.Exchange().Pulls(t.Context(), exchange.PullsRequest{})
		if err != nil {
			return err
		}
		if len(list) != 1 || list[0].State != exchange.PullDone || list[0].FromPeers < size {
			return fmt.Errorf("the list is %+v", list)
		}
		return nil
	})
	if _, err := p.request(exchange.PullRequest{Target: name + "@" + got.Root.Digest.String(), Client: "again"}); err != nil {
		t.Fatal(err)
	}
	list, err := p.n.Exchange().Pulls(t.Context(), exchange.PullsRequest{Limit: 1})
	if err != nil || len(list) != 1 || list[0].FromDisk < size || list[0].FromPeers != 0 {
		t.Errorf("pulled again, it is told as %+v, %v", list, err)
	}
}
