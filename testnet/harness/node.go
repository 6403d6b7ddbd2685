package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
)

// Node is a node of this process, which can be stopped and started again with
// the same data. The node itself is nil while it is stopped.
type Node struct {
	*node.Node
	t     testing.TB
	net   *Net
	index int
	home  string
	book  *logbook
	log   *slog.Logger

	stop context.CancelFunc
	done chan error
}

// Home is the data directory.
func (n *Node) Home() string { return n.home }

// Log tells whether the node's log holds a text.
func (n *Node) Log(s string) bool { return n.book.Contains(s) }

func (n *Node) running() bool { return n.Node != nil }

func (n *Node) String() string { return fmt.Sprintf("node %d", n.index) }

func (n *Node) open() error {
	cfg := node.Loopback(n.home)
	n.net.configure(n.index, &cfg)
	nd, err := node.New(cfg, n.log)
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(context.Background())
	n.Node, n.stop, n.done = nd, stop, make(chan error, 1)
	go func() { n.done <- nd.Run(run) }()
	return nil
}

// Start starts the node.
func (n *Node) Start() *Node {
	n.t.Helper()
	if err := n.open(); err != nil {
		n.t.Fatalf("starting %s: %v", n, err)
	}
	return n
}

// Stop ends the node as a user would.
func (n *Node) Stop() {
	n.t.Helper()
	if err := n.shut(); err != nil {
		n.t.Errorf("stopping %s: %v", n, err)
	}
}

func (n *Node) shut() error {
	n.stop()
	err := <-n.done
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, n.Node.Close())
	n.Node = nil
	return err
}

func (n *Node) cleanup() {
	if n.running() {
		if err := n.shut(); err != nil {
			n.t.Errorf("stopping %s: %v", n, err)
		}
	}
}

// Restart stops the node and starts it with the same data. It has the same
// identity and other ports.
func (n *Node) Restart() *Node {
	n.t.Helper()
	n.Stop()
	return n.Start()
}

// ID is the node's peer id.
func (n *Node) ID() peer.ID { return n.Host().ID() }

// Addr is a multiaddr under which the node can be dialled.
func (n *Node) Addr() string { return n.Host().Addrs()[0] }

// Connect connects to another node.
func (n *Node) Connect(other *Node) {
	n.t.Helper()
	n.ConnectAddr(other.Addr())
}

// ConnectAddr connects to a multiaddr.
func (n *Node) ConnectAddr(addr string) {
	n.t.Helper()
	ctx, cancel := Deadline(n.t)
	defer cancel()
	if err := n.Exchange().Connect(ctx, addr); err != nil {
		n.t.Fatalf("connecting %s: %v", n, err)
	}
}

// AwaitPeers waits until the node is connected to k members of the network, who
// hear its gossip.
func (n *Node) AwaitPeers(k int) {
	n.t.Helper()
	Await(n.t, fmt.Sprintf("%s to have %d peers", n, k), func() bool {
		return len(n.Members()) >= k && n.Host().Stats().Listeners >= k
	})
}

// AwaitPeer waits until both ends know each other as members of the network.
func (n *Node) AwaitPeer(p peer.ID) {
	n.t.Helper()
	Await(n.t, fmt.Sprintf("%s to meet %s", n, p), func() bool { return slices.Contains(n.Members(), p) })
}

// Members are the connected peers that speak the network's protocols.
func (n *Node) Members() []peer.ID { return members(n.Host()) }

func members(h *p2p.Host) []peer.ID {
	var out []peer.ID
	for _, p := range h.Peers() {
		if p.Member {
			out = append(out, p.ID)
		}
	}
	return out
}

// Publish releases an image as me/NAME:TAG.
func (n *Node) Publish(name string, img Image) exchange.Published {
	n.t.Helper()
	return n.PublishLayout(name, img.Lay(n.t))
}

