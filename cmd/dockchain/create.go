package main

import (
	"context"
	"errors"
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
	var s several
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make your author: its keys and its log",
		Long: `Make your author: its keys, and its log with the first entry, in the data
directory, which is made too. No node and no network is needed; the work that the
first entry has to show takes some seconds. Where there is an author already, this
tells its id and changes nothing.

With --key-of and --threshold several people speak for the author: this directory's key
and those of others, who make theirs with dockchain author key. They sign the proposal
with dockchain author sign, and dockchain ledger append begins the log.`,
		Example: `  dockchain author create
  dockchain author create --home ./team --key-of bob.pub --key-of carol.pub --threshold 2 --propose team.proposal
  dockchain author create --home ./second --network lab -o name`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := s.asked(cmd); asked || err != nil {
				return g.proposeAuthor(cmd.Context(), s, network, err)
			}
			return runAuthorCreate(cmd.Context(), g, network)
		},
	}
	s.addFlags(cmd)
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

// proposeAuthor proposes an author for whom several people speak.
func (g *global) proposeAuthor(ctx context.Context, s several, network string, err error) error {
	if err != nil || g.homeErr != nil {
		return errors.Join(err, g.homeErr)
	}
	holders, err := s.holders()
	if err != nil {
		return err
	}
	cfg := node.DefaultConfig()
	cfg.Home, cfg.Network = g.home, network
	if err := cfg.Validate(); err != nil {
		return &usageError{err: err, command: "dockchain author create"}
	}
	proposal, err := cfg.ProposeAuthor(ctx, s.threshold, holders)
	if err != nil {
		return fmt.Errorf("proposing the author: %w", err)
	}
	return g.proposed(s.proposing, api.Said{
		Type: "inception", What: fmt.Sprintf("an author for whom %d of %d keys speak", s.threshold, len(holders)+1), Proposal: proposal,
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
