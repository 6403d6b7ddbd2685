package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type pullsOptions struct {
	number int
	follow bool
}

func newPullsCommand(g *global) *cobra.Command {
	o := pullsOptions{number: 20}
	cmd := &cobra.Command{
		Use:   "pulls",
		Short: "What was pulled through the registry, and where its bytes came from",
		Long: `What clients pulled through this node's registry, the newest first: how many bytes
came from peers, from the registry behind the name, and from this node's disk, and why.
The last 1,000 pulls are kept.

--follow waits for pulls to end and prints each as it does, until it is interrupted.`,
		Example: `  dockchain pulls
  dockchain pulls -n 100 -o json
  dockchain pulls --follow -o jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPulls(cmd.Context(), g, o) },
	}
	f := cmd.Flags()
	f.IntVarP(&o.number, "number", "n", o.number, "at most this `number` of them")
	f.BoolVar(&o.follow, "follow", false, "print pulls as they end")
	return cmd
}

func runPulls(ctx context.Context, g *global, o pullsOptions) error {
	if o.number < 1 {
		return &usageError{err: fmt.Errorf("-n %d: want a number from 1", o.number), command: "dockchain pulls"}
	}
	if o.follow {
		return g.withNode(ctx, func(c *api.Client) error { return followPulls(ctx, g, c) })
	}
	return g.withData(ctx, func(c *api.Client) error {
		list, err := c.Pulls(ctx, api.PullsRequest{Limit: o.number})
		if err != nil {
			return fmt.Errorf("listing pulls: %w", err)
		}
		return g.ui.print(pullsView(list))
	})
}

// followEvery is how often a node is asked for pulls that ended.
const followEvery = 500 * time.Millisecond

// followPulls prints each pull that has ended since the command began.
func followPulls(ctx context.Context, g *global, c *api.Client) error {
	latest, err := c.Pulls(ctx, api.PullsRequest{Limit: 1})
	if err != nil {
		return fmt.Errorf("following pulls: %w", err)
	}
	after := uint64(0)
	if len(latest) > 0 {
		after = latest[0].ID
	}
	told := map[uint64]bool{}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		list, err := c.Pulls(ctx, api.PullsRequest{Limit: 1000, After: after})
		if err != nil {
			return fmt.Errorf("following pulls: %w", err)
		}
		slices.Reverse(list)
		var ended []api.PullRecord
		for _, r := range list {
			if r.State != api.PullRunning && !told[r.ID] && g.ui.now().Sub(lastByte(r)) > time.Second {
				told[r.ID] = true
				ended = append(ended, r)
			}
		}
		for len(list) > 0 && told[list[0].ID] { // what goes before is told
			after = list[0].ID
			delete(told, after)
			list = list[1:]
		}
		if len(ended) > 0 {
			if err := g.ui.print(pullsView(ended)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// lastByte is when the last one of a pull came.
func lastByte(r api.PullRecord) time.Time {
	return r.Started.Add(time.Duration(r.Seconds * float64(time.Second)))
}

func pullsView(list []api.PullRecord) view {
	v := view{
		value: list, list: anyList(list),
		header: []string{"WHEN", "IMAGE", "STATE", "PEERS", "REGISTRY", "DISK", "SECONDS", "CLIENT", "WHY"},
	}
	for _, r := range list {
		v.names = append(v.names, r.Name)
		v.rows = append(v.rows, []string{
			when(r.Started), r.Name, r.State, bytesOf(r.FromPeers), bytesOf(r.FromUpstream), bytesOf(r.FromDisk),
			strconv.FormatFloat(r.Seconds, 'f', 1, 64), shorten(orDash(r.Client), 24), orDash(r.Why),
		})
	}
	return v
}
