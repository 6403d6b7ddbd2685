// Command testnet is a playground: a network of nodes on loopback, in one
// process, with throwaway data.
//
//	go run ./testnet -nodes 10
//
// It prints where each node is and how to talk to it, publishes a sample image
// on the first one, and ends, removing everything, on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(start(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// start runs the playground until ctx ends, and gives the exit code.
func start(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("testnet", flag.ContinueOnError)
	flags.SetOutput(errOut)
	nodes := flags.Int("nodes", 5, "how many nodes, 1-100")
	verbose := flags.Bool("v", false, "show the nodes' logs")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *nodes < 1 || *nodes > 100 || flags.NArg() > 0 {
		fmt.Fprintln(errOut, "testnet: -nodes must be from 1 to 100, and there are no arguments")
		return 2
	}
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(errOut, nil))
	}
	if err := play(ctx, *nodes, out, log); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(errOut, "testnet:", err)
		return 1
	}
	return 0
}

func play(ctx context.Context, count int, out io.Writer, log *slog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "dockchain-testnet-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	g, ctx := errgroup.WithContext(ctx)
	nodes, err := open(ctx, g, dir, count, log)
	if err == nil {
		err = show(ctx, out, dir, nodes)
	}
	if err == nil {
		<-ctx.Done()
		fmt.Fprintln(out, "\nending; nothing is kept")
	} else {
		g.Go(func() error { return err }) // ends the others
	}
	err = g.Wait()
	for _, n := range nodes {
		err = errors.Join(err, n.Close())
	}
	return err
}

// open starts the nodes, each joined to the four before it.
func open(ctx context.Context, g *errgroup.Group, dir string, count int, log *slog.Logger) (nodes []*node.Node, err error) {
	for i := range count {
		n, err := node.New(node.Loopback(filepath.Join(dir, fmt.Sprint(i))), log.With("node", i))
		if err != nil {
			return nodes, fmt.Errorf("starting node %d: %w", i, err)
		}
		nodes = append(nodes, n)
		g.Go(func() error { return n.Run(ctx) })
		for _, other := range nodes[max(0, i-testnet.Neighbours):i] {
			if err := n.Exchange().Connect(ctx, other.Addresses().Peer[0]); err != nil {
				return nodes, err
			}
		}
	}
	return nodes, nil
}

// show publishes a sample and tells how to play.
func show(ctx context.Context, out io.Writer, dir string, nodes []*node.Node) error {
	sample, err := testnet.Image{
		Seed: 1, Layers: []int64{8 << 20, 1 << 20, 30 << 10},
		Platforms: []string{"linux/amd64", "linux/arm64"}, Title: "Weather station",
	}.Write(filepath.Join(dir, "sample"))
	if err != nil {
		return fmt.Errorf("making a sample image: %w", err)
	}
	pub, err := nodes[0].Exchange().Publish(ctx, exchange.PublishRequest{
		Source: "oci:" + sample.Dir, As: "me/weather:1.0",
		Description: "A sample of random bytes, to be found and fetched",
	}, nil)
	if err != nil {
		return fmt.Errorf("publishing the sample image: %w", err)
	}
	fmt.Fprintf(out, "%d nodes of one network, on loopback, until Ctrl-C:\n\n", len(nodes))
	for i, n := range nodes {
		a := n.Addresses()
		fmt.Fprintf(out, "  node %-3d --home %s\n           api http://%s  peer %s\n", i, filepath.Join(dir, fmt.Sprint(i)), a.API, a.Peer[0])
	}
	last := filepath.Join(dir, fmt.Sprint(len(nodes)-1))
	_, err = fmt.Fprintf(out, `
Node 0 published %s, %d bytes:

  %s

Now, for example:

  dockchain --home %[4]s search weather
  dockchain --home %[4]s fetch '%[3]s' --export oci:/tmp/weather
  dockchain --home %[4]s verify %[5]s/weather:1.0
  dockchain --home %[4]s peers
  dockchain --home %[4]s publish oci:%[6]s --as me/mine:1.0
  curl --unix-socket %[7]s http://localhost/api/v1/status

(without an installed dockchain: go run ./cmd/dockchain --home …)
`, pub.Ref, pub.Size, pub.Magnet, last, pub.Author, sample.Dir, node.SocketPath(last))
	return err
}
