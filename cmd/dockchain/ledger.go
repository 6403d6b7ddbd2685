package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

// errBadProof is a proof that proves nothing.
var errBadProof = errors.New("the proof does not hold")

func newLedgerCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "ledger",
		Short: "Read, prove and export the logs of authors",
		Long: `Read, prove and export the logs of authors.

Each author has one log that only grows, and signs its checkpoints. AUTHOR is me,
a name given with dockchain alias, or an author id. A running node also serves
every log it has to ordinary transparency-log tools, as C2SP tlog-tiles, at
http://ADDRESS-OF-THE-API/ledger/AUTHOR-ID/.`,
		Example: `  dockchain ledger log alice
  dockchain ledger prove alice/debian:12 > debian.proof
  dockchain ledger verify debian.proof`,
	}, newLedgerLogCommand(g), newLedgerShowCommand(g), newLedgerProveCommand(g), newLedgerVerifyCommand(g), newLedgerAppendCommand(g), newLedgerExportCommand(g))
}

func newLedgerLogCommand(g *global) *cobra.Command {
	req := api.LogRequest{}
	var from uint64
	cmd := &cobra.Command{
		Use:   "log AUTHOR",
		Short: "List the entries of an author's log, by default the last ones",
		Example: `  dockchain ledger log me
  dockchain ledger log alice --from 0 --limit 100 -o jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if req.Limit < 1 {
				return &usageError{err: fmt.Errorf("--limit %d: a number from 1 is needed", req.Limit), command: cmd.CommandPath()}
			}
			if req.Author = args[0]; cmd.Flags().Changed("from") {
				req.From = &from
			}
			return runLedgerLog(cmd.Context(), g, req)
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "begin with this `entry`")
	cmd.Flags().IntVar(&req.Limit, "limit", 25, "at most this `number` of entries, up to 100")
	return cmd
}

func runLedgerLog(ctx context.Context, g *global, req api.LogRequest) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.Log(ctx, req)
		if err != nil {
			return fmt.Errorf("reading the log of %s: %w", req.Author, err)
		}
		if n := uint64(len(res.Entries)); n > 0 && n < res.Size {
			g.ui.note("entries %d to %d of %d; others: --from N --limit N", res.Entries[0].Index, res.Entries[n-1].Index, res.Size)
		}
		return g.ui.print(logView(res))
	})
}

func logView(l api.Log) view {
	v := view{value: l, list: anyList(l.Entries), header: []string{"ENTRY", "TYPE", "ABOUT"}}
	for _, e := range l.Entries {
		index := strconv.FormatUint(e.Index, 10)
		v.names = append(v.names, index)
		v.rows = append(v.rows, []string{index, e.Type, oneLine(e.About)})
	}
	if l.Frozen != "" {
		v.lines = append(v.lines, "frozen: "+l.Frozen)
	}
	return v
}

func newLedgerShowCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "show AUTHOR ENTRY",
		Short: "Show one entry of an author's log, whole",
		Example: `  dockchain ledger show me 0
  dockchain ledger show alice 3 -o json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			index, err := strconv.ParseUint(args[1], 10, 64)
			if err != nil {
				return &usageError{err: fmt.Errorf("%s: the number of an entry is needed, from 0", args[1]), command: cmd.CommandPath()}
			}
			return runLedgerShow(cmd.Context(), g, args[0], index)
		},
	}
}

func runLedgerShow(ctx context.Context, g *global, author string, index uint64) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.LogEntry(ctx, author, index)
		if err != nil {
			return fmt.Errorf("reading entry %d of %s: %w", index, author, err)
		}
		return g.ui.print(entryView(res))
	})
}

func entryView(e api.LogEntry) view {
	v := view{value: e, names: []string{strconv.FormatUint(e.Index, 10)}, rows: entryRows(e)}
	v.lines = []string{string(e.Statement)}
	return v
}

func entryRows(e api.LogEntry) [][]string {
	rows := [][]string{
		{"author", e.Author}, {"entry", strconv.FormatUint(e.Index, 10)}, {"type", e.Type}, {"about", oneLine(e.About)},
	}
	for _, key := range e.SignedBy {
		rows = append(rows, []string{"signed by", key})
	}
	return rows
}

func newLedgerProveCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "prove TARGET",
		Short: "Print a proof of a release that needs no node to check",
		Long: `Print a proof of a release that needs no node to check.

Of AUTHOR/REPO:TAG it proves that this is the latest release of the tag and is not
revoked, as of the checkpoint in it; of a magnet link or a digest, that it is in
the log of its author.`,
		Example: `  dockchain ledger prove alice/debian:12 > debian.proof
  dockchain ledger prove 'magnet:?xt=urn:btih:…'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLedgerProve(cmd.Context(), g, args[0])
		},
	}
}

func runLedgerProve(ctx context.Context, g *global, target string) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.ProveRelease(ctx, target)
		if err != nil {
			return fmt.Errorf("proving %s: %w", shorten(target, 80), err)
		}
		return g.ui.print(proofView(res))
	})
}

func proofView(p api.LedgerProof) view {
	return view{value: p, names: []string{p.Ref}, lines: []string{p.Proof}}
}

func newLedgerVerifyCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a proof, without a node and without the network",
		Long: `Check a proof, without a node and without the network. FILE is what dockchain
ledger prove printed; - is standard input. Exit code 12 says that it does not
hold. What an author said after the checkpoint in it, a proof cannot tell.`,
		Example: `  dockchain ledger verify debian.proof
  dockchain ledger verify debian.proof -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := runLedgerVerify(g, cmd.InOrStdin(), args[0]); err != nil {
				return fmt.Errorf("checking %s: %w", args[0], err)
			}
			return nil
		},
	}
}

func runLedgerVerify(g *global, stdin io.Reader, name string) error {
	proof, err := readProof(stdin, name)
	if err != nil {
		return err
	}
	res, err := api.CheckProof(bytes.TrimSuffix(proof, []byte("\n")))
	if err != nil {
		return fmt.Errorf("%w: %w", errBadProof, err)
	}
	return g.ui.print(checkedView(res))
}

// readProof reads no more of a file than a proof may have.
func readProof(stdin io.Reader, name string) ([]byte, error) {
	return loadFile(stdin, name, api.MaxProof+1)
}

// loadFile reads a file, or standard input where it is named -: all of it, or one
// byte more than max.
func loadFile(stdin io.Reader, name string, max int64) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, max+1))
}

func checkedView(p api.CheckedProof) view {
	says := "the proof holds: the entry is in the log of its author"
	if p.Kind == api.ProofLatest {
		says = "the proof holds: this is the latest release of its tag, and not revoked"
	}
	v := view{value: p, names: []string{p.Ref}, rows: entryRows(p.Entry), lines: []string{says}}
	if p.Ref == "" {
		v.names = []string{p.Entry.Author}
	} else {
		v.rows = append(v.rows, []string{"image", p.Ref}, []string{"digest", p.Digest}, []string{"infohash", p.Infohash})
	}
	v.rows = append(v.rows, []string{"log", p.Origin}, []string{"size", fmt.Sprintf("%d, root %s", p.Size, p.Root)})
	return v
}

func newLedgerExportCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "export AUTHOR DIR",
		Short: "Write a log as files that any web server can host",
		Long: `Write a log as files that any web server can host, for ordinary transparency-log
tools (C2SP tlog-tiles). A directory that an earlier export wrote is brought up to
date.`,
		Example: `  dockchain ledger export me ./log`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLedgerExport(cmd.Context(), g, args[0], args[1])
		},
	}
}

func runLedgerExport(ctx context.Context, g *global, author, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", dir, err)
	}
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.ExportLog(ctx, author, dir)
		if err != nil {
			return fmt.Errorf("exporting the log of %s: %w", author, err)
		}
		return g.ui.print(exportedView(res))
	})
}

func exportedView(e api.ExportedLog) view {
	return view{value: e, names: []string{e.Dir}, lines: []string{fmt.Sprintf("exported %d entries of %s to %s", e.Size, e.Author, e.Dir)}}
}
