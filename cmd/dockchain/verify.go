package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newVerifyCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "verify TARGET",
		Short: "Tell whether an image may be accepted, with every reason",
		Long: `Tell whether an image may be accepted, with every reason.

Where the image is on this node its bytes are hashed again; where it is not, its
release is judged. Exit code 12 says that the verdict is against it.`,
		Example: `  dockchain verify alice/debian:12
  dockchain verify 'magnet:?xt=urn:btih:…' -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), g, args[0])
		},
	}
}

func runVerify(ctx context.Context, g *global, target string) error {
	return g.withData(ctx, func(c *api.Client) error {
		show, stop := g.ui.progress()
		res, err := c.Verify(ctx, target, show)
		stop()
		if err != nil {
			return fmt.Errorf("verifying %s: %w", shorten(target, 80), err)
		}
		if err := g.ui.print(verifiedView(res)); err != nil {
			return err
		}
		if !res.Verdict.Accepted {
			return &api.RejectedError{Ref: res.Ref, Verdict: res.Verdict}
		}
		return nil
	})
}

func verifiedView(v api.Verified) view {
	lines := []string{fmt.Sprintf("%s  %s", v.Ref, v.Digest)}
	if v.Author != "" {
		lines = append(lines, "author "+v.Author)
	}
	lines = append(lines, moveLines(v.Moved)...)
	lines = append(lines, reasonLines(v.Verdict)...)
	lines = append(lines, opinionLines(v.Opinions)...)
	if v.Verdict.Accepted && !v.Local {
		lines = append(lines, "not all of its bytes are on this node: the release was judged")
	}
	return view{value: v, names: []string{v.Ref}, lines: lines}
}

// reasonLines tells a verdict, a line for each reason.
func reasonLines(v api.Verdict) []string {
	verdict := "accepted"
	if !v.Accepted {
		verdict = "rejected"
	}
	lines := []string{verdict + ":"}
	for _, r := range v.Reasons {
		mark := "ok  "
		if !r.OK {
			mark = "FAIL"
		}
		lines = append(lines, fmt.Sprintf("  %s  %-9s  %s", mark, r.Rule, r.Text))
	}
	return lines
}
