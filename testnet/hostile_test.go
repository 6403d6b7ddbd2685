package main_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// DHT keys, as package exchange specifies them.
func imageKey(ih swarm.Infohash) []byte { return []byte("/image/" + ih.String()) }

func recordKey(ih swarm.Infohash, a ledger.AuthorID) string {
	return "/release/" + ih.String() + "/" + string(a)
}

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

// line is a hostile peer, a node that hears it, and a node behind that one which
// must hear nothing of it.
type line struct {
	*testnet.Net
	front, behind *testnet.Node
	hostile       *testnet.Hostile
}

func newLine(t *testing.T) *line {
	t.Helper()
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	l := &line{net, net.Node(0), net.Node(1), net.Hostile()}
	net.CutPeer(l.behind, l.hostile.ID()) // or the DHT would bring them together
	l.hostile.Connect(l.front)
	return l
}

// heard is how many messages of gossip reached a node.
func heard(n *testnet.Node) uint64 {
	s := n.Host().Stats()
	return s.GossipAccepted + s.GossipIgnored + s.GossipRejected
}

func brokenSignature(t *testing.T, p *ledger.Proved) []byte {
	t.Helper()
	var envelope struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   []byte `json:"sig"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(p.Entry, &envelope); err != nil {
		t.Fatal(err)
	}
	envelope.Signatures[0].Sig[10] ^= 1
	leaf, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	broken := *p
	broken.Entry = leaf
	return broken.Encode()
}

func TestBrokenSignature(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	history := testnet.NewAuthor(t).History()
	release := testnet.Invent("forged", "1")
	broken := brokenSignature(t, history.Release(release))

	// Asked for, it is refused, and the verdict says what is wrong.
	l.hostile.Answer(exchange.OpReleases, func([]byte) ([]byte, error) { return testnet.EncodeReleases(broken), nil })
	text := l.front.Refuses("magnet:?xt=urn:btih:"+release.Infohash, ledger.RuleSigned)
	if !strings.Contains(text, "signature") {
		t.Errorf("the verdict says %q", text)
	}
	l.front.AwaitReason(l.hostile.ID(), "bad signature")

	// Gossiped, it is refused and goes no further.
	before := l.front.Host().Stats().GossipRejected
	l.hostile.Gossip(broken)
	testnet.Await(t, "the entry to be refused", func() bool { return l.front.Host().Stats().GossipRejected > before })
	l.hearNothing(t, release)
}

// hearNothing wants that neither node knows the release, and that no gossip but
// honest one came through.
func (l *line) hearNothing(t *testing.T, release ledger.Release) {
	t.Helper()
	l.flushed(t)
	if n := heard(l.behind); n > 1 {
		t.Errorf("the node behind heard %d messages, one was honest", n)
	}
	for _, n := range []*testnet.Node{l.front, l.behind} {
		if n.Finds(release.Repo, release.Image.Digest.String()) {
			t.Errorf("%s has a release that was refused", n)
		}
	}
}

// flushed waits until an honest release has gone through the line.
func (l *line) flushed(t *testing.T) {
	t.Helper()
	pub := l.front.Publish("honest:1.0", testnet.Image{Seed: 99, Layers: []int64{10}})
	l.behind.AwaitSearch("honest", pub.Digest)
	testnet.Await(t, "gossip to come through", func() bool { return heard(l.behind) > 0 })
}

func TestGarbageGossip(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	noise := make([]byte, 1000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for i, b := range [][]byte{noise, []byte("x"), []byte(`{"inception":`), []byte("null"), bytes.Repeat([]byte("["), 200<<10)} {
		// One such message and nobody listens to its sender any more.
		hostile := l.Hostile()
		l.CutPeer(l.behind, hostile.ID())
		before := l.front.Host().Stats().GossipRejected
		hostile.Connect(l.front).Gossip(b)
		testnet.Await(t, "garbage to be refused", func() bool { return l.front.Host().Stats().GossipRejected > before })
		if i == 0 { // the others may have been heard through this one
			l.front.AwaitReason(hostile.ID(), "bad signature")
		}
	}
	l.hearNothing(t, testnet.Invent("none", "1"))
}

func TestForkedLog(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	author := testnet.NewAuthor(t)
	first, second := author.History(), author.History()
	known := first.Release(testnet.Invent("app", "1"))
	first.Release(testnet.Invent("app", "2"))
	other := testnet.Invent("app", "1-forked")
	forked := second.Release(other)

	first.Serve(l.hostile)
	l.hostile.Gossip(known.Encode())
	for _, n := range []*testnet.Node{l.front, l.behind} {
		n.AwaitSearch("app", testnet.Invent("app", "2").Image.Digest.String())
	}
	// The same author's other history, as short as what is known and longer.
	second.Serve(l.hostile, forked)
	l.hostile.Gossip(forked.Encode())
	for _, n := range []*testnet.Node{l.front, l.behind} { // the one behind hears of the proof alone
		awaitFrozen(t, n, author.ID)
	}

	text := l.front.Refuses("magnet:?xt=urn:btih:"+other.Infohash, ledger.RuleGrown)
	if !strings.Contains(text, "two histories") || !strings.Contains(text, "frozen") {
		t.Errorf("the verdict says %q", text)
	}
	second.Release(testnet.Invent("app", "2-forked"))
	second.Release(testnet.Invent("app", "3-forked"))
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	err := l.front.Exchange().CatchUp(ctx, author.ID, l.hostile.ID())
	if !errors.Is(err, ledger.ErrFork) {
		t.Errorf("catching up with a forked log that is longer: %v", err)
	}
	l.keeps(t, author, 3, other, testnet.Invent("app", "2-forked"))
}

// keeps wants that both nodes have so many entries of an author's log, and none
// of the releases.
func (l *line) keeps(t *testing.T, a *testnet.Author, size uint64, not ...ledger.Release) {
	t.Helper()
	for _, n := range []*testnet.Node{l.front, l.behind} {
		head, err := n.Exchange().Ledger.Head(a.ID)
		if err != nil || head.Size != size {
			t.Errorf("%s has %d entries of the log (%v), want %d", n, head.Size, err, size)
		}
		for _, r := range not {
			if n.Finds(r.Repo, r.Image.Digest.String()) {
				t.Errorf("%s has a release of another history", n)
			}
		}
	}
}

func TestShrinkingLog(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	author := testnet.NewAuthor(t)
	history := author.History()
	history.Release(testnet.Invent("app", "1"))
	short, err := history.Head(author.ID)
	if err != nil {
		t.Fatal(err)
	}
	last := history.Release(testnet.Invent("app", "2"))
	history.Serve(l.hostile)
	l.hostile.Gossip(last.Encode())
	for _, n := range []*testnet.Node{l.front, l.behind} {
		n.AwaitSearch("app", digestOf(t, last))
	}

	// It claims more entries and has fewer than before, under a checkpoint that
	// the author did sign once.
	leaves, err := history.Range(t.Context(), author.ID, 0, 3, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string][]byte{
		"an older checkpoint":                testnet.EncodeLog(2, nil, short.Checkpoint),
		"an older checkpoint, claiming more": testnet.EncodeLog(9, nil, short.Checkpoint),
		"entries past an older checkpoint":   testnet.EncodeLog(2, leaves[2:], short.Checkpoint),
		"entries from elsewhere":             testnet.EncodeLog(2, leaves[1:2], short.Checkpoint),
	} {
		l.hostile.Answer(exchange.OpLog, func([]byte) ([]byte, error) { return answer, nil })
		ctx, cancel := testnet.Deadline(t)
		err := l.front.Exchange().CatchUp(ctx, author.ID, l.hostile.ID())
		cancel()
		t.Logf("%s: %v", name, err)
		l.keeps(t, author, 3)
	}
	l.front.AwaitReason(l.hostile.ID(), "did not deliver what it announced")
	if !l.front.Finds("app", digestOf(t, last)) {
		t.Error("the latest release is lost")
	}
}

func digestOf(t *testing.T, p *ledger.Proved) string {
	t.Helper()
	e, _, err := p.Verify()
	if err != nil {
		t.Fatal(err)
	}
	return e.Release.Image.Digest.String()
}

func TestEntriesOfAMegabyte(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	author := testnet.NewAuthor(t)
	history := author.History()
	release := testnet.Invent("huge", "1")
	proved := history.Release(release)
	huge := bytes.Repeat([]byte("a"), 1<<20)

	l.hostile.Answer(exchange.OpReleases, func([]byte) ([]byte, error) {
		return testnet.EncodeReleases([]byte(`"` + string(huge) + `"`)), nil
	})
	l.hostile.Answer(exchange.OpReconcile, testnet.AnswerHead(author.ID, 2, tlog.Hash{}))
	l.hostile.Answer(exchange.OpLog, func([]byte) ([]byte, error) {
		return testnet.EncodeLog(2, [][]byte{proved.Inception, huge[:ledger.MaxLeaf]}, proved.Checkpoint), nil
	})
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	_, err := l.front.Exchange().Fetch(ctx, exchange.FetchRequest{
		Target: "magnet:?xt=urn:btih:" + release.Infohash, Timeout: testnet.Short,
	}, nil)
	if !errors.Is(err, exchange.ErrTimeout) {
		t.Errorf("fetching what only a huge answer names: %v, want %v", err, exchange.ErrTimeout)
	}
	l.front.AwaitReason(l.hostile.ID(), "did not deliver what it announced")
	if err := l.front.Exchange().CatchUp(ctx, author.ID, l.hostile.ID()); err == nil {
		t.Error("a log with an entry of a megabyte was accepted")
	}
	if _, err := l.front.Exchange().Ledger.Head(author.ID); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("something of that log is here: %v", err)
	}
	l.hearNothing(t, release)
}

// A peer that lies about its logs in the comparison is found out, and the others
// are heard all the same.
func TestGarbageInComparison(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	hostile := l.Hostile()
	l.CutPeer(l.behind, hostile.ID())
	hostile.Answer(exchange.OpReconcile, func([]byte) ([]byte, error) { return []byte("\x01garbage"), nil })
	hostile.Connect(l.front)
	l.front.AwaitReason(hostile.ID(), "did not deliver what it announced")
	l.flushed(t)
}
