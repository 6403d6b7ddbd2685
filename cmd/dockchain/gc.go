package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type gcOptions struct {
	dryRun bool
	grace  time.Duration
	to     byteCount
	graced bool
	toSet  bool
}

func newGCCommand(g *global) *cobra.Command {
	var o gcOptions
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove files that nothing needs, and make room",
		Long: `Remove the files that nothing needs any more: what was deleted in the local registry,
downloads that nobody goes on with, layers that were pushed and never used. A running
node does this by itself every hour (--gc-every).

Where more is used than --storage-quota, or less is free than --keep-free, images give
way: those that were fetched or pulled from other registries, are not pinned, are not
yours and were not just used. First go those whose release is not accepted any more,
then those that were unused the longest and that the most others hold, and at last
those that fewer than --keep-seeders nodes hold. --to SIZE has them give way until that
is used, and --to 0 all that may.

What came within the last day stays even if nothing needs it, because its manifest may
be on its way; --grace tells how long that is. Only what clients are just pushing can
suffer from a short one.`,
		Example: `  dockchain gc --dry-run
  dockchain gc -o json
  dockchain gc --to 20GB
  dockchain gc --grace 0s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.graced, o.toSet = cmd.Flags().Changed("grace"), cmd.Flags().Changed("to")
			return runGC(cmd.Context(), g, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "remove nothing, and tell what would go")
	f.DurationVar(&o.grace, "grace", 0, "`time` for which what nothing needs stays (default: as the node is configured)")
	f.Var(&o.to, "to", "have images give way until no more than this `size` is used, as 20GB")
	return cmd
}

func runGC(ctx context.Context, g *global, o gcOptions) error {
	req := api.CollectRequest{DryRun: o.dryRun}
	if o.graced {
		if o.grace < 0 {
			return &usageError{err: fmt.Errorf("--grace %s: a time from 0 is needed", o.grace), command: "dockchain gc"}
		}
		req.Grace = &o.grace
	}
	if o.toSet {
		to := int64(o.to)
		req.To = &to
	}
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.Collect(ctx, req, nil)
		if err != nil {
			return fmt.Errorf("collecting what nothing needs: %w", err)
		}
		return g.ui.print(collectedView(res))
	})
}

func collectedView(c api.Collected) view {
	v := view{value: c, list: anyList(c.Items)}
	if len(c.Items) > 0 {
		v.header = []string{"WHAT", "NAME", "BYTES", "WHY"}
	}
	for _, i := range c.Items {
		name := i.Name
		if name == "" || i.Kind == "link" {
			name = orDash(i.Digest)
		}
		v.names = append(v.names, i.Digest)
		v.rows = append(v.rows, []string{i.Kind, name, bytesOf(i.Bytes), i.Why})
	}
	did, used := "freed", "used"
	if c.DryRun {
		did, used = "would free", "used then"
	}
	line := fmt.Sprintf("%s %s in %s; %s gave way; %s are %s", did, bytesOf(c.Freed), plural(c.Files, "file"), plural(c.Images, "image"), bytesOf(c.Used), used)
	if c.Quota > 0 {
		line += " of " + bytesOf(c.Quota)
	}
	v.lines = []string{line}
	return v
}
