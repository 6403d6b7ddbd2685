package main_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// between is a victim, the publisher of an image, and a hostile peer in its
// place: the victim can reach the publisher only after the test healed them.
type between struct {
	*testnet.Net
	publisher, victim *testnet.Node
	hostile           *testnet.Hostile
	layout            *testnet.Layout
	published         exchange.Published
}

func newBetween(t *testing.T, img testnet.Image) *between {
	t.Helper()
	net := testnet.New(t, 2).Start()
	b := &between{Net: net, publisher: net.Node(0), victim: net.Node(1), hostile: net.Hostile(), layout: img.Lay(t)}
	b.published = b.publisher.PublishLayout("app:1.0", b.layout)
	net.Cut(b.publisher, b.victim)
	b.hostile.Mimic(b.publisher).Connect(b.publisher).Connect(b.victim)
	b.hostile.Claim(imageKey(testnet.InfohashOf(t, b.published.Magnet)))
	return b
}

// fetchDespite fetches while only the hostile peer answers, waits until the
// victim says what it did, lets the publisher come back, and wants the image
// byte for byte.
func (b *between) fetchDespite(t *testing.T, says string) exchange.Fetched {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	wait := b.victim.FetchLater(testnet.BareMagnet(t, b.published.Magnet), "oci:"+out)
	b.victim.AwaitReason(b.hostile.ID(), says)
	b.Heal(b.publisher, b.victim)
	got, err := wait()
	if err != nil {
		t.Fatalf("fetching despite a hostile peer: %v", err)
	}
	testnet.SameLayout(t, b.layout, out)
	testnet.WholeBlobs(t, b.victim.Home())
	if !got.Verdict.Accepted || got.Digest != b.published.Digest {
		t.Errorf("fetched %s with verdict %+v", got.Digest, got.Verdict)
	}
	if b.victim.Score(b.hostile.ID()) >= b.victim.Score(b.publisher.ID()) {
		t.Errorf("the hostile peer scores %v, the honest one %v",
			b.victim.Score(b.hostile.ID()), b.victim.Score(b.publisher.ID()))
	}
	return got
}

func TestWrongBytesInPieces(t *testing.T) {
	t.Parallel()
	b := newBetween(t, testnet.Image{Seed: 10, Layers: []int64{2 << 20, 300 << 10}})
	for ih, torrent := range b.publisher.Torrents("me/app:1.0") {
		torrent.Files = testnet.Corrupted(torrent.Files)
		b.hostile.Share(ih, torrent)
	}
	got := b.fetchDespite(t, "wrong piece")
	if n := got.Sources[b.hostile.ID().String()]; n > 64<<10 {
		t.Errorf("%d bytes of wrong pieces count as delivered", n)
	}
}

func TestWrongSmallBlobs(t *testing.T) {
	t.Parallel()
	b := newBetween(t, testnet.Image{Seed: 11, Layers: []int64{20 << 10, 100}})
	b.hostile.Mimic(b.publisher)
	honest := b.publisher.Exchange().Operations()
	b.hostile.Answer(exchange.OpBlob, func(req []byte) ([]byte, error) {
		for _, op := range honest {
			if op.Name == exchange.OpBlob {
				right, err := op.Answer(t.Context(), b.hostile.ID(), req)
				return bytes.Repeat([]byte("x"), len(right)), err
			}
		}
		return nil, errors.New("no such operation")
	})
	b.fetchDespite(t, "wrong piece")
}

// A holder that has the right info dict's hash to give, but answers with the
// dict of another torrent.
func TestInfoDictOfAnotherTorrent(t *testing.T) {
	t.Parallel()
	b := newBetween(t, testnet.Image{Seed: 12, Layers: []int64{2 << 20}})
	other := bytes.Repeat([]byte("other"), 1<<20)[:2<<20]
	info, _, err := swarm.BuildLayer(t.Context(), digest.FromBytes(other).Encoded(), int64(len(other)), bytes.NewReader(other))
	if err != nil {
		t.Fatal(err)
	}
	for ih := range b.publisher.Torrents("me/app:1.0") {
		b.hostile.Share(ih, testnet.Torrent{Info: info, Files: []swarm.Source{{Size: int64(len(other)), Data: other}}})
	}
	out := filepath.Join(t.TempDir(), "out")
	wait := b.victim.FetchLater(testnet.BareMagnet(t, b.published.Magnet), "oci:"+out)
	testnet.Await(t, "the hostile peer to be asked", func() bool { return b.hostile.Asked("stream") > 0 })
	b.Heal(b.publisher, b.victim)
	if _, err := wait(); err != nil {
		t.Fatal(err)
	}
	testnet.SameLayout(t, b.layout, out)
}

