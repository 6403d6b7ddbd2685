package main_test

import (
	"errors"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// awaitFault waits until a node has frozen the log of an author, for this.
func awaitFault(t *testing.T, n *testnet.Node, author ledger.AuthorID, kind string) ledger.Fault {
	t.Helper()
	var f ledger.Fault
	testnet.AwaitNil(t, n.String()+" to freeze the log", func() (err error) {
		f, err = n.Exchange().Ledger.Fault(author)
		return err
	})
	if f.Kind != kind {
		t.Errorf("%s froze the log for %q, want %q", n, f.Kind, kind)
	}
	return f
}

// An author signs an entry that commits to a wrong state, and shows it to one
// node: that is evidence which convinces strangers, and all freeze the log.
func TestWrongStateConvicts(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 4).Start().Connect().AwaitPeers(3)
	author := testnet.NewAuthor(t)
	history := author.History()
	good := history.Release(testnet.Invent("app", "1"))
	teller := net.Hostile()
	history.Serve(teller)
	teller.Connect(net.Node(0)).Gossip(good.Encode())
	for _, n := range net.Nodes() {
		n.AwaitSearch("app", testnet.Invent("app", "1").Image.Digest.String())
	}
	honest, err := history.Leaves(author.ID, 0, 2)
	if err != nil {
		t.Fatal(err)
	}

	liar := net.Hostile()
	for _, n := range net.Nodes()[1:] {
		net.CutPeer(n, liar.ID())
	}
	history.Lie(testnet.Invent("app", "2")).Serve(liar)
	liar.Connect(net.Node(0))
	var evidence []byte
	for _, n := range net.Nodes() {
		evidence = awaitFault(t, n, author.ID, ledger.FaultState).Evidence
		if head, err := n.Exchange().Ledger.Head(author.ID); err != nil || head.Size != 2 {
			t.Errorf("%s has %d entries of the frozen log (%v)", n, head.Size, err)
		}
	}
	late := net.Add(net.Node(1))
	awaitFault(t, late, author.ID, ledger.FaultState)

	// A stranger who has the log before the lie needs nothing but the evidence.
	stranger := ledger.New(ledger.NewMem(), testnet.Network)
	if _, err := stranger.Extend(t.Context(), author.ID, 0, honest, good.Checkpoint); err != nil {
		t.Fatal(err)
	}
	p, err := ledger.DecodeProved(evidence)
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Accuse(t.Context(), good); !errors.Is(err, ledger.ErrBadProof) {
		t.Errorf("accused of an entry that is right: %v, want ErrBadProof", err)
	}
	if err := stranger.Accuse(t.Context(), p); err != nil {
		t.Errorf("the evidence convinces no stranger: %v", err)
	}
}

// What keys sign that their author has replaced is refused everywhere, gossiped
// or asked for, and changes nothing.
func TestReplacedKeysAreRefused(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	author := testnet.NewAuthor(t)
	history := author.History()
	history.Release(testnet.Invent("app", "1"))
	stolen := history.Copy() // as it was under the old key
	history.Rotate()
	last := history.Release(testnet.Invent("app", "2"))
	history.Serve(l.hostile)
	l.hostile.Gossip(last.Encode())
	for _, n := range []*testnet.Node{l.front, l.behind} {
		n.AwaitSearch("app", testnet.Invent("app", "2").Image.Digest.String())
	}
	for range 3 { // longer than the log that goes on under the new key
		stolen.Release(testnet.Invent("evil", "1"))
	}
	thief := l.Hostile()
	l.CutPeer(l.behind, thief.ID())
	forged := stolen.Release(testnet.Invent("evil", "2"))
	stolen.Serve(thief, forged)
	// Who passes it on may not have heard of the new keys, and is not blamed.
	before := l.front.Host().Stats().GossipIgnored
	thief.Connect(l.front).Gossip(forged.Encode())
	testnet.Await(t, "the entry to be ignored", func() bool { return l.front.Host().Stats().GossipIgnored > before })
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	if err := l.front.Exchange().CatchUp(ctx, author.ID, thief.ID()); err == nil {
		t.Error("the log goes on under the old key")
	}
	for _, n := range []*testnet.Node{l.front, l.behind} {
		if n.Finds("evil", testnet.Invent("evil", "2").Image.Digest.String()) {
			t.Errorf("%s has what the old key signed", n)
		}
		if head, err := n.Exchange().Ledger.Head(author.ID); err != nil || head.Size != 4 {
			t.Errorf("%s has %d entries (%v), want 4", n, head.Size, err)
		}
		if f, err := n.Exchange().Ledger.Fault(author.ID); err == nil {
			t.Errorf("%s froze the log of an author whose old key was stolen: %s", n, f.Kind)
		}
	}
}
