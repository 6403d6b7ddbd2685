package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newEndorseCommand(g *global) *cobra.Command {
	var req api.EndorseRequest
	var p proposing
	cmd := &cobra.Command{
		Use:   "endorse TARGET",
		Short: "Stand by an image that another author released",
		Long: `Stand by an image that another author released. TARGET is AUTHOR/REPO:TAG, a magnet
link or a digest that this node knows. What you endorse is the image, by its digest,
and not what the tag may mean later.

dockchain verify and dockchain show list who endorses an image, each author once, and
those first whom you gave a name. dockchain revoke DIGEST takes an endorsement back.`,
		Example: `  dockchain endorse alice/debian:12
  dockchain endorse alice/debian:12 --as security-review --comment reviewed`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Target = args[0]
			req.Way = p.way()
			return g.say(cmd.Context(), p, "endorsing "+shorten(req.Target, 80), func(ctx context.Context, c *api.Client) (api.Said, error) {
				return c.Endorse(ctx, req)
			})
		},
	}
	p.addFlag(cmd)
	cmd.Flags().StringVar(&req.Role, "as", "", "as whom: a `role`, in lower-case words joined by . _ or -")
	cmd.Flags().StringVar(&req.Comment, "comment", "", "`text` that everybody can read, on one line")
	return cmd
}