// A holder that answers with garbage where it is asked for the image's info dict.
func TestWrongImageInfo(t *testing.T) {
	t.Parallel()
	b := newBetween(t, testnet.Image{Seed: 18, Layers: []int64{2 << 20}})
	b.hostile.Mimic(b.publisher)
	b.hostile.Answer(exchange.OpInfo, func([]byte) ([]byte, error) { return []byte("d6:lengthi1ee"), nil })
	b.fetchDespite(t, "wrong piece")
}

// An author signs an image torrent whose hashes are not those of its bytes. Who
// derives it, because no holder gives its info dict, refuses the release.
func TestWrongHashesInImageTorrent(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Start()
	victim, hostile := net.Node(0), net.Hostile()
	offer := testnet.NewOffer(t, testnet.Image{Seed: 19, Layers: []int64{1 << 20}}.Lay(t), "app:1.0", nil).LieAboutImage()
	history := testnet.NewAuthor(t).History()
	history.Serve(hostile, history.Release(offer.Release))
	offer.Serve(hostile)
	hostile.Answer(exchange.OpInfo, func([]byte) ([]byte, error) { return nil, p2p.ErrNotFound })
	hostile.Connect(victim)

	if text := victim.Refuses(offer.Magnet(), ledger.RuleContent); !strings.Contains(text, "other torrents") {
		t.Errorf("the verdict says %q", text)
	}
}

// The info dict of an image torrent is told to peers while the image is held.
func TestImageInfoIsTold(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	pub := net.Node(0).Publish("app:1.0", testnet.Image{Seed: 20, Layers: []int64{1 << 20}})
	ih := testnet.InfohashOf(t, pub.Magnet)
	ask := func(ih string) ([]byte, error) {
		return net.Node(1).Host().Request(t.Context(), net.Node(0).ID(), exchange.OpInfo, []byte(`{"infohash":"`+ih+`"}`))
	}
	if info, err := ask(ih.String()); err != nil || swarm.InfohashOf(info) != ih {
		t.Errorf("the info dict: %d bytes, %v", len(info), err)
	}
	for _, other := range []string{strings.Repeat("ab", 20), "x", ""} {
		if info, err := ask(other); err == nil {
			t.Errorf("the info dict of %q: %d bytes", other, len(info))
		}
	}
}

// Right pieces of a wrong blob: an author signs a torrent whose pieces all
// verify, of bytes that are not those of the digest in the manifest.
func TestRightPiecesOfAWrongBlob(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int64{"by torrent": 1 << 20, "directly": 10 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			net := testnet.New(t, 1).Start()
			victim, hostile := net.Node(0), net.Hostile()
			layout := testnet.Image{Seed: 13, Layers: []int64{size}}.Lay(t)
			offer := testnet.NewOffer(t, layout, "trojan:1.0", func(_ digest.Digest, b []byte) []byte {
				return bytes.ToUpper(bytes.Repeat([]byte("evil"), len(b)/4+1))[:len(b)]
			})
			author := testnet.NewAuthor(t)
			history := author.History()
			history.Serve(hostile, history.Release(offer.Release))
			offer.Serve(hostile)
			hostile.Connect(victim)

			if size > 64<<10 {
				if text := victim.Refuses(offer.Magnet(), ledger.RuleContent); !strings.Contains(text, "digest") && !strings.Contains(text, "sha256") {
					t.Errorf("the verdict says %q", text)
				}
			} else {
				ctx, cancel := testnet.Deadline(t)
				defer cancel()
				if _, err := victim.Exchange().Fetch(ctx, exchange.FetchRequest{Target: offer.Magnet(), Timeout: testnet.Short}, nil); err == nil {
					t.Error("accepted a blob that is not what its manifest names")
				}
			}
			testnet.WholeBlobs(t, victim.Home())
			for d := range layout.Blobs {
				if layout.Blobs[d] == size {
					if _, err := victim.Exchange().Blobs.Stat(d); err == nil {
						t.Errorf("the wrong bytes are kept as %s", d)
					}
				}
			}
			if s, err := victim.Exchange().Status(t.Context()); err != nil || s.Images != 0 {
				t.Errorf("the victim holds %d images (%v)", s.Images, err)
			}
		})
	}
}
