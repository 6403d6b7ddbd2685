package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newRevokeCommand(g *global) *cobra.Command {
	var req api.RevokeRequest
	var p proposing
	cmd := &cobra.Command{
		Use:   "revoke TARGET",
		Short: "Take back what you released",
		Long: `Take back what you released. TARGET is me/REPO:TAG, me/REPO@DIGEST or a digest, also
one that you endorsed or attested. dockchain revoke key takes back what a key signed.

A revoked tag counts again with its next release; a revoked digest is revoked for
good, under all names. Every node that hears of it refuses the image from then on;
bytes that somebody has already are not taken away.`,
		Example: `  dockchain revoke me/app:1.0 --reason broken
  dockchain revoke sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  dockchain revoke me/app:nightly --last-valid 12`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Target = args[0]
			return runRevoke(cmd.Context(), g, p, req)
		},
	}
	cmd.AddCommand(newRevokeKeyCommand(g))
	p.addFlag(cmd)
	cmd.Flags().StringVar(&req.Reason, "reason", "", "`text` that everybody can read, on one line")
	cmd.Flags().Uint64Var(&req.LastValid, "last-valid", 0, "releases up to this `entry` of your log stay good")
	return cmd
}

func newRevokeKeyCommand(g *global) *cobra.Command {
	var req api.RevokeRequest
	var p proposing
	cmd := &cobra.Command{
		Use:   "key FINGERPRINT --last-valid ENTRY",
		Short: "Take back what a key of yours signed after an entry",
		Long: `Take back, for good, what a key of yours signed after an entry of your log; what it
signed up to that entry stays good. FINGERPRINT is a key that speaks or spoke for you,
as dockchain author show and dockchain ledger show tell it, or at least 8 digits that
begin it.

Of several keys one that is in use stops speaking for you, as long as enough are left.
Your only key cannot be revoked: dockchain author rotate, or recover, replaces it.`,
		Example: `  dockchain revoke key 5ae3f4c1 --last-valid 12 --reason lost`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !cmd.Flags().Changed("last-valid") {
				return &usageError{err: errors.New("the last entry that stays good is needed: --last-valid ENTRY"), command: cmd.CommandPath()}
			}
			req.Key = args[0]
			return runRevoke(cmd.Context(), g, p, req)
		},
	}
	p.addFlag(cmd)
	cmd.Flags().StringVar(&req.Reason, "reason", "", "`text` that everybody can read, on one line")
	cmd.Flags().Uint64Var(&req.LastValid, "last-valid", 0, "what the key signed up to this `entry` of your log stays good")
	return cmd
}

func runRevoke(ctx context.Context, g *global, p proposing, req api.RevokeRequest) error {
	req.Way = p.way()
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.Revoke(ctx, req)
		if err != nil {
			return fmt.Errorf("revoking %s: %w", shorten(req.Target+req.Key, 80), err)
		}
		if res.Proposal != "" {
			return g.proposed(p, api.Said{Type: "revoke", What: res.What, Author: res.Author, Entry: res.Entry, Proposal: res.Proposal})
		}
		return g.ui.print(revokedView(res))
	})
}

func revokedView(r api.Revoked) view {
	line := fmt.Sprintf("revoked %s in entry %d", r.What, r.Entry)
	if r.Existed {
		line = fmt.Sprintf("%s was revoked already, in entry %d", r.What, r.Entry)
	}
	return view{value: r, names: []string{r.What}, lines: []string{line}}
}
