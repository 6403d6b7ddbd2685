package testnet

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/node"
)

// Net is a network of nodes in this process.
type Net struct {
	t         testing.TB
	configure func(i int, cfg *node.Config)

	mu    sync.Mutex
	nodes []*Node
	dir   string

	backups int // made so far
}

// New makes a network of n nodes that are not started yet. They are closed at
// the end of the test.
func New(t testing.TB, n int) *Net {
	t.Helper()
	net := &Net{t: t, configure: func(int, *node.Config) {}, dir: shortTempDir(t)}
	for range n {
		net.grow()
	}
	return net
}

// Configure changes the configuration of nodes before they start: those there
// are and those added later.
func (n *Net) Configure(f func(i int, cfg *node.Config)) *Net {
	n.configure = f
	return n
}

func (n *Net) grow() *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := len(n.nodes)
	name := fmt.Sprintf("node %d", i)
	book := newLogbook(n.t, name)
	nd := &Node{
		t: n.t, net: n, index: i, book: book,
		home: filepath.Join(n.dir, fmt.Sprintf("n%d", i)),
		log:  slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	n.nodes = append(n.nodes, nd)
	n.t.Cleanup(nd.cleanup)
	return nd
}

// Start starts the nodes, several at a time.
func (n *Net) Start() *Net {
	n.t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, len(n.nodes))
	slots := make(chan struct{}, 4)
	for i, nd := range n.nodes {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = nd.open()
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			n.t.Fatalf("starting node %d: %v", i, err)
		}
	}
	return n
}

// Neighbours is how many of the nodes before it Connect connects a node to.
const Neighbours = 4

// Connect connects each node to the four before it: five nodes know one another
// all, more are a network through which news must travel.
func (n *Net) Connect() *Net {
	n.t.Helper()
	for i, nd := range n.nodes {
		for j := max(0, i-Neighbours); j < i; j++ {
			nd.Connect(n.nodes[j])
		}
	}
	return n
}

// AwaitPeers waits until every node that runs is connected to k members of the
// network.
func (n *Net) AwaitPeers(k int) *Net {
	n.t.Helper()
	for _, nd := range n.nodes {
		if nd.running() {
			nd.AwaitPeers(k)
		}
	}
	return n
}

// Node gives the node at an index.
func (n *Net) Node(i int) *Node { return n.nodes[i] }

// Nodes gives all nodes.
func (n *Net) Nodes() []*Node { return n.nodes }

// Add makes another node, starts it and connects it to the given ones.
func (n *Net) Add(neighbours ...*Node) *Node {
	n.t.Helper()
	nd := n.grow()
	nd.Start()
	for _, other := range neighbours {
		nd.Connect(other)
	}
	return nd
}

// cutFor is longer than any test.
const cutFor = 24 * time.Hour

// Cut ends every connection between two nodes and lets none come back.
func (n *Net) Cut(a, b *Node) {
	a.Node.Host().Block(b.ID(), cutFor)
	b.Node.Host().Block(a.ID(), cutFor)
}

// CutPeer keeps a node and a peer apart.
func (n *Net) CutPeer(a *Node, p peer.ID) { a.Node.Host().Block(p, cutFor) }

// Heal undoes Cut and connects the two.
func (n *Net) Heal(a, b *Node) {
	n.t.Helper()
	a.Node.Host().Block(b.ID(), 0)
	b.Node.Host().Block(a.ID(), 0)
	a.Connect(b)
}

// shortTempDir is a directory whose path leaves room for the name of a unix
// socket (108 bytes), which t.TempDir does not promise.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the test's directory: %v", err)
		}
	})
	return dir
}
