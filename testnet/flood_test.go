package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// A hundred entries of a flood for each honest one: all the honest ones get
// through, and of the flood no more than its peer's limits let in.
func TestThreatLedgerSpam(t *testing.T) {
	t.Parallel()
	const honest, authors, each = 8, 16, 50 // 800 entries of the flood
	const burst, begun = 100, 4
	net := testnet.New(t, 2).Configure(func(_ int, cfg *node.Config) {
		cfg.Quota.PeerEntries = quota.Rate{PerSecond: 0.001, Burst: burst}
		cfg.Quota.PeerAuthors = quota.Rate{PerSecond: 0.001, Burst: begun}
	}).Start().Connect().AwaitPeers(1)
	front, friend := net.Node(0), net.Node(1)
	first := friend.Publish("first:1.0", testnet.Image{Seed: 699, Layers: []int64{10}})
	front.AwaitSearch("first", first.Digest)
	flood := net.Hostile()
	net.CutPeer(friend, flood.ID())
	flood.Connect(front)
	var junk [][]byte
	for range authors {
		history := testnet.NewAuthor(t).History()
		history.Serve(flood)
		for i := range each {
			junk = append(junk, history.Release(testnet.Invent("junk", fmt.Sprint(i))).Encode())
		}
	}
	for i := range honest {
		for _, b := range junk[i*len(junk)/honest : (i+1)*len(junk)/honest] {
			flood.Gossip(b)
		}
		pub := friend.Publish(fmt.Sprintf("honest%d:1.0", i), testnet.Image{Seed: uint64(700 + i), Layers: []int64{10}})
		front.AwaitSearch(fmt.Sprintf("honest%d", i), pub.Digest)
	}
	testnet.Await(t, "the flood to be refused", func() bool {
		return front.Exchange().QuotaStats().Refused[quota.PeerEntries] > 0
	})
	s := front.Exchange().QuotaStats()
	// Each of the two peers has its limits: the friend may pass some of the flood on.
	if s.Heard.Entries > 2*burst || s.Begun > 2*begun {
		t.Errorf("%d entries were heard and %d logs asked for, two peers may have %d and %d of them", s.Heard.Entries, s.Begun, burst, begun)
	}
	if n := front.Exchange().Limits().Authors; n > 2*begun {
		t.Errorf("%d logs are kept", n)
	}
}

// A peer whose entries do not verify is not heard any more, and others are.
func TestForgersAreGraylisted(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	history := testnet.NewAuthor(t).History()
	for _, tag := range []string{"1", "2", "3"} {
		l.hostile.Gossip(brokenSignature(t, history.Release(testnet.Invent("app", tag))))
	}
	testnet.Await(t, "the forger to be graylisted", func() bool { return l.front.Host().Stats().Graylisted == 1 })
	pub := l.behind.Publish("honest:1.0", testnet.Image{Seed: 710, Layers: []int64{10}})
	l.front.AwaitSearch("honest", pub.Digest)
	if !strings.Contains(metricsOf(t, l.front), "dockchain_gossip_graylisted 1") {
		t.Error("the metrics do not tell of it")
	}
}

// Who vouches for itself with a thousand names gains nothing; whom somebody known
// vouches for is let in.
func TestVouchesOfThoseKnownHereCount(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Start()
	front := net.Node(0)
	teller := net.Hostile().Connect(front)
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	take := func(h *testnet.History, a *testnet.Author) error {
		h.Serve(teller)
		return front.Exchange().CatchUp(ctx, a.ID, teller.ID())
	}
	idler := testnet.Idler(t)
	release := idler.History()
	proved := release.Release(testnet.Invent("idle", "1"))
	refused := func(after string) {
		t.Helper()
		if err := take(release, idler); err == nil || !strings.Contains(err.Error(), exchange.ErrOverQuota.Error()+": the inception of this author has 0 bits") {
			t.Errorf("%s: %v", after, err)
		}
	}
	refused("at first")
	for range 3 {
		sybil := testnet.NewAuthor(t)
		vouching := sybil.History()
		vouching.Vouch(idler.ID)
		if err := take(vouching, sybil); err != nil {
			t.Fatal(err)
		}
	}
	refused("after vouches of strangers")
	if _, err := front.Exchange().Log(ctx, exchange.LogRequest{Author: string(idler.ID)}); err == nil || !strings.Contains(err.Error(), "over quota") {
		t.Errorf("a person is told %v", err)
	}

	friend := testnet.NewAuthor(t)
	if err := front.Exchange().SetAlias(ctx, exchange.Alias{Name: "friend", Author: string(friend.ID)}); err != nil {
		t.Fatal(err)
	}
	vouching := friend.History()
	vouching.Vouch(idler.ID)
	if err := take(vouching, friend); err != nil {
		t.Fatal(err)
	}
	if err := take(release, idler); err != nil {
		t.Errorf("after a friend's vouch: %v", err)
	}
	front.AwaitSearch("idle", digestOf(t, proved))
}

// All logs together have a bound. Who has worked more takes the place of who has
// worked less, and nobody that of an author with a name here.
func TestAllLogsAreBounded(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) {
		cfg.Quota.Total = quota.Total{Authors: 2, Bytes: 1 << 30}
	}).Start()
	front := net.Node(0)
	teller := net.Hostile().Connect(front)
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	take := func(repo string, a *testnet.Author) error {
		h := a.History()
		h.Release(testnet.Invent(repo, "1"))
		h.Serve(teller)
		return front.Exchange().CatchUp(ctx, a.ID, teller.ID())
	}
	finds := func(repo string) bool { return front.Finds(repo, testnet.Invent(repo, "1").Image.Digest.String()) }
	named, other, late, worker := testnet.NewAuthor(t), testnet.NewAuthor(t), testnet.NewAuthor(t), testnet.NewWorker(t, quota.DefaultWorkBits+1)
	if err := front.Exchange().SetAlias(ctx, exchange.Alias{Name: "named", Author: string(named.ID)}); err != nil {
		t.Fatal(err)
	}
	for repo, a := range map[string]*testnet.Author{"named": named, "other": other} {
		if err := take(repo, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := take("late", late); err == nil || !strings.Contains(err.Error(), "2 authors have logs here") {
		t.Errorf("a third log: %v", err)
	}
	if err := take("worker", worker); err != nil {
		t.Errorf("one with more work: %v", err)
	}
	if !finds("named") || finds("other") || finds("late") || !finds("worker") {
		t.Errorf("named %v, other %v, late %v, worker %v", finds("named"), finds("other"), finds("late"), finds("worker"))
	}
	got := front.Exchange().Limits()
	if got.Authors != 2 || got.GivenUp != 1 || got.Refused["total_authors"] != 1 {
		t.Errorf("%+v", got)
	}
	restarted := front.Restart()
	if after := restarted.Exchange().Limits(); after.Authors != 2 || after.Bytes != got.Bytes {
		t.Errorf("after a restart %+v, before %+v", after, got)
	}
	metrics := metricsOf(t, restarted)
	for _, want := range []string{`dockchain_quota_limit{limit="total_authors"} 2`, fmt.Sprintf("dockchain_ledger_bytes %d", got.Bytes), "dockchain_ledger_others 2"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not say %s", want)
		}
	}
}
