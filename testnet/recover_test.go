package main_test

import (
	"fmt"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// awaitStands waits until a node has frozen a log above so many entries.
func awaitStands(t *testing.T, n *testnet.Node, author ledger.AuthorID, want uint64) {
	t.Helper()
	testnet.AwaitNil(t, n.String()+" to freeze the log", func() error {
		f, err := n.Exchange().Ledger.Fault(author)
		if err == nil && f.Common != want {
			err = fmt.Errorf("%d entries stand, want %d", f.Common, want)
		}
		return err
	})
}

// A thief of the signing key signs a second history: every node freezes the log
// above the last entry that both have, whichever it had. The owner's next key
// decides; every node has the owner's log then, the thief's stays dead, and what
// is released after that reaches those who come later.
func TestThreatStolenSigningKey(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 5).Start().Connect().AwaitPeers(4)
	owner, deceived := net.Node(0), net.Node(4)
	first := owner.Publish("app:1", tinyImage(930))
	id := ledger.AuthorID(first.Author)
	awaitSameLog(t, first.Author, 2, net.Nodes()...)
	thief := owner.Steal()

	// One node hears the thief's history before the owner's next word.
	for _, n := range net.Nodes()[:4] {
		net.Cut(n, deceived)
	}
	stolen := thief.Release(testnet.Invent("app", "evil"))
	thief.Release(testnet.Invent("app", "worse"))
	last := thief.Release(testnet.Invent("app", "worst"))
	liar := net.Hostile()
	for _, n := range net.Nodes()[:4] {
		net.CutPeer(n, liar.ID())
	}
	thief.Serve(liar)
	liar.Connect(deceived).Gossip(last.Encode())
	awaitSameLog(t, first.Author, 5, deceived)
	second := owner.Publish("app:2", tinyImage(931))
	awaitSameLog(t, first.Author, 3, net.Nodes()[:4]...)

	for _, n := range net.Nodes()[:4] {
		net.Heal(n, deceived)
	}
	for _, n := range net.Nodes() {
		awaitStands(t, n, id, 2)
		testnet.AwaitNil(t, n.String()+" to accept what both histories have", func() error {
			v, err := n.Exchange().Verify(t.Context(), first.Author+"/app:1", nil)
			if err == nil && !v.Verdict.Accepted {
				err = fmt.Errorf("%+v", v.Verdict)
			}
			return err
		})
		testnet.AwaitNil(t, n.String()+" to find what stands alone", func() error {
			for _, digest := range []string{second.Digest, digestOf(t, stolen)} {
				if n.Finds("app", digest) {
					return fmt.Errorf("it finds %s", digest)
				}
			}
			return nil
		})
	}
	late := net.Add(net.Node(2)) // has heard of no author yet
	awaitStands(t, late, id, 2)

	// The thief cannot change keys, the owner can.
	if _, err := thief.Ledger.Rotate(t.Context(), id, []ledger.Key{testnet.NewAuthor(t).Key}, ledger.KeySet{Keys: []ledger.PublicKey{testnet.NewAuthor(t).Key.Public()}, Threshold: 1}); err == nil {
		t.Error("the thief changes keys")
	}
	got, err := owner.Exchange().RecoverKeys(t.Context(), exchange.RecoverRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.VoidFrom != 2 || len(got.Dropped) != 1 || got.Dropped[0].Index != 2 || !got.CanSign {
		t.Errorf("recovered %+v", got)
	}
	awaitSameLog(t, first.Author, 4, net.Nodes()...)
	again := owner.PublishLayout("app:2", tinyImage(931).Lay(t))
	third := owner.Publish("app:3", tinyImage(932))
	awaitSameLog(t, first.Author, 6, net.Nodes()...)
	for _, n := range net.Nodes() {
		n.AwaitSearch("app", again.Digest)
		n.AwaitSearch("app", third.Digest)
		if n.Finds("app", digestOf(t, stolen)) {
			t.Errorf("%s finds what the thief released", n)
		}
	}

	// The thief goes on, with proofs of the fork too.
	worst := thief.Release(testnet.Invent("app", "after"))
	p, err := evidence.FromProved(t.Context(), owner.Exchange().Ledger, worst)
	if err == nil {
		if fork, err := p.Verify(); err != nil || !fork.Superseded {
			t.Errorf("the fork that was decided: %+v, %v", fork, err)
		}
	}
	teller := net.Hostile()
	thief.Serve(teller)
	teller.Connect(net.Node(1)).Gossip(worst.Encode())
	newcomer := net.Add(net.Node(1), net.Node(3))
	awaitSameLog(t, first.Author, 6, net.Nodes()...)
	newcomer.Fetch(first.Author + "/app:3")
	owner.Restart().Connect(net.Node(1))
	owner.AwaitPeers(1)
	owner.Publish("app:4", tinyImage(933))
	awaitSameLog(t, first.Author, 7, owner, net.Node(1), newcomer)
	if owner.Finds("app", digestOf(t, stolen)) {
		t.Error("after a restart, the owner finds what the thief released")
	}
}
