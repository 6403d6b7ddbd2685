package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newEventsCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "events",
		Short: "Notifications of registries that were put aside or given up",
		Long: `Notifications of registries that this node keeps because something was wrong: those that
came and could not be understood (odd), and those of its own registry that an endpoint
did not take in time (dead). -o json has the events themselves. How many are kept is
configured (dockchain help notifications).`,
		Example: `  dockchain events odd
  dockchain events dead -o json`,
	},
		newKeptEventsCommand(g, api.OddEvents, "Events that came and could not be understood"),
		newKeptEventsCommand(g, api.DeadEvents, "Events that an endpoint did not take"),
	)
}

func newKeptEventsCommand(g *global, kind, short string) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     kind,
		Short:   short,
		Example: "  dockchain events " + kind + "\n  dockchain events " + kind + " --limit 0 -o jsonl",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return &usageError{err: fmt.Errorf("--limit %d: want a number from 0", limit), command: "dockchain events " + kind}
			}
			return g.withData(cmd.Context(), func(c *api.Client) error {
				list, err := keptEvents(cmd.Context(), c, kind, limit)
				if err != nil {
					return fmt.Errorf("reading what is kept of events: %w", err)
				}
				return g.ui.print(keptEventsView(list))
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most this `number` of events, from the oldest; 0: all")
	return cmd
}

// keptEvents asks for pages until there are as many as are wanted; a limit of 0 is all.
func keptEvents(ctx context.Context, c *api.Client, kind string, limit int) ([]api.KeptEvent, error) {
	list := []api.KeptEvent{}
	req := api.KeptEventsRequest{Kind: kind}
	for {
		if limit > 0 {
			req.Limit = limit - len(list)
		}
		page, err := c.KeptEvents(ctx, req)
		if err != nil {
			return nil, err
		}
		list = append(list, page.Events...)
		if page.Next == "" || limit > 0 && len(list) >= limit {
			return list, nil
		}
		req.After = page.Next
	}
}

func keptEventsView(list []api.KeptEvent) view {
	v := view{value: list, list: anyList(list), header: []string{"WHEN", "ENDPOINT", "BYTES", "WHY"}}
	for _, e := range list {
		v.names = append(v.names, e.ID)
		v.rows = append(v.rows, []string{when(e.At), orDash(e.Endpoint), bytesOf(int64(len(e.Event))), e.Reason})
	}
	return v
}
