package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type searchOptions struct {
	platform string
	author   string
	limit    int
	offset   int
}

func newSearchCommand(g *global) *cobra.Command {
	var o searchOptions
	cmd := &cobra.Command{
		Use:   "search [WORD...]",
		Short: "Search the images that this node has heard of",
		Long: `Search the images that this node has heard of, exact names first.

Beside words the query takes author:NAME, platform:OS/ARCH, label:KEY=VALUE and
repo:tag. Without words everything is listed. Each image is fetched by its
magnet link (-o json) or by the name in the first column.`,
		Example: `  dockchain search debian
  dockchain search web server --platform linux/arm64
  dockchain search author:alice label:team=blue -o json
  dockchain search nginx -o name | head -1 | xargs dockchain fetch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSearch(cmd.Context(), g, o, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.platform, "platform", "", "only images for this `os/arch[/variant]`")
	f.StringVar(&o.author, "author", "", "only images of this `author`: me, a name or an id")
	f.IntVar(&o.limit, "limit", 25, "at most this `many`, up to 100")
	f.IntVar(&o.offset, "offset", 0, "leave out the first so `many`")
	return cmd
}

func runSearch(ctx context.Context, g *global, o searchOptions, words []string) error {
	if o.limit < 1 || o.limit > 100 || o.offset < 0 {
		return &usageError{err: fmt.Errorf("--limit is from 1 to 100, --offset from 0"), command: "dockchain search"}
	}
	req := api.SearchRequest{
		Query: strings.Join(words, " "), Platform: o.platform, Author: o.author, Limit: o.limit, Offset: o.offset,
	}
	return g.withData(ctx, func(c *api.Client) error {
		found, total, err := c.Search(ctx, req)
		if err != nil {
			return fmt.Errorf("searching: %w", err)
		}
		if err := g.ui.print(foundView(g.ui, found)); err != nil {
			return err
		}
		if shown := o.offset + len(found); shown < total && len(found) > 0 {
			g.ui.note("%d of %d; the next: --offset %d", len(found), total, shown)
		}
		return nil
	})
}

func foundView(u *ui, found []api.Found) view {
	v := view{
		value: found, list: anyList(found),
		header: []string{"IMAGE", "DIGEST", "SIZE", "PLATFORMS", "AGE", "HERE", "DESCRIPTION"},
	}
	for _, f := range found {
		v.names = append(v.names, f.Ref)
		text := f.Description
		if text == "" {
			text = f.Title
		}
		if f.Unwitnessed != "" {
			text = "[seen by " + f.Unwitnessed + "] " + text
		}
		v.rows = append(v.rows, []string{
			f.Ref, shortItem(f.Digest), bytesOf(f.Size), shorten(orDash(strings.Join(f.Platforms, ",")), 30),
			u.age(f.Created), yesNo(f.Local), shorten(oneLine(text), 60),
		})
	}
	return v
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
