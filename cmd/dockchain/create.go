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
	Work    int    `json:"work"`              // bits
	Existed bool   `json:"existed,omitempty"` // nothing was made
}

// workOptions say how much work goes into a new author.
type workOptions struct {
	bits int
	room string
}

func (o *workOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&o.bits, "work", 0, "`bits` of work in the first entry, -1 for none (default 18)")
	cmd.Flags().StringVar(&o.room, "quota", "", "as much work as gives room for this many `bytes` at other nodes, as 64MB")
}

// errNoSuchWork is a quota that no work gives.
var errNoSuchWork = errors.New("no work gives that much room")

// workBits are those asked for; 0: the default.
func (o *workOptions) workBits() (int, error) {
	if o.room == "" {
		return o.bits, nil
	}
	if o.bits != 0 {
		return 0, errors.New("--work and --quota say the same: give one of them")
	}
	bytes, err := parseWhole(o.room)
	if err != nil {
		return 0, fmt.Errorf("--quota: %w", err)
	}
	bits, ok := node.Quota{}.WorkFor(bytes)
	if !ok {
		return 0, fmt.Errorf("--quota %s: %w: at most %s", o.room, errNoSuchWork, bytesOf(node.Quota{}.WithDefaults().Max.Bytes))
	}
	return bits, nil
}

func newAuthorCreateCommand(g *global) *cobra.Command {
	var network string
	var s several
	var work workOptions
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make your author: its keys and its log",
		Long: `Make your author: its keys, and its log with the first entry, in the data
directory, which is made too. No node and no network is needed; the work that the
first entry has to show takes some tenths of a second. Each bit more takes twice as
long, once, and gives twice the room at nodes that do not know you: 16 bits 4 MiB, 18
bits 16 MiB, 22 bits 256 MiB as far as they keep to the defaults; less than 16 bits is
refused by them, unless somebody whom they trust vouches for you. Where there is an
author already, this tells its id and changes nothing.

With --key-of and --threshold several people speak for the author: this directory's key
and those of others, who make theirs with dockchain author key. They sign the proposal
with dockchain author sign, and dockchain ledger append begins the log.`,
		Example: `  dockchain author create
  dockchain author create --quota 64MB
  dockchain author create --home ./team --key-of bob.pub --key-of carol.pub --threshold 2 --propose team.proposal
  dockchain author create --home ./second --network lab -o name`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asked, err := s.asked(cmd); asked || err != nil {
				return g.proposeAuthor(cmd.Context(), s, network, work, err)
			}
			return runAuthorCreate(cmd.Context(), g, network, work)
		},
	}
	s.addFlags(cmd)
	work.addFlags(cmd)
	cmd.Flags().StringVar(&network, "network", "", "`name` of the author's network (default: the data directory's, else public)")
	return cmd
}

func runAuthorCreate(ctx context.Context, g *global, network string, work workOptions) error {
	if g.homeErr != nil {
		return g.homeErr
	}
	cfg := node.DefaultConfig()
	cfg.Home, cfg.Network = g.home, network
	var err error
	if cfg.WorkBits, err = work.workBits(); err != nil {
		return &usageError{err: err, command: "dockchain author create"}
	}
	if err := cfg.Validate(); err != nil {
		return &usageError{err: err, command: "dockchain author create"}
	}
	created := createdAuthor{Existed: cfg.HasAuthor()}
	if err := os.MkdirAll(g.home, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	return g.withDataOf(ctx, network, cfg.WorkBits, func(c *api.Client) error {
		s, err := c.Status(ctx)
		if err == nil && network != "" && network != s.Network {
			err = fmt.Errorf("%w: %s is of %q, and %q was asked for", node.ErrOtherNetwork, s.Home, s.Network, network)
		}
		if err != nil {
			return fmt.Errorf("making the author: %w", err)
		}
		a, err := c.Author(ctx, s.Author)
		if err != nil {
			return fmt.Errorf("showing the author: %w", err)
		}
		created.Work = a.Work
		created.Author, created.Network, created.Home = s.Author, s.Network, s.Home
		return g.ui.print(createdView(created))
	})
}

// proposeAuthor proposes an author for whom several people speak.
func (g *global) proposeAuthor(ctx context.Context, s several, network string, work workOptions, err error) error {
	if err != nil || g.homeErr != nil {
		return errors.Join(err, g.homeErr)
	}
	holders, err := s.holders()
	if err != nil {
		return err
	}
	cfg := node.DefaultConfig()
	cfg.Home, cfg.Network = g.home, network
	if cfg.WorkBits, err = work.workBits(); err == nil {
		err = cfg.Validate()
	}
	if err != nil {
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
	v.rows = [][]string{{"author", c.Author}, {"network", c.Network}, {"home", c.Home}, {"work", plural(c.Work, "bit")}}
	return v
}
