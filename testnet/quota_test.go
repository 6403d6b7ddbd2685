package main_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// Nobody keeps the log of an author who has not worked for it, unless the user
// of the node knows the author.
func TestAuthorWithoutWork(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	author := testnet.Idler(t)
	history := author.History()
	release := history.Release(testnet.Invent("idle", "1"))
	history.Serve(l.hostile)
	before := l.front.Host().Stats().GossipIgnored
	l.hostile.Gossip(release.Encode())
	testnet.Await(t, "the entry to be ignored", func() bool { return l.front.Host().Stats().GossipIgnored > before })
	l.hearNothing(t, testnet.Invent("idle", "1"))
	if n := l.front.Exchange().QuotaStats().Refused[quota.TooLittleWork]; n == 0 {
		t.Error("no limit refused it")
	}
	metrics := metricsOf(t, l.front)
	if !strings.Contains(metrics, `dockchain_quota_refused_total{limit="work"}`) {
		t.Error("the metrics do not say what limits refused")
	}

	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	if err := l.front.Exchange().SetAlias(ctx, exchange.Alias{Name: "friend", Author: string(author.ID)}); err != nil {
		t.Fatal(err)
	}
	if err := l.front.Exchange().CatchUp(ctx, author.ID, l.hostile.ID()); err != nil {
		t.Errorf("catching up with a friend: %v", err)
	}
	l.front.AwaitSearch("idle", digestOf(t, release))
}

func metricsOf(t *testing.T, n *testnet.Node) string {
	t.Helper()
	resp, err := http.Get("http://" + n.Addresses().API + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// An author gets no more room than its work has earned, whichever way it comes,
// and others are not held up.
func TestRoomOfAnAuthor(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 2).Configure(func(_ int, cfg *node.Config) {
		cfg.Quota.Base = quota.Room{Entries: 5, Bytes: 1 << 20}
	}).Start().Connect().AwaitPeers(1)
	author := testnet.NewAuthor(t)
	history := author.History()
	var last *ledger.Proved
	for _, tag := range []string{"1", "2", "3", "4"} {
		last = history.Release(testnet.Invent("app", tag))
	}
	hostile := net.Hostile()
	history.Serve(hostile)
	hostile.Connect(net.Node(0)).Connect(net.Node(1)).Gossip(last.Encode())
	for _, n := range net.Nodes() {
		n.AwaitSearch("app", digestOf(t, last))
	}
	history.Release(testnet.Invent("app", "5"))
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	if err := net.Node(0).Exchange().CatchUp(ctx, author.ID, hostile.ID()); err == nil || !strings.Contains(err.Error(), "may have 5") {
		t.Errorf("catching up beyond the room: %v", err)
	}
	pub := net.Node(1).Publish("honest:1.0", testnet.Image{Seed: 3, Layers: []int64{10}})
	net.Node(0).AwaitSearch("honest", pub.Digest)
	if head, err := net.Node(0).Exchange().Ledger.Head(author.ID); err != nil || head.Size != 5 {
		t.Errorf("%d entries are kept (%v), want 5", head.Size, err)
	}
}

// A peer that sends more than its rate is not listened to for the rest.
func TestRateOfAPeer(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) {
		cfg.Quota.PeerEntries = quota.Rate{PerSecond: 0.001, Burst: 2}
	}).Start()
	hostile := net.Hostile().Connect(net.Node(0))
	for _, tag := range []string{"1", "2", "3", "4"} {
		history := testnet.NewAuthor(t).History()
		release := history.Release(testnet.Invent("app", tag))
		hostile.Gossip(release.Encode())
	}
	testnet.Await(t, "the rest to be ignored", func() bool {
		return net.Node(0).Exchange().QuotaStats().Refused[quota.PeerEntries] == 2
	})
}
