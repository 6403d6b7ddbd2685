package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// localNodes are nodes of this process, each with its own data directory, ports
// and socket; they share nothing but the network.
type localNodes []*localNode

type localNode struct {
	home      string
	addresses api.Addresses
	client    *api.Client
	node      *node.Node
	log       *os.File
	cancel    context.CancelFunc
	ended     chan error
}

// start adds a node that joins by the given addresses, and waits until it
// answers. A node outlives ctx: stop ends it.
func (l *localNodes) start(ctx context.Context, base, network string, bootstrap ...string) (*localNode, error) {
	home := filepath.Join(base, fmt.Sprintf("node%d", len(*l)+1))
	logFile, err := os.Create(home + ".log")
	if err != nil {
		return nil, err
	}
	cfg := node.Loopback(home)
	cfg.Network, cfg.Version, cfg.Bootstrap = network, version(), bootstrap
	n, err := node.New(cfg, slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return nil, errors.Join(err, logFile.Close())
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	local := &localNode{
		home: home, addresses: n.Addresses(), client: api.NewSocketClient(n.Addresses().Socket),
		node: n, log: logFile, cancel: cancel, ended: make(chan error, 1),
	}
	*l = append(*l, local)
	answering, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	go func() {
		err := n.Run(life)
		failed(fmt.Errorf("the node ended: %w", err))
		local.ended <- err
	}()
	if err := awaitAnswer(answering, local.addresses.Socket); err != nil {
		return nil, context.Cause(answering)
	}
	return local, nil
}

// awaitPeers waits until so many peers are connected.
func (n *localNode) awaitPeers(ctx context.Context, want int) error {
	return poll(ctx, func() (bool, error) {
		s, err := n.client.Status(ctx)
		return s.Peers >= want, err
	})
}

// stop ends all nodes, the last first.
func (l *localNodes) stop() error {
	var errs []error
	for i := len(*l) - 1; i >= 0; i-- {
		n := (*l)[i]
		_ = n.client.Close()
		n.cancel()
		if err := <-n.ended; err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("node %d: %w", i+1, err))
		}
		errs = append(errs, n.node.Close(), n.log.Close())
	}
	*l = nil
	return errors.Join(errs...)
}

func (l *localNodes) homes() []string {
	var homes []string
	for _, n := range *l {
		homes = append(homes, n.home)
	}
	return homes
}

// poll asks until it is so, an error comes or ctx ends.
func poll(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func randomName() string { return strings.ToLower(rand.Text()[:8]) }
