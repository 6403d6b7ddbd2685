package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newWitnessPolicyCommand(g *global) *cobra.Command {
	ask := true
	cmd := &cobra.Command{
		Use:   "policy [FILE]",
		Short: "Explain a policy of witnesses, and tell which of them answer",
		Long: `Explain a policy of witnesses, and tell which of them answer. FILE is a C2SP
tlog-policy, - is standard input; without it the node's own is meant.

A running node asks each witness that has an address to cosign the newest
checkpoint of your log: "cosigned" is one that works. "refused" is there, and says
why not, as one that has not heard of your log yet. Exit code 3 says that not all
cosigned.`,
		Example: `  dockchain witness policy
  dockchain witness policy ./policy
  dockchain witness policy ./policy --ask=false -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := api.PolicyRequest{Ask: ask}
			if len(args) == 1 {
				text, err := loadPolicy(cmd.InOrStdin(), args[0])
				if err != nil {
					return fmt.Errorf("reading the policy: %w", err)
				}
				req.Text = text
			}
			return runWitnessPolicy(cmd.Context(), g, req)
		},
	}
	cmd.Flags().BoolVar(&ask, "ask", true, "ask the witnesses")
	return cmd
}

// maxPolicy bounds a policy in bytes: it goes to the node in one request.
const maxPolicy = 512 << 10

func loadPolicy(stdin io.Reader, name string) (string, error) {
	b, err := loadFile(stdin, name, maxPolicy)
	switch {
	case err != nil:
		return "", err
	case len(b) == 0:
		return "", fmt.Errorf("%w: %s is empty", api.ErrBadPolicy, name)
	case !utf8.Valid(b):
		return "", fmt.Errorf("%w: %s is not UTF-8", api.ErrBadPolicy, name)
	case len(b) > maxPolicy:
		return "", fmt.Errorf("%w: %s has more than %d bytes", api.ErrBadPolicy, name, maxPolicy)
	}
	return string(b), nil
}

func runWitnessPolicy(ctx context.Context, g *global, req api.PolicyRequest) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.ExplainPolicy(ctx, req)
		if errors.Is(err, api.ErrOffline) && req.Ask {
			g.ui.note("no node runs here, and nobody was asked")
			req.Ask = false
			res, err = c.ExplainPolicy(ctx, req)
		}
		if err != nil {
			return fmt.Errorf("explaining the policy: %w", err)
		}
		if err := g.ui.print(policyView(res)); err != nil {
			return err
		}
		var silent []string
		for _, w := range res.Witnesses {
			if w.Answer != "" && w.Answer != api.AnswerCosigned {
				silent = append(silent, oneLine(w.Name))
			}
		}
		if len(silent) > 0 {
			return fmt.Errorf("%w: these witnesses did not cosign: %s", errPartial, strings.Join(silent, ", "))
		}
		return nil
	})
}

func policyView(p api.PolicyStatus) view {
	v := view{value: p, list: anyList(p.Witnesses), header: []string{"WITNESS", "ANSWER", "ADDRESS", "KEY"}}
	for _, w := range p.Witnesses {
		v.names = append(v.names, oneLine(w.Name))
		v.rows = append(v.rows, []string{oneLine(w.Name), orDash(w.Answer), orDash(oneLine(w.URL)), w.Key})
	}
	for _, l := range p.Logs {
		v.lines = append(v.lines, "only this log counts: "+oneLine(l))
	}
	for _, g := range p.Groups {
		v.lines = append(v.lines, "group "+oneLine(g.Name)+": "+strconv.Itoa(g.Threshold)+" of "+oneLine(strings.Join(g.Members, ", ")))
	}
	switch p.Quorum {
	case "none":
		v.lines = append(v.lines, "quorum: none; no witness is needed")
	default:
		v.lines = append(v.lines, "quorum: "+oneLine(p.Quorum))
	}
	for _, w := range p.Witnesses {
		if w.Why != "" {
			v.lines = append(v.lines, oneLine(w.Name)+": "+oneLine(w.Why))
		}
	}
	return v
}
