package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// writePolicy writes a policy of two out of some nodes, of which the first is
// asked over HTTP and the others over libp2p.
func writePolicy(t *testing.T, nodes []*testnet.Node) (path string, p *policy.Policy) {
	t.Helper()
	var text, names strings.Builder
	for i, n := range nodes {
		address := exchange.PeerScheme + n.ID().String()
		if i == 0 {
			address = "http://" + n.Addresses().API + "/witness/"
		}
		fmt.Fprintf(&text, "witness w%d %s %s\n", i, n.WitnessKey(), address)
		fmt.Fprintf(&names, " w%d", i)
	}
	fmt.Fprintf(&text, "group all 2%s\nquorum all\n", &names)
	path = filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, readPolicy(t, path)
}

func readPolicy(t *testing.T, path string) *policy.Policy {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What an author says is cosigned by two of three nodes behind its back, and
// others have the cosignatures too: by gossip, and when they ask.
func TestReleasesAreCosigned(t *testing.T) {
	t.Parallel()
	path := ""
	required := false
	net := testnet.New(t, 3).Configure(func(_ int, cfg *node.Config) { cfg.Policy, cfg.RequireWitnesses = path, required }).Start().Connect().AwaitPeers(2)
	three := net.Nodes()[:3:3]
	path, rule := writePolicy(t, three)
	author, reader := net.Add(three...), net.Add(three...)
	author.AwaitPeers(3)
	reader.AwaitPeers(3)

	pub := author.Publish("app:1.0", testnet.Image{Seed: 5, Layers: []int64{100}})
	id := ledger.AuthorID(pub.Author)
	for _, n := range []*testnet.Node{author, reader} {
		awaitCosigned(t, n, id, rule, 2)
	}
	// The next one, after a witness has been away: what it cosigned it still knows.
	three[1].Restart()
	three[1].Connect(author)
	author.Publish("app:2.0", testnet.Image{Seed: 6, Layers: []int64{100}})
	awaitCosigned(t, author, id, rule, 3)
	// Who comes later asks for them, if it insists on them.
	required = true
	late := net.Add(author)
	testnet.AwaitNil(t, "the release to be accepted", func() error {
		v, err := late.Exchange().Verify(t.Context(), pub.Author+"/app:2.0", nil)
		if err == nil && !v.Verdict.Accepted {
			err = &exchange.RejectedError{Verdict: v.Verdict}
		}
		return err
	})
	awaitCosigned(t, late, id, rule, 3)
}

func awaitCosigned(t *testing.T, n *testnet.Node, author ledger.AuthorID, rule *policy.Policy, size uint64) {
	t.Helper()
	testnet.AwaitNil(t, n.String()+" to have a cosigned checkpoint", func() error {
		head, err := n.Exchange().Ledger.Head(author)
		if err != nil {
			return err
		}
		if head.Size < size {
			return fmt.Errorf("%d entries", head.Size)
		}
		_, err = rule.Verify(head.Checkpoint)
		return err
	})
}

// A witness does not cosign a second history, which freezes the log, nor the log
// of a stranger.
func TestWitnessCosignsOneHistory(t *testing.T) {
	t.Parallel()
	net := testnet.New(t, 1).Start()
	author := testnet.NewAuthor(t)
	first, second := author.History(), author.History()
	hostile := net.Hostile()
	first.Serve(hostile)
	cosign := func(h *testnet.History, old uint64) int {
		t.Helper()
		head, err := h.Head(author.ID)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hostile.Host.Request(t.Context(), net.Node(0).ID(), exchange.OpCosign, witness.Request{Old: old, Checkpoint: head.Checkpoint}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		a, err := witness.ParseAnswer(b)
		if err != nil {
			t.Fatal(err)
		}
		return a.Status
	}
	release := first.Release(testnet.Invent("app", "1"))
	second.Release(testnet.Invent("app", "other"))
	asked := net.Node(0)
	hostile.Connect(asked)
	asked.AwaitSearch("app", digestOf(t, release))
	if got := cosign(first, 0); got != 200 {
		t.Errorf("the history that the witness has: status %d", got)
	}
	if got := cosign(second, 2); got != 409 {
		t.Errorf("another history: status %d, want 409", got)
	}
	awaitFrozen(t, asked, author.ID)
	author = testnet.NewAuthor(t)
	unknown := author.History()
	if got := cosign(unknown, 0); got != 404 {
		t.Errorf("the log of a stranger: status %d, want 404", got)
	}
}
