package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

// proposing is the flag of commands whose entry several people sign.
type proposing struct{ file string }

func (p *proposing) addFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.file, "propose", "", "append nothing, and write a proposal for others to sign to this new `file`")
	_ = cmd.MarkFlagFilename("propose")
}

func (p proposing) way() api.Way { return api.Way{Propose: p.file != ""} }

// say says something in the log of the node's author, or proposes it.
func (g *global) say(ctx context.Context, p proposing, what string, do func(context.Context, *api.Client) (api.Said, error)) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := do(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if res.Proposal != "" {
			return g.proposed(p, res)
		}
		return g.ui.print(saidView(res))
	})
}

// proposed writes a proposal into its file, which must be a new one.
func (g *global) proposed(p proposing, s api.Said) error {
	f, err := os.OpenFile(p.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		_, err = io.WriteString(f, s.Proposal)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the proposal: %w", err)
	}
	return g.ui.print(view{value: s, names: []string{p.file}, lines: []string{
		fmt.Sprintf("proposed entry %d, %s: %s", s.Entry, s.Type, oneLine(s.What)),
		"the others sign it: dockchain author sign " + p.file + " --key FILE",
	}})
}

func newAuthorKeyCommand(g *global) *cobra.Command {
	var after string
	cmd := &cobra.Command{
		Use:   "key NAME",
		Short: "Make a key of your own for an author of several people",
		Long: `Make a key of your own for an author of several people: NAME.key, which signs,
NAME.next.key, which takes over at the next change of keys, and NAME.pub, which is for
the others. Keep the two keys to yourself; nobody else may be able to read them. No node
is needed.

For a change of keys make new ones with --after: their first key is the next one of those
before.`,
		Example: `  dockchain author key bob
  dockchain author key bob2 --after bob`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			value, err := node.MakeHolder(args[0], after)
			if err != nil {
				return fmt.Errorf("making keys: %w", err)
			}
			return g.ui.print(view{value: value, names: []string{args[0] + ".pub"}, lines: []string{
				"made " + args[0] + ".key and " + args[0] + ".next.key; give " + args[0] + ".pub to the others",
			}})
		},
	}
	cmd.Flags().StringVar(&after, "after", "", "go on after the keys of this `name`")
	return cmd
}

func newAuthorSignCommand(g *global) *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Read a proposal, and sign it with a key of yours",
		Long: `Read a proposal, and with --key sign it: first its entry, until enough have signed
that, and then the checkpoint over the log with it. So one or another of the signers
gets FILE a second time. No node and no network is needed.

What you sign is checked: that it continues the log of the author, as the author's keys
signed it, and every signature so far. Read what it says before you sign.`,
		Example: `  dockchain author sign release.proposal
  dockchain author sign release.proposal --key bob.key`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			res, err := node.SignProposal(args[0], keys)
			if err != nil {
				return fmt.Errorf("signing %s: %w", args[0], err)
			}
			return g.ui.print(signedView(res))
		},
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "sign with the key in this `file`; repeatable")
	_ = cmd.MarkFlagFilename("key")
	return cmd
}

func signedView(s node.SignedProposal) view {
	v := view{value: s, names: []string{fmt.Sprint(s.Entry)}}
	v.rows = [][]string{
		{"author", orDash(s.Author)}, {"entry", fmt.Sprint(s.Entry)}, {"type", s.Type}, {"about", oneLine(s.What)},
		{"signed", fmt.Sprintf("%d of %d", len(s.Signed), s.Must)}, {"checkpoint", fmt.Sprintf("%d of %d", len(s.Confirmed), s.Must)},
	}
	for _, k := range s.Keys {
		done := "may sign"
		switch {
		case slices.Contains(s.Confirmed, k):
			done = "signed entry and checkpoint"
		case slices.Contains(s.Signed, k):
			done = "signed the entry"
		}
		v.rows = append(v.rows, []string{"key", k + "  " + done})
	}
	v.lines = []string{"more signatures are needed"}
	if s.Complete {
		v.lines = []string{"complete: dockchain ledger append FILE adds it to the log"}
	}
	return v
}

func newLedgerAppendCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "append FILE",
		Short: "Add a proposal that enough people signed to your author's log",
		Long: `Add a proposal that enough people signed to the log of the author whose data directory
this is; the key that is here signs what is missing of it. A first entry begins the log.`,
		Example: `  dockchain ledger append release.proposal`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := runLedgerAppend(cmd.Context(), g, args[0]); err != nil {
				return fmt.Errorf("appending %s: %w", args[0], err)
			}
			return nil
		},
	}
}

func runLedgerAppend(ctx context.Context, g *global, name string) error {
	if g.homeErr != nil {
		return g.homeErr
	}
	proposal, err := node.LoadProposal(name)
	if err != nil {
		return err
	}
	cfg := node.DefaultConfig()
	cfg.Home = g.home
	if cfg.IsProposed() {
		id, err := cfg.BeginAuthor(proposal)
		if err != nil {
			return err
		}
		return g.withData(ctx, func(*api.Client) error { // which begins the log
			return g.ui.print(saidView(api.Said{Type: "inception", What: "made " + string(id), Author: string(id)}))
		})
	}
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.AppendProposal(ctx, proposal)
		if err != nil {
			return err
		}
		return g.ui.print(saidView(res))
	})
}

// several are the flags of commands that name the other holders of keys.
type several struct {
	threshold int
	pubs      []string
	proposing
}

func (s *several) addFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&s.threshold, "threshold", 1, "this `number` of the keys must sign")
	cmd.Flags().StringArrayVar(&s.pubs, "key-of", nil, "another key, as the `file` NAME.pub of dockchain author key tells it; repeatable")
	s.addFlag(cmd)
}

// asked tells whether several people are meant to sign.
func (s *several) asked(cmd *cobra.Command) (bool, error) {
	asked := s.file != "" || len(s.pubs) > 0 || s.threshold != 1
	if asked && s.file == "" {
		return true, &usageError{err: errors.New("others have to sign: --propose FILE"), command: cmd.CommandPath()}
	}
	if s.threshold < 1 || s.threshold > len(s.pubs)+1 {
		return true, &usageError{err: fmt.Errorf("--threshold %d of %d keys", s.threshold, len(s.pubs)+1), command: cmd.CommandPath()}
	}
	return asked, nil
}

func (s *several) holders() ([]string, error) {
	var lines []string
	for _, name := range s.pubs {
		line, err := node.LoadHolder(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		lines = append(lines, line)
	}
	return lines, nil
}
