package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newTransferCommand(g *global) *cobra.Command {
	req := api.TransferRequest{}
	var p proposing
	cmd := &cobra.Command{
		Use:   "transfer me/REPO --to AUTHOR",
		Short: "Give a repository to another author",
		Long: `Give a repository, with all its tags, to another author, who takes it over with
dockchain accept. From then on the old name leads to the new author, and nothing that
you release under it counts; what you released before stays good where the new author
has not released the tag again. The first transfer counts, and cannot be taken back:
the new author can give the repository back to you.`,
		Example: `  dockchain transfer me/app --to alice`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.To == "" {
				return &usageError{err: errors.New("whom to give it to is needed: --to AUTHOR"), command: cmd.CommandPath()}
			}
			req.Name, req.Way = args[0], p.way()
			return g.say(cmd.Context(), p, "transferring "+shorten(req.Name, 80), func(ctx context.Context, c *api.Client) (api.Said, error) {
				return c.Transfer(ctx, req)
			})
		},
	}
	p.addFlag(cmd)
	cmd.Flags().StringVar(&req.To, "to", "", "the new `author`: a name given with dockchain alias, or an author id")
	return cmd
}

func newAcceptCommand(g *global) *cobra.Command {
	var p proposing
	cmd := &cobra.Command{
		Use:   "accept AUTHOR/REPO",
		Short: "Take over a repository that its author gives to you",
		Long: `Take over a repository that its author gave to you with dockchain transfer. It keeps
its name, under yours: alice/app becomes me/app, and whoever asks for alice/app is led
to you.`,
		Example: `  dockchain accept alice/app`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.say(cmd.Context(), p, "accepting "+shorten(args[0], 80), func(ctx context.Context, c *api.Client) (api.Said, error) {
				return c.AcceptRepository(ctx, api.AcceptRequest{Name: args[0], Way: p.way()})
			})
		},
	}
	p.addFlag(cmd)
	return cmd
}