// PublishLayout releases an image that was laid out already.
func (n *Node) PublishLayout(name string, l *Layout) exchange.Published {
	n.t.Helper()
	ctx, cancel := Deadline(n.t)
	defer cancel()
	var p exchange.Published
	AwaitNil(n.t, fmt.Sprintf("%s to publish %s", n, name), func() (err error) {
		p, err = n.Exchange().Publish(ctx, exchange.PublishRequest{Source: "oci:" + l.Dir, As: "me/" + name}, nil)
		if err != nil && !errors.Is(err, exchange.ErrUnwitnessed) { // its witnesses may be slow
			n.t.Fatalf("publishing %s on %s: %v", name, n, err)
		}
		return err
	})
	if p.Digest != l.Root.Digest.String() {
		n.t.Fatalf("published %s, and the layout is %s", p.Digest, l.Root.Digest)
	}
	return p
}

// Fetch fetches a magnet link or name, which must be accepted.
func (n *Node) Fetch(target string) exchange.Fetched {
	n.t.Helper()
	return n.FetchTo(target, "")
}

// FetchTo fetches and exports ("oci:DIR").
func (n *Node) FetchTo(target, export string) exchange.Fetched {
	n.t.Helper()
	got, err := n.TryFetch(target, export)
	if err != nil {
		n.t.Fatalf("fetching %s on %s: %v", target, n, err)
	}
	if !got.Verdict.Accepted {
		n.t.Fatalf("fetched %s on %s against the verdict %+v", target, n, got.Verdict)
	}
	return got
}

// TryFetch fetches; that it fails is for the caller to judge.
func (n *Node) TryFetch(target, export string) (exchange.Fetched, error) {
	ctx, cancel := Deadline(n.t)
	defer cancel()
	return n.Exchange().Fetch(ctx, exchange.FetchRequest{Target: target, Export: export, Timeout: Patience}, nil)
}

// FetchLater fetches while the test goes on; the function returned waits for
// the end.
func (n *Node) FetchLater(target, export string) (wait func() (exchange.Fetched, error)) {
	type result struct {
		got exchange.Fetched
		err error
	}
	done := make(chan result, 1)
	go func() {
		got, err := n.TryFetch(target, export)
		done <- result{got, err}
	}()
	return func() (exchange.Fetched, error) {
		r := <-done
		return r.got, r.err
	}
}

// Search asks the node's catalogue.
func (n *Node) Search(query string) []exchange.Found {
	n.t.Helper()
	found, _, err := n.Exchange().Search(n.t.Context(), exchange.SearchRequest{Query: query})
	if err != nil {
		n.t.Fatalf("searching on %s: %v", n, err)
	}
	return found
}

// Finds tells whether a search on the node has an image among its results.
func (n *Node) Finds(query, digest string) bool {
	n.t.Helper()
	return slices.ContainsFunc(n.Search(query), func(f exchange.Found) bool { return f.Digest == digest })
}

// AwaitSearch waits until a search on the node finds an image.
func (n *Node) AwaitSearch(query, digest string) {
	n.t.Helper()
	Await(n.t, fmt.Sprintf("%s to find %q", n, query), func() bool { return n.Finds(query, digest) })
}

// Reasons are what the node holds against a peer or for it.
func (n *Node) Reasons(p peer.ID) []string {
	n.t.Helper()
	peers, err := n.Exchange().Peers(n.t.Context())
	if err != nil {
		n.t.Fatalf("listing peers of %s: %v", n, err)
	}
	for _, s := range peers {
		if s.ID == p.String() {
			return s.Reasons
		}
	}
	return nil
}

// Score is what the node thinks of a peer, from -1 to 1.
func (n *Node) Score(p peer.ID) float64 { return n.Exchange().PeerScore(p) }

// AwaitReason waits until the node says a thing about a peer.
func (n *Node) AwaitReason(p peer.ID, text string) {
	n.t.Helper()
	AwaitNil(n.t, fmt.Sprintf("%s to say %q of %s", n, text, p), func() error {
		reasons := n.Reasons(p)
		if !slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(r, text) }) {
			return fmt.Errorf("it says %q", reasons)
		}
		return nil
	})
}
