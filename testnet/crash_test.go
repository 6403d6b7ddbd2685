package main_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// Half of the 50 kills of the issue hit a publish, half a fetch.
const (
	kills      = 25
	shortKills = 4
)

func rounds() int {
	if testing.Short() {
		return shortKills
	}
	return kills
}

// TestKillDuringPublish kills a publisher at random moments. Whatever it had
// written is whole, its log holds whole entries only, and the same publish
// afterwards gives the image exactly one release.
func TestKillDuringPublish(t *testing.T) {
	bin, home := builtProgram(t), testnet.Home(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	var took time.Duration
	var killedInside int
	p := testnet.Run(t, bin, home)
	for round := range rounds() + 1 {
		layout := testnet.Image{Seed: uint64(100 + round), Layers: []int64{6 << 20, 1 << 20, 40 << 10}}.Lay(t)
		req := exchange.PublishRequest{Source: "oci:" + layout.Dir, As: "me/app:" + tag(round)}
		if round == 0 { // how long a publish takes here
			start := time.Now()
			if _, err := p.Publish(t.Context(), req, nil); err != nil {
				t.Fatal(err)
			}
			took = time.Since(start)
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := p.Publish(ctx, req, nil)
			ended <- err
		}()
		killAfter(p, time.Duration(rnd.Int64N(int64(took)*5/4)))
		cancel()
		if err := <-ended; err != nil {
			killedInside++
		}
		before := inspect(t, home)
		p = testnet.Run(t, bin, home)
		published, err := p.Publish(t.Context(), req, nil)
		if err != nil {
			t.Fatalf("publishing after kill %d: %v", round, err)
		}
		if published.Digest != layout.Root.Digest.String() {
			t.Errorf("published %s, want %s", published.Digest, layout.Root.Digest)
		}
		if want := uint64(round + 1); published.Entry != want {
			t.Errorf("kill %d: the release is entry %d, want %d: %d entries were there after the kill",
				round, published.Entry, want, before)
		}
	}
	p.Stop()
	if n := inspect(t, home); n != uint64(rounds()+2) {
		t.Errorf("the log has %d entries, want %d", n, rounds()+2)
	}
	t.Logf("%d of %d kills hit the publish itself; one takes %s", killedInside, rounds(), took)
}

// killAfter kills the process after a while; the moment is the point of it.
func killAfter(p *testnet.Process, d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	p.Kill()
}

func tag(round int) string { return "1." + string(rune('a'+round)) }

// inspect looks into the data directory of a node that was killed: every blob is
// whole, and every entry of every log verifies. It gives the entries of the
// node's own log.
func inspect(t *testing.T, home string) uint64 {
	t.Helper()
	testnet.WholeBlobs(t, home)
	cfg := node.Loopback(home)
	n, err := node.OpenOffline(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("opening the data after a kill: %v", err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the data: %v", err)
		}
	}()
	l := n.Exchange().Ledger
	heads, err := l.Heads("", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heads {
		for i := range h.Size {
			p, err := l.Prove(t.Context(), h.Author, i)
			if err != nil {
				t.Fatalf("entry %d of %d: %v", i, h.Size, err)
			}
			if _, _, err := p.Verify(); err != nil {
				t.Errorf("half an entry: %d of %d: %v", i, h.Size, err)
			}
		}
	}
	status, err := n.Exchange().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	head, err := l.Head(ledger.AuthorID(status.Author))
	if err != nil {
		t.Fatalf("the node's own log is gone: %v", err)
	}
	inspectReleases(t, n.Exchange(), status.Author)
	return head.Size
}

// inspectReleases wants that what the node has signed is in its index, is here
// whole, and is accepted.
func inspectReleases(t *testing.T, x *exchange.Exchange, author string) {
	t.Helper()
	for i := uint64(1); ; i++ {
		p, err := x.Ledger.Prove(t.Context(), ledger.AuthorID(author), i)
		if errors.Is(err, ledger.ErrNotFound) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := p.Verify()
		if err != nil {
			t.Fatal(err)
		}
		ref := "me/" + e.Release.Repo + ":" + e.Release.Tag
		v, err := x.Verify(t.Context(), ref, nil)
		if err != nil || !v.Local || !v.Verdict.Accepted {
			t.Errorf("after a kill %s, which is signed, is: here %t, %+v (%v)", ref, v.Local, v.Verdict, err)
		}
	}
}

// TestKillDuringFetch kills a fetching node at random points of a fetch. After
// each kill nothing is torn, and the fetch that follows takes from the disk what
// had arrived.
func TestKillDuringFetch(t *testing.T) {
	bin := builtProgram(t)
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.UploadLimit = 32 << 20 }).Start()
	layout := testnet.Image{Seed: 200, Layers: []int64{9 << 20, 3 << 20, 300 << 10, 50 << 10}}.Lay(t)
	pub := net.Node(0).PublishLayout("app:1.0", layout)
	rnd := rand.New(rand.NewPCG(3, 4))
	resumed := 0
	for round := range rounds() {
		home := testnet.Home(t)
		p := testnet.Run(t, bin, home, "--bootstrap", net.Node(0).Addr())
		stop := rnd.Float64()
		hit, cancel := context.WithCancel(t.Context())
		done := map[string]int64{}
		_, err := p.Fetch(hit, exchange.FetchRequest{Target: pub.Magnet}, func(pr exchange.Progress) {
			if pr.Step == "fetch" {
				done[pr.Item] = pr.Done
			}
			if sum(done) >= int64(stop*float64(pub.Size)) && !p.Exited() {
				time.AfterFunc(time.Duration(rnd.Int64N(int64(20*time.Millisecond))), p.Kill)
			}
		})
		cancel()
		p.Kill()
		intact := arrived(t, home, layout)
		inspect(t, home)

		out := filepath.Join(t.TempDir(), "out")
		p = testnet.Run(t, bin, home, "--bootstrap", net.Node(0).Addr())
		got, err2 := p.Fetch(t.Context(), exchange.FetchRequest{Target: pub.Magnet, Export: "oci:" + out}, nil)
		if err2 != nil {
			t.Fatalf("round %d: fetching after a kill at %.2f (%v): %v", round, stop, err, err2)
		}
		testnet.SameLayout(t, layout, out)
		if got.BytesFromDisk < intact {
			t.Errorf("round %d: %d bytes had arrived whole before the kill at %.2f, and %d were taken from the disk",
				round, intact, stop, got.BytesFromDisk)
		}
		if intact > 0 {
			resumed++
		}
		p.Kill()
	}
	if resumed == 0 {
		t.Error("no fetch was resumed: the kills came too early")
	}
	t.Logf("%d of %d fetches were resumed", resumed, rounds())
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// arrived counts the bytes of an image that a data directory has: whole blobs,
// and whole pieces of downloads under way.
func arrived(t *testing.T, home string, l *testnet.Layout) (n int64) {
	t.Helper()
	for d, size := range l.Blobs {
		if _, err := os.Stat(filepath.Join(home, "blobs", "sha256", d.Encoded())); err == nil {
			n += size
			continue
		}
		partial := filepath.Join(home, "staging", "fetch", "sha256-"+d.Encoded())
		n += samePieces(t, partial, l.Path(d))
	}
	return n
}

// pieceLength is that of layers up to 64 MiB.
const pieceLength = 256 << 10

func samePieces(t *testing.T, partial, whole string) (n int64) {
	t.Helper()
	got, err := os.Open(partial)
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want, err := os.Open(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	a, b := make([]byte, pieceLength), make([]byte, pieceLength)
	for {
		k, err := io.ReadFull(want, b)
		if k == 0 {
			return n
		}
		if m, _ := io.ReadFull(got, a); m == k && bytes.Equal(a[:k], b[:k]) {
			n += int64(k)
		}
		if err != nil {
			return n
		}
	}
}

// TestLockedHome wants that a second node over the same data says so.
func TestLockedHome(t *testing.T) {
	bin, home := builtProgram(t), testnet.Home(t)
	testnet.Run(t, bin, home)
	second := testnet.Launch(t, bin, home)
	testnet.Await(t, "the second node to end", second.Exited)
	if !second.Log("dockchain: ") || second.Log("goroutine") {
		t.Error("the second node does not say why in one line")
	}
}
