package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

const (
	forkNodes  = 20
	forkKnown  = 19 // of the nodes
	forkRounds = 3
	// forkPoll is how often the nodes are looked at.
	forkPoll = 5 * time.Millisecond
)

// forks measures the time from the moment that a peer with a second history of
// a log begins to connect to one node of twenty, until nineteen of them have
// frozen the log and keep the proof. The nodes are whole ones, each connected to
// the four before it, in one process; they have the first history.
func forks(ctx context.Context, dir string) (series, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Setenv("TMPDIR", dir); err != nil { // where the harness keeps the nodes' data
		return nil, err
	}
	s := series{}
	err := onStage(ctx, func(t testing.TB) {
		net := testnet.New(t, forkNodes).Start().Connect().AwaitPeers(testnet.Neighbours)
		for round := range forkRounds {
			s.add("known", fork(t, net, fmt.Sprintf("app%d", round)).Seconds())
		}
	})
	return s, err
}

// fork lets a new author sign two histories.
func fork(t testing.TB, net *testnet.Net, repo string) time.Duration {
	author := testnet.NewAuthor(t)
	first, second := author.History(), author.History()
	known := first.Release(testnet.Invent(repo, "1"))
	witness := net.Hostile()
	first.Serve(witness)
	witness.Connect(net.Node(0)).Gossip(known.Encode())
	have := func(n *testnet.Node) bool {
		head, err := n.Exchange().Ledger.Head(author.ID)
		return err == nil && head.Size == first.Size()
	}
	testnet.Await(t, "all nodes to have the log", func() bool { return count(net.Nodes(), have) == forkNodes })

	second.Release(testnet.Invent(repo, "1-forked"))
	second.Release(testnet.Invent(repo, "2-forked"))
	liar := net.Hostile()
	for _, n := range net.Nodes()[:forkNodes-1] {
		net.CutPeer(n, liar.ID())
	}
	second.Serve(liar)
	frozen := func(n *testnet.Node) bool {
		_, err := n.Exchange().Ledger.Fault(author.ID)
		return err == nil
	}
	start := time.Now()
	took := make(chan time.Duration, 1)
	go func() {
		for time.Since(start) < testnet.Patience && count(net.Nodes(), frozen) < forkKnown {
			time.Sleep(forkPoll)
		}
		took <- time.Since(start)
	}()
	liar.Connect(net.Node(forkNodes - 1))
	d := <-took
	if n := count(net.Nodes(), frozen); n < forkKnown {
		t.Fatalf("%d of %d nodes know the fork after %s", n, forkNodes, d)
	}
	return d
}

func count[T any](all []T, is func(T) bool) int {
	n := 0
	for _, v := range all {
		if is(v) {
			n++
		}
	}
	return n
}
