package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newShowCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "show TARGET",
		Short: "Describe one image: its release, its files and who holds it",
		Example: `  dockchain show alice/debian:12
  dockchain show me/app:1.0 -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runShow(cmd.Context(), g, args[0])
		},
	}
}

func runShow(ctx context.Context, g *global, target string) error {
	return g.withData(ctx, func(c *api.Client) error {
		res, err := c.Show(ctx, target)
		if err != nil {
			return fmt.Errorf("showing %s: %w", shorten(target, 80), err)
		}
		return g.ui.print(shownView(res))
	})
}

func shownView(s api.Shown) view {
	v := view{value: s, names: []string{s.Ref}}
	add := func(name, value string) {
		if value != "" {
			v.rows = append(v.rows, []string{name, value})
		}
	}
	add("image", s.Ref)
	add("title", oneLine(s.Title))
	add("description", oneLine(s.Description))
	add("author", s.Author)
	add("digest", s.Digest)
	add("media type", s.MediaType)
	add("size", bytesOf(s.Size))
	add("platforms", strings.Join(s.Platforms, ", "))
	add("created", s.Created.UTC().Format(time.RFC3339))
	add("here", yesNo(s.Local))
	add("entry", fmt.Sprintf("%d of a log of %d", s.Entry, s.LogSize))
	add("revoked", oneLine(s.Revoked))
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		add("label", key+"="+s.Labels[key])
	}
	for _, h := range s.Holders {
		add("holder", h)
	}
	for _, b := range s.Blobs {
		here := ""
		if b.Local {
			here = ", here"
		}
		add("file", b.Digest+"  "+bytesOf(b.Size)+here)
	}
	v.lines = append(append(moveLines(s.Moved), opinionLines(s.Opinions)...), s.Magnet)
	return v
}
