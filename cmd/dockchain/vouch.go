package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newVouchCommand(g *global) *cobra.Command {
	var days int
	var end bool
	var p proposing
	cmd := &cobra.Command{
		Use:   "vouch AUTHOR",
		Short: "Speak for another author until a time",
		Long: `Speak for another author until a time. Nodes whose users gave you a name keep more of
an author's log for each of them that vouches. AUTHOR is a name given with dockchain
alias, or an author id. The last word on an author counts: a vouch can be prolonged,
and ended.`,
		Example: `  dockchain vouch alice
  dockchain vouch alice --days 30
  dockchain vouch alice --end`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 1 || days > 3650 {
				return &usageError{err: errors.New("--days: a number from 1 to 3650 is needed"), command: cmd.CommandPath()}
			}
			until := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, days)
			if end {
				until = time.Now().UTC()
			}
			return g.say(cmd.Context(), p, "vouching for "+shorten(args[0], 80), func(ctx context.Context, c *api.Client) (api.Said, error) {
				return c.Vouch(ctx, api.VouchRequest{Author: args[0], Until: until, Way: p.way()})
			})
		},
	}
	p.addFlag(cmd)
	cmd.Flags().IntVar(&days, "days", 365, "for this `number` of days")
	cmd.Flags().BoolVar(&end, "end", false, "take it back now")
	return cmd
}
