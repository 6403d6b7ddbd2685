package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newAuthorRecoverCommand(g *global) *cobra.Command {
	var voidFrom uint64
	var req api.RecoverRequest
	var s several
	cmd := &cobra.Command{
		Use:   "recover [--void-from ENTRY]",
		Short: "Change keys after a theft or a fork, and take back what must not stand",
		Long: `Change keys as dockchain author rotate does, and take back every entry of your log
from ENTRY on: what somebody signed who had stolen signing.key. dockchain ledger
log me lists the entries. None of before the last change of keys can be taken back.

A log of which two histories were signed is frozen above the last entry that they
have in common. recover thaws it, on every node: the history that next.key signs
stands, and the other one is void. Without --void-from your own entries above the
common ones are taken back too, as nobody can tell who signed them; they are
listed, and must be published again. To keep those that you know to be yours, say
the first one to take back, or the number of entries to take none back.

Change keys in one place only: of two changes neither stands, and the log is frozen
for good.`,
		Example: `  dockchain author recover --void-from 12
  dockchain author recover
  dockchain author recover --without-missing`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := s.asked(cmd); asked || err != nil {
				if err == nil && voidFrom == 0 {
					err = &usageError{err: errors.New("the first entry to take back is needed: --void-from ENTRY"), command: cmd.CommandPath()}
				}
				return g.proposeKeys(cmd.Context(), s, voidFrom, err)
			}
			if cmd.Flags().Changed("void-from") {
				req.VoidFrom = &voidFrom
			}
			return runAuthorRecover(cmd.Context(), g, req)
		},
	}
	s.addFlags(cmd)
	cmd.Flags().Uint64Var(&voidFrom, "void-from", 0, "the first `entry` to take back")
	cmd.Flags().BoolVar(&req.WithoutMissing, "without-missing", false, "give up entries that others have seen and nobody gives back")
	return cmd
}

func runAuthorRecover(ctx context.Context, g *global, req api.RecoverRequest) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.RecoverKeys(ctx, req)
		if err != nil {
			return fmt.Errorf("recovering keys: %w", err)
		}
		return g.ui.print(recoveredView(res))
	})
}

func recoveredView(r api.Recovered) view {
	v := authorView(r.AuthorStatus)
	v.value = r
	for _, e := range r.Dropped {
		v.lines = append(v.lines, fmt.Sprintf("taken back: entry %d, %s", e.Index, e.About))
	}
	if len(r.Dropped) > 0 {
		v.lines = append(v.lines, "publish again what should stand")
	}
	return v
}
