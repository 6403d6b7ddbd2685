package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// withNode calls do with the running node.
func (g *global) withNode(ctx context.Context, do func(*api.Client) error) error {
	if g.homeErr != nil {
		return g.homeErr
	}
	c := api.NewSocketClient(node.SocketPath(g.home))
	defer c.Close()
	if _, err := c.Version(ctx); err != nil {
		return err
	}
	return do(c)
}

// lockedWithin is how long a command waits for another one that has the data
// directory open, or for a node that has it and does not answer yet.
const lockedWithin = 5 * time.Second

// withData calls do with the running node, or where none runs with the data
// directory opened for as long as do takes: no listeners, no network.
func (g *global) withData(ctx context.Context, do func(*api.Client) error) error {
	return g.withDataOf(ctx, "", 0, do)
}

// withDataOf is withData of a network that is yet to be chosen, if there is no
// data so far, and of an author who is yet to do so many bits of work.
func (g *global) withDataOf(ctx context.Context, network string, work int, do func(*api.Client) error) error {
	for deadline := time.Now().Add(lockedWithin); ; {
		err := g.withNode(ctx, do)
		if !errors.Is(err, api.ErrNotRunning) {
			return err
		}
		if _, statErr := os.Stat(g.home); errors.Is(statErr, fs.ErrNotExist) {
			return err // nothing was ever here; a question must not make it
		}
		err = g.offline(network, work, do)
		if !errors.Is(err, node.ErrLocked) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (g *global) offline(network string, work int, do func(*api.Client) error) error {
	return g.offlineWith(slog.New(slog.DiscardHandler), "", network, work, do)
}

// offlineWith is offline with a log, and another policy of witnesses than that of
// environment and file.
func (g *global) offlineWith(log *slog.Logger, policy, network string, work int, do func(*api.Client) error) (err error) {
	o := &runOptions{node: node.DefaultConfig()}
	settings := &cobra.Command{}
	o.addWitnessFlags(settings)
	addLimits(settings, &o.node.Quota)
	addStorageFlags(settings, &o.node.Storage)
	if err := g.resolve(settings); err != nil && g.configErr == nil {
		return err
	}
	cfg := o.node
	cfg.Home, cfg.Version, cfg.Network = g.home, version(), network
	cfg.WorkBits = work
	if policy != "" {
		cfg.Policy = policy
	}
	n, err := node.OpenOffline(cfg, log)
	if err != nil {
		return fmt.Errorf("opening %s: %w", g.home, err)
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	c := api.NewLocalClient(n.Handler())
	defer c.Close()
	return do(c)
}
