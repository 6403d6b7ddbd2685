package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

// errNoQuorum is a log that not enough witnesses have seen, or not lately.
var errNoQuorum = errors.New("not enough witnesses have seen this, or not lately")

func newWitnessCheckCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "check IMAGE|AUTHOR",
		Short: "Tell which witnesses have seen an image's release, or an author's log",
		Long: `Tell which witnesses of the node's policy have seen an image's release, or an
author's log, when, and whether they are enough. IMAGE is a reference or a magnet
link, AUTHOR is me, a name given with dockchain alias, or an author id. Where they
are not enough a running node asks them now. Exit code 12 says that they are not.`,
		Example: `  dockchain witness check alice/debian:12
  dockchain witness check me -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runWitnessCheck(cmd.Context(), g, args[0]) },
	}
}

func runWitnessCheck(ctx context.Context, g *global, target string) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.Sighting(ctx, target)
		if err == nil && !res.Policy {
			err = api.ErrNoPolicy
		}
		if err == nil {
			err = g.ui.print(sightedView(res))
		}
		if err == nil && !res.Quorum {
			err = errNoQuorum
		}
		if err != nil {
			return fmt.Errorf("checking the witnesses of %s: %w", shorten(target, 80), err)
		}
		return nil
	})
}

func sightedView(s api.Sighted) view {
	v := view{value: s, list: anyList(s.Witnesses), header: []string{"WITNESS", "COSIGNED", "KEY"}}
	for _, w := range s.Witnesses {
		at := "-"
		if w.Time != nil {
			at = w.Time.UTC().Format(time.RFC3339)
			v.names = append(v.names, oneLine(w.Name))
		}
		v.rows = append(v.rows, []string{oneLine(w.Name), at, w.Key})
	}
	what := "the log of " + s.Author
	if s.Entry != nil {
		what = "entry " + strconv.FormatUint(*s.Entry, 10) + " of " + what
	}
	v.lines = []string{what + ", which has " + strconv.FormatUint(s.LogSize, 10) + " entries here", oneLine(s.Why)}
	return v
}
