// Command bench measures dockchain beside its peers, on one machine, in one run.
//
//	go run ./testnet/bench [-run REGEXP] [-o table|json] [-list] [-md FILE] [-svg FILE] [-entries N]
//
// Each row compares what two real node processes do with what others do with the
// same bytes: aria2c to aria2c (with a tracker of the bench's own), a plain HTTP
// download with sha256 in Go, or a copy with sha256. Contenders take turns round
// by round, and a row holds the median of its rounds, because a shared machine
// is faster in one minute than in the next. The bytes are random; all traffic is
// on loopback; everything is kept in one temporary directory and removed.
//
// The ledger's rows come from workloads in processes of their own, at a tenth of
// the scale that is aimed at unless -entries says otherwise, and from Tessera's
// POSIX driver, which the program in the module beside this one runs.
//
// The rows roads/far-… need root: they build an internet of network namespaces,
// with delay and loss.
//
// A row that misses its aim is printed as such; the exit code is 0 all the same.
// It is 1 when something could not be measured.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

const defaultRounds = 5

type options struct {
	run     *regexp.Regexp
	output  string
	list    bool
	md      string
	svg     string
	dir     string
	binary  string
	rounds  int
	entries int
	scale   int
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == childRole {
		if err := runChild(os.Args[2], os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	if err := bench(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var pattern string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&pattern, "run", "", "measure only rows whose name matches this `regexp`")
	f.StringVar(&o.output, "o", "table", "what to print: `table|json`")
	f.BoolVar(&o.list, "list", false, "name the rows and stop")
	f.StringVar(&o.md, "md", "", "write the table as Markdown to this `file`; one with <!-- bench --> marks keeps what is around them")
	f.StringVar(&o.svg, "svg", "", "write a chart to this `file`")
	f.StringVar(&o.dir, "dir", os.TempDir(), "temporary `directory`, on the disk to be measured")
	f.StringVar(&o.binary, "binary", "", "dockchain `file` to measure (default: built from this module)")
	f.IntVar(&o.rounds, "rounds", defaultRounds, "rounds of each transfer")
	f.IntVar(&o.scale, "scale", 1, "divide the sizes of the roads' rows by this, for a quick look")
	f.IntVar(&o.entries, "entries", 100_000, "entries of the logs that are read, a tenth as many authors")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	err := fmt.Errorf("%v: no arguments are taken", f.Args())
	if f.NArg() == 0 {
		o.run, err = regexp.Compile(pattern)
	}
	if err == nil && o.output != "table" && o.output != "json" {
		err = fmt.Errorf("-o %s: table or json is needed", o.output)
	}
	if err == nil && o.rounds < 1 {
		err = fmt.Errorf("-rounds %d: at least 1 is needed", o.rounds)
	}
	if err == nil && o.entries < minEntries {
		err = fmt.Errorf("-entries %d: at least %d are needed", o.entries, minEntries)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
	}
	return o, err
}

func bench(ctx context.Context, o options, stdout io.Writer) error {
	plan := selectRows(o.run)
	if o.list {
		for _, r := range plan {
			fmt.Fprintln(stdout, r.name)
		}
		return nil
	}
	if len(plan) == 0 {
		return fmt.Errorf("-run %s names no row", o.run)
	}
	about := describeMachine(o)
	about.Entries = o.entries
	samples, err := measure(ctx, o, plan)
	if err != nil {
		return err
	}
	about.finish()
	rows := make([]Row, len(plan))
	for i, r := range plan {
		rows[i] = r.judge(samples)
	}
	if o.output == "json" {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		err = e.Encode(struct {
			Machine machine `json:"machine"`
			Rows    []Row   `json:"rows"`
		}{about, rows})
	} else {
		err = printTable(stdout, rows, about)
	}
	if err != nil {
		return err
	}
	if o.md != "" {
		if err := writeMarkdown(o.md, rows, about); err != nil {
			return fmt.Errorf("writing the Markdown: %w", err)
		}
	}
	if o.svg != "" {
		if err := os.WriteFile(o.svg, drawChart(rows, about), 0o644); err != nil {
			return fmt.Errorf("writing the chart: %w", err)
		}
	}
	return nil
}
