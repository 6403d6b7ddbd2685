package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newWitnessCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "witness",
		Short: "This node as a witness of logs, and its own witnesses",
		Long: `This node as a witness of logs, and its own witnesses.

A witness signs a checkpoint of a log after it has seen it grow from the last one
it signed: who shows different logs to different people needs witnesses that look
away. Every node is a witness of the logs that it has. Your author asks those that
the file of dockchain run --witness-policy names, in the form of C2SP tlog-policy:

  witness alice KEY ADDRESS
  witness bob   KEY ADDRESS
  group both all alice bob
  quorum both

dockchain witness key, at alice's and bob's, prints their lines.`,
		Example: `  dockchain witness key --name alice
  dockchain witness policy
  dockchain witness check alice/debian:12`,
	}, newWitnessShowCommand(g), newWitnessListCommand(g), newWitnessKeyCommand(g), newWitnessPolicyCommand(g), newWitnessCheckCommand(g))
}

func newWitnessShowCommand(g *global) *cobra.Command {
	var req api.CosignedRequest
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Tell this node's key as a witness, what it cosigned, and its policy",
		Example: `  dockchain witness show
  dockchain witness show -o json
  dockchain witness show --limit 1000 --after public/l/bafkrei…`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runWitnessShow(cmd.Context(), g, req) },
	}
	addCosignedFlags(cmd, &req)
	return cmd
}

func addCosignedFlags(cmd *cobra.Command, req *api.CosignedRequest) {
	cmd.Flags().StringVar(&req.After, "after", "", "list logs after this `origin`")
	cmd.Flags().IntVar(&req.Limit, "limit", 100, "list at most so many `logs`, up to 1000")
}

// withWitness asks the node what it is as a witness.
func withWitness(ctx context.Context, g *global, command string, req api.CosignedRequest, show func(api.WitnessStatus) error) error {
	if req.Limit < 1 {
		return &usageError{err: fmt.Errorf("--limit %d: a number from 1 is needed", req.Limit), command: command}
	}
	return g.withData(ctx, func(c *api.Client) error {
		s, err := c.WitnessStatus(ctx, req)
		if err != nil {
			return fmt.Errorf("asking the node as a witness: %w", err)
		}
		return show(s)
	})
}

func runWitnessShow(ctx context.Context, g *global, req api.CosignedRequest) error {
	return withWitness(ctx, g, "dockchain witness show", req, func(s api.WitnessStatus) error { return g.ui.print(witnessView(s)) })
}

func witnessView(s api.WitnessStatus) view {
	v := view{value: s, names: []string{s.Key}}
	v.rows = [][]string{{"key", s.Key}, {"address", orDash(s.Address)}}
	for _, c := range s.Cosigned {
		v.rows = append(v.rows, []string{"cosigned", oneLine(c.Origin) + "  size " + strconv.FormatUint(c.Size, 10) + "  " + c.Time.UTC().Format(time.RFC3339)})
	}
	if s.Policy == "" {
		v.lines = []string{"no policy: this node asks no witness"}
		return v
	}
	v.lines = append([]string{"policy:"}, policyLines(s.Policy)...)
	return v
}

// policyLines are the lines of a policy, which may name anything.
func policyLines(policy string) []string {
	var lines []string
	for l := range strings.Lines(policy) {
		lines = append(lines, "  "+oneLine(strings.TrimSuffix(l, "\n")))
	}
	return lines
}
