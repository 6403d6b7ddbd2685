package main_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

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
