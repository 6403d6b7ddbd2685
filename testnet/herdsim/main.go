package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dockchains/dockchain/p2p/swarm"
)

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	if err := run(o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "herdsim:", err)
		os.Exit(1)
	}
}

type options struct {
	Scenario
	herds []int
	svg   string
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{Scenario: Usual(0)}
	var nodes, uplinks string
	var piece int64
	var plain bool
	f := flag.NewFlagSet("herdsim", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&nodes, "nodes", "10,30,100,300,1000,3000,10000", "play herds of these `numbers` of nodes")
	f.StringVar(&o.svg, "svg", "", "draw the plot into this `file`")
	f.Int64Var(&o.Size, "size", o.Size, "`bytes` of the image")
	f.Int64Var(&piece, "piece", 0, "`bytes` of a piece (default: dockchain's at this size)")
	f.Int64Var(&o.Chunk, "chunk", o.Chunk, "`bytes` of a request")
	f.Float64Var(&o.Source, "source", o.Source, "`bytes` a second that the source may send")
	f.StringVar(&uplinks, "uplinks", "50e6", "the same of the nodes, several by turns, as 10e6,50e6,100e6")
	f.DurationVar(&o.RoundTrip, "rtt", 0, "round trip `time`")
	f.DurationVar(&o.Arrivals, "arrivals", 0, "`time` over which the nodes come")
	f.Float64Var(&o.Frozen, "frozen", 0, "`share` of the nodes that stop for good")
	f.Float64Var(&o.Liars, "liars", 0, "`share` of the nodes that send garbage")
	f.IntVar(&o.Depth, "depth", o.Depth, "`requests` under way by connection")
	f.BoolVar(&o.Whole, "whole", false, "serve a connection until its piece is whole")
	f.BoolVar(&plain, "plain", false, "no super-seeding")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "`number` that chance begins with")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.Super = !plain
	if o.Piece = piece; piece == 0 {
		o.Piece = swarm.PieceLength(o.Size)
	}
	err := errors.Join(o.readNodes(nodes), o.readUplinks(uplinks), o.Validate())
	if f.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("%v: no arguments are taken", f.Args()))
	}
	if err != nil {
		fmt.Fprintln(stderr, "herdsim:", err)
	}
	return o, err
}

func (o *options) readNodes(list string) error {
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 100_000 {
			return fmt.Errorf("-nodes %s: numbers from 1 to 100000 are needed", list)
		}
		o.herds = append(o.herds, n)
	}
	return nil
}

func (o *options) readUplinks(list string) error {
	o.Uplinks = nil
	for s := range strings.SplitSeq(list, ",") {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || v <= 0 {
			return fmt.Errorf("-uplinks %s: rates are needed", list)
		}
		o.Uplinks = append(o.Uplinks, v)
	}
	return nil
}

func run(o options, stdout, stderr io.Writer) error {
	var results []Result
	for _, n := range o.herds {
		s := o.Scenario
		s.Nodes = n
		start := time.Now()
		r, err := Play(s)
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "%d nodes: %d events in %s\n", n, r.Events, time.Since(start).Round(time.Millisecond))
		results = append(results, r)
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "nodes\tp50\tp99\tp99.9\tlast\tcopies\twasted\t")
	for _, r := range results {
		fmt.Fprintf(t, "%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.3f %%\t\n",
			r.Nodes, r.Ratio(0.5), r.Ratio(0.99), r.Ratio(0.999), r.Ratio(1), r.Copies, 100*r.Wasted)
	}
	fmt.Fprintln(t, "times are from a node's arrival, against the ideal")
	if err := t.Flush(); err != nil {
		return err
	}
	if o.svg == "" {
		return nil
	}
	return os.WriteFile(o.svg, draw(results), 0o644)
}
