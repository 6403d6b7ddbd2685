package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newAuthorCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "author",
		Short: "Show and change the keys that speak for an author",
		Long: `Show and change the keys that speak for an author.

Your author has two keys, in the directory author/ of the data directory:
signing.key signs releases, next.key nothing but the change to itself. The log
commits to next.key beforehand, so that whoever steals signing.key cannot change
keys. Keep a copy of next.key elsewhere; it may be kept only there, as long as it
is put back for the commands that need it. The author's id never changes.

Whatever first opens a data directory, as dockchain run does, makes its author;
create does nothing else.

Several people can speak for an author, each with a key of their own: key makes one,
create --key-of and --threshold propose such an author, and what it says is proposed
with --propose, signed with sign, and added with dockchain ledger append.`,
		Example: `  dockchain author create
  dockchain author show
  dockchain author rotate
  dockchain author recover --void-from 12`,
	}, newAuthorCreateCommand(g), newAuthorShowCommand(g), newAuthorKeyCommand(g), newAuthorSignCommand(g), newAuthorRotateCommand(g), newAuthorRecoverCommand(g), newAuthorRetireCommand(g))
}

func newAuthorShowCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "show [AUTHOR]",
		Short: "Tell who speaks for an author, by default for you",
		Example: `  dockchain author show
  dockchain author show alice -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "me"
			if len(args) > 0 {
				name = args[0]
			}
			return runAuthor(cmd.Context(), g, "showing the author "+name, func(ctx context.Context, c *api.Client) (api.AuthorStatus, error) {
				return c.Author(ctx, name)
			})
		},
	}
}

func newAuthorRotateCommand(g *global) *cobra.Command {
	var s several
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Sign with the next key from now on",
		Long: `Sign with the next key from now on, and commit to a new next one. The old signing
key is overwritten; what it signed stays good. After a crash the same command, or
the next start of the node, goes on where it was.

With --key-of and --threshold several people speak for the author from then on: the new
keys are your next one and theirs, who sign the proposal with them.`,
		Example: `  dockchain author rotate
  dockchain author rotate --key-of bob.pub --threshold 2 --propose rotate.proposal`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := s.asked(cmd); asked || err != nil {
				return g.proposeKeys(cmd.Context(), s, 0, err)
			}
			return runAuthor(cmd.Context(), g, "changing keys", func(ctx context.Context, c *api.Client) (api.AuthorStatus, error) {
				return c.RotateKeys(ctx)
			})
		},
	}
	s.addFlags(cmd)
	return cmd
}

// proposeKeys proposes a change of keys for others to sign.
func (g *global) proposeKeys(ctx context.Context, s several, voidFrom uint64, err error) error {
	if err != nil {
		return err
	}
	holders, err := s.holders()
	if err != nil {
		return err
	}
	return g.say(ctx, s.proposing, "changing keys", func(ctx context.Context, c *api.Client) (api.Said, error) {
		return c.ProposeKeys(ctx, api.KeyChange{Threshold: s.threshold, Holders: holders, VoidFrom: voidFrom})
	})
}

func newAuthorRetireCommand(g *global) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "retire --yes",
		Short: "End your log, for good",
		Long: `End your log, for good: nothing is published under your author id any more. What
was published stays good, and this node goes on seeding it.`,
		Example: `  dockchain author retire --yes`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return &usageError{err: errors.New("this cannot be undone: say --yes"), command: cmd.CommandPath()}
			}
			return runAuthor(cmd.Context(), g, "ending the log", func(ctx context.Context, c *api.Client) (api.AuthorStatus, error) {
				return c.RetireAuthor(ctx)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func runAuthor(ctx context.Context, g *global, what string, do func(context.Context, *api.Client) (api.AuthorStatus, error)) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := do(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return g.ui.print(authorView(res))
	})
}

func authorView(a api.AuthorStatus) view {
	v := view{value: a, names: []string{a.Author}}
	add := func(name, value string) { v.rows = append(v.rows, []string{name, value}) }
	add("author", a.Author)
	for _, k := range a.Keys {
		add("key", k)
	}
	add("must sign", fmt.Sprintf("%d of %d", a.Threshold, len(a.Keys)))
	for _, k := range a.Next {
		add("next key", k)
	}
	if len(a.Next) > 0 {
		add("must change", fmt.Sprintf("%d of %d", a.NextThreshold, len(a.Next)))
	}
	add("entries", fmt.Sprint(a.Size))
	add("work", plural(a.Work, "bit"))
	if a.Vouches > 0 {
		add("vouches", plural(a.Vouches, "trusted author"))
	}
	if a.Room > 0 {
		add("room here", fmt.Sprintf("%s of %s used", bytesOf(a.Used), bytesOf(a.Room)))
	} else {
		add("room here", "no limit")
	}
	add("signs here", yesNo(a.CanSign))
	for _, k := range a.RevokedKeys {
		add("revoked key", fmt.Sprintf("%s  by entry %d, good up to entry %d", k.Key, k.Entry, k.LastValid))
	}
	for _, w := range a.Vouchers {
		add("vouched for by", voucherText(w))
	}
	for _, w := range a.VouchesFor {
		add("vouches for", voucherText(w))
	}
	if a.Retired {
		v.lines = append(v.lines, "retired: the log has ended")
	}
	if a.Frozen != "" {
		v.lines = append(v.lines, "frozen: "+a.Frozen)
	}
	return v
}
