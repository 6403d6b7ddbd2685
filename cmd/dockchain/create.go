package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// createdAuthor is what dockchain author create gives.
type createdAuthor struct {
	Author  string `json:"author"`
	Network string `json:"network"`
	Home    string `json:"home"`
	Existed bool   `json:"existed,omitempty"` // nothing was made
}

func newAuthorCreateCommand(g *global) *cobra.Command {
	var network string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make your author: its keys and its log",
		Long: `Make your author: its keys, and its log with the first entry, in the data
directory, which is made too. No node and no network is needed; the work that the
first entry has to show takes some seconds. Where there is an author already, this
tells its id and changes nothing.`,
		Example: `  dockchain author create
  dockchain author create --home ./second --network lab -o name`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAuthorCreate(cmd.Context(), g, network) },
	}
	cmd.Flags().StringVar(&network, "network", "", "`name` of the author's network (default: the data directory's, else public)")
	return cmd
}

func runAuthorCreate(ctx context.Context, g *global, network string) error {
	if g.homeErr != nil {
		return g.homeErr
	}
	cfg := node.DefaultConfig()
	cfg.Home, cfg.Network = g.home, network
	if err := cfg.Validate(); err != nil {
		return &usageError{err: err, command: "dockchain author create"}
	}
	created := createdAuthor{Existed: cfg.HasAuthor()}
	if err := os.MkdirAll(g.home, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	return g.withDataOf(ctx, network, func(c *api.Client) error {
		s, err := c.Status(ctx)
		if err == nil && network != "" && network != s.Network {
			err = fmt.Errorf("%w: %s is of %q, and %q was asked for", node.ErrOtherNetwork, s.Home, s.Network, network)
		}
		if err != nil {
			return fmt.Errorf("making the author: %w", err)
		}
		created.Author, created.Network, created.Home = s.Author, s.Network, s.Home
		return g.ui.print(createdView(created))
	})
}

func createdView(c createdAuthor) view {
	line := "made " + c.Author
	if c.Existed {
		line = c.Author + " was made already"
	}
	v := view{value: c, names: []string{c.Author}, lines: []string{line}}
	v.rows = [][]string{{"author", c.Author}, {"network", c.Network}, {"home", c.Home}}
	return v
}
