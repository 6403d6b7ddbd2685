package main_test

import (
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// awaitFrozen waits until a node has frozen the log of an author, and checks
// what it keeps as the proof.
func awaitFrozen(t *testing.T, n *testnet.Node, author ledger.AuthorID) {
	t.Helper()
	var f ledger.Fault
	testnet.AwaitNil(t, n.String()+" to freeze the log", func() (err error) {
		f, err = n.Exchange().Ledger.Fault(author)
		return err
	})
	if f.Kind != ledger.FaultFork {
		t.Errorf("%s froze the log for %q", n, f.Kind)
	}
	p, err := evidence.Decode(f.Evidence)
	if err != nil {
		t.Fatalf("%s keeps evidence that does not decode: %v", n, err)
	}
	if fork, err := p.Verify(); err != nil || fork.Author != author {
		t.Errorf("%s keeps evidence that convicts nobody: %v", n, err)
	}
}

// A fork that one node of twenty saw is proven to all of them, and to those that
// come later.
func TestThreatEquivocationBelowQuorum(t *testing.T) {
	t.Parallel()
	size := 20
	if testing.Short() {
		size = 6
	}
	net := testnet.New(t, size).Start().Connect().AwaitPeers(testnet.Neighbours)
	author := testnet.NewAuthor(t)
	first, second := author.History(), author.History()
	known := first.Release(testnet.Invent("app", "1"))
	witness := net.Hostile()
	first.Serve(witness)
	witness.Connect(net.Node(0)).Gossip(known.Encode())
	for _, n := range net.Nodes() {
		n.AwaitSearch("app", testnet.Invent("app", "1").Image.Digest.String())
	}

	// The other history is longer, and only the last node is shown it.
	second.Release(testnet.Invent("app", "1-forked"))
	second.Release(testnet.Invent("app", "2-forked"))
	liar := net.Hostile()
	for _, n := range net.Nodes()[:size-1] {
		net.CutPeer(n, liar.ID())
	}
	second.Serve(liar)
	liar.Connect(net.Node(size - 1))
	for _, n := range net.Nodes() {
		awaitFrozen(t, n, author.ID)
		if head, err := n.Exchange().Ledger.Head(author.ID); err != nil || head.Size != 2 {
			t.Errorf("%s has %d entries of the frozen log (%v)", n, head.Size, err)
		}
	}

	late := net.Add(net.Node(1))
	net.CutPeer(late, liar.ID())
	awaitFrozen(t, late, author.ID)
}

// Nothing that can be made up about an author of one history freezes its log.
func TestThreatFalseForkProofIsRefused(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	author := testnet.NewAuthor(t)
	history := author.History()
	old := history.Release(testnet.Invent("app", "1"))
	last := history.Release(testnet.Invent("app", "2"))
	history.Serve(l.hostile)
	l.hostile.Gossip(last.Encode())
	for _, n := range []*testnet.Node{l.front, l.behind} {
		n.AwaitSearch("app", testnet.Invent("app", "2").Image.Digest.String())
	}
	forged := brokenSignature(t, old)
	broken, err := ledger.DecodeProved(forged)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*evidence.Proof{
		"an older checkpoint":    {Proved: last, Checkpoint: old.Checkpoint},
		"two entries of one log": {Proved: last, Other: old},
		"a forged entry":         {Proved: last, Other: broken},
		"another author":         {Proved: last, Other: testnet.NewAuthor(t).History().Release(testnet.Invent("app", "1"))},
	} {
		b, err := p.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		accuse(t, l, b)
	}
	accuse(t, l, []byte("garbage"))
	accuse(t, l, last.Encode()) // the right state
	for _, n := range []*testnet.Node{l.front, l.behind} {
		if f, err := n.Exchange().Ledger.Fault(author.ID); err == nil {
			t.Errorf("%s froze an honest log: %s", n, f.Kind)
		}
	}
	release := history.Release(testnet.Invent("app", "3"))
	teller := l.Hostile()
	history.Serve(teller)
	teller.Connect(l.front).Gossip(release.Encode())
	l.behind.AwaitSearch("app", testnet.Invent("app", "3").Image.Digest.String())
}

// accuse brings evidence to the front node by a peer of its own, since one that
// was refused is not heard again.
func accuse(t *testing.T, l *line, b []byte) {
	t.Helper()
	h := l.Hostile()
	l.CutPeer(l.behind, h.ID())
	before := l.front.Host().Stats().EvidenceRejected
	h.Connect(l.front).Accuse(b)
	testnet.Await(t, "the evidence to be refused", func() bool { return l.front.Host().Stats().EvidenceRejected > before })
}
