package main_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/p2p/swarm"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// DHT keys, as package exchange specifies them.
func imageKey(ih swarm.Infohash) []byte { return []byte("/image/" + ih.String()) }

func recordKey(ih swarm.Infohash, a ledger.AuthorID) string {
	return "/release/" + ih.String() + "/" + string(a)
}

// An author puts the infohash of somebody else's image on a release of its own.
// Who fetches that link must get the image that hashes to it.
func TestSquattedInfohash(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	publisher, victim := net.Node(0), net.Node(1)
	layout := testnet.Image{Seed: 14, Layers: []int64{200 << 10}}.Lay(t)
	pub := publisher.PublishLayout("app:1.0", layout)
	ih := testnet.InfohashOf(t, pub.Magnet)

	hostile := net.Hostile()
	offer := testnet.NewOffer(t, testnet.Image{Seed: 15, Layers: []int64{200 << 10}}.Lay(t), "app:1.0", nil).Squat(ih.String())
	history := testnet.NewAuthor(t).History()
	release := history.Release(offer.Release)
	history.Serve(hostile, release)
	offer.Serve(hostile)
	hostile.Connect(victim).Connect(publisher).Claim(imageKey(ih)).Gossip(release.Encode())
	victim.AwaitSearch("app", offer.Release.Image.Digest.String())
	victim.AwaitSearch("app", pub.Digest)

	out := filepath.Join(t.TempDir(), "out")
	got := victim.FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	if got.Digest != pub.Digest {
		t.Errorf("the link led to %s, want %s", got.Digest, pub.Digest)
	}
	testnet.SameLayout(t, layout, out)

	// Asked for by name, the squatter's own release is refused and says why.
	name := string(release.Author()) + "/app:1.0"
	_, err := victim.TryFetch(name, "")
	testnet.Accused(t, err, ledger.RuleContent)
}

// Many authors put the infohash of somebody else's image on releases of content
// that nobody has. Who fetches that link is held up, and gets the image.
func TestSquattersWithoutContent(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	publisher, victim := net.Node(0), net.Node(1)
	layout := testnet.Image{Seed: 17, Layers: []int64{200 << 10}}.Lay(t)
	pub := publisher.PublishLayout("app:1.0", layout)
	victim.AwaitSearch("app", pub.Digest)
	hostile := net.Hostile().Connect(victim).Connect(publisher)
	for i := range 2 {
		squat := testnet.Invent("squat", string(rune('a'+i)))
		squat.Infohash = testnet.InfohashOf(t, pub.Magnet).String()
		history := testnet.NewAuthor(t).History()
		release := history.Release(squat)
		history.Serve(hostile, release)
		hostile.Gossip(release.Encode())
		victim.AwaitSearch("squat", squat.Image.Digest.String())
	}
	out := filepath.Join(t.TempDir(), "out")
	got := victim.FetchTo(testnet.BareMagnet(t, pub.Magnet), "oci:"+out)
	if got.Digest != pub.Digest {
		t.Errorf("the link led to %s, want %s", got.Digest, pub.Digest)
	}
	testnet.SameLayout(t, layout, out)
}

// A DHT record under somebody else's key is stored by nobody.
func TestRecordForSomebodyElsesInfohash(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 4).Start().Connect().AwaitPeers(3)
	pub := net.Node(0).Publish("app:1.0", testnet.Image{Seed: 16, Layers: []int64{1000}})
	ih, author := testnet.InfohashOf(t, pub.Magnet), ledger.AuthorID(pub.Author)

	hostile := net.Hostile()
	for _, n := range net.Nodes() {
		hostile.Connect(n)
	}
	foreign := testnet.NewAuthor(t).History().Release(testnet.Invent("evil", "1"))
	key := recordKey(ih, author)
	before := refusedRecords(net)
	for _, value := range [][]byte{foreign.Encode(), []byte("garbage"), bytes.Repeat([]byte("x"), 200<<10)} {
		// That it is refused by everybody is an error for who put it.
		_ = hostile.Host.PutValue(t.Context(), key, value)
	}
	testnet.Await(t, "the nodes to refuse the record", func() bool { return refusedRecords(net) >= before+3 })

	testnet.AwaitNil(t, "the publisher's own record to be found", func() error {
		b, err := net.Node(3).Host().GetValue(t.Context(), key)
		if err != nil {
			return err
		}
		p, err := ledger.DecodeProved(b)
		if err != nil || p.Author() != author {
			t.Fatalf("the record under the publisher's key is %.80q (%v)", b, err)
		}
		return nil
	})
	if got := net.Node(3).Fetch(testnet.BareMagnet(t, pub.Magnet) + "&x.author=" + pub.Author); got.Digest != pub.Digest {
		t.Errorf("fetched %s, want %s", got.Digest, pub.Digest)
	}
}

func refusedRecords(net *testnet.Net) (n uint64) {
	for _, nd := range net.Nodes() {
		n += nd.Host().Stats().RecordsRefused
	}
	return n
}
