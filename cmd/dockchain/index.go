package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newIndexCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:     "index",
		Short:   "The search index",
		Example: `  dockchain index rebuild`,
	}, newIndexRebuildCommand(g))
}

func newIndexRebuildCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Fold the index anew from the ledger",
		Long: `Fold the index anew from the ledger. Nothing but the ledger is needed for it,
and nothing is lost by it.`,
		Example: `  dockchain index rebuild`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runIndexRebuild(cmd.Context(), g) },
	}
}

// rebuilt is the answer of index rebuild.
type rebuilt struct {
	Entries int `json:"entries"`
}

func runIndexRebuild(ctx context.Context, g *global) error {
	return g.withData(ctx, func(c *api.Client) error {
		show, stop := g.ui.progress()
		n, err := c.RebuildIndex(ctx, show)
		stop()
		if err != nil {
			return fmt.Errorf("rebuilding the index: %w", err)
		}
		return g.ui.print(rebuiltView(n))
	})
}

func rebuiltView(n int) view {
	text := strconv.Itoa(n)
	return view{value: rebuilt{n}, names: []string{text}, lines: []string{"read " + text + " of the ledger's entries"}}
}
