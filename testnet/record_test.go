package main_test

import (
	"testing"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// An author shows one history to the network, and puts another into the DHT,
// where one node comes upon it: that is evidence, and all freeze the log.
func TestForkedRecordConvicts(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 4).Start().Connect().AwaitPeers(3)
	author := testnet.NewAuthor(t)
	first, second := author.History(), author.History()
	shown := first.Release(testnet.Invent("app", "1"))
	teller := net.Hostile()
	first.Serve(teller)
	teller.Connect(net.Node(0)).Gossip(shown.Encode())
	for _, n := range net.Nodes() {
		n.AwaitSearch("app", testnet.Invent("app", "1").Image.Digest.String())
	}
	hidden := testnet.Invent("app", "forked")
	record := second.Release(hidden)
	forker := net.Hostile()
	for _, n := range net.Nodes()[1:] {
		net.CutPeer(n, forker.ID())
	}
	forker.Connect(net.Node(0))
	// That it is refused is an error for who put it.
	_ = forker.Host.PutValue(t.Context(), "/release/"+hidden.Infohash+"/"+string(author.ID), record.Encode())
	for _, n := range net.Nodes() {
		awaitFrozen(t, n, author.ID)
	}
}
