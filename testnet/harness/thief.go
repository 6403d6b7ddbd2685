package testnet

import (
	"os"
	"path/filepath"

	"github.com/dockchains/dockchain/ledger"
)

// Steal gives what somebody has who stole the signing key of a node's author: a
// copy of the log, as it is, to go on with.
func (n *Node) Steal() *History {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.home, "author", "signing.key"))
	if err != nil {
		n.t.Fatalf("stealing the key of %s: %v", n, err)
	}
	key, err := ledger.ParsePrivate(b)
	if err != nil {
		n.t.Fatalf("stealing the key of %s: %v", n, err)
	}
	s, err := n.Exchange().Status(n.t.Context())
	if err != nil {
		n.t.Fatalf("asking %s: %v", n, err)
	}
	author := &Author{ID: ledger.AuthorID(s.Author), Key: key, t: n.t}
	from := n.Exchange().Ledger
	head, err := from.Head(author.ID)
	if err != nil {
		n.t.Fatalf("reading the log of %s: %v", n, err)
	}
	leaves, err := from.Leaves(author.ID, 0, head.Size)
	if err != nil {
		n.t.Fatalf("reading the log of %s: %v", n, err)
	}
	h := &History{ledger.New(ledger.NewMem(), Network), author, key}
	if _, err := h.Extend(n.t.Context(), author.ID, 0, leaves, head.Checkpoint); err != nil {
		n.t.Fatalf("copying the log of %s: %v", n, err)
	}
	return h
}
