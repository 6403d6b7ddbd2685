package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type statusOptions struct{ watch bool }

func newStatusCommand(g *global) *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status",
		Short: "The node at a glance",
		Long: `The node at a glance.

--watch shows what passes between the node and its peers, and the fetches under way, anew
every second until it is interrupted; with -o jsonl a line each time.`,
		Example: `  dockchain status
  dockchain status -o json
  dockchain status --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), g, o) },
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "show what the node does, until interrupted")
	return cmd
}

func runStatus(ctx context.Context, g *global, o statusOptions) error {
	if o.watch {
		return g.withNode(ctx, func(c *api.Client) error { return watchStatus(ctx, g, c) })
	}
	return g.withData(ctx, func(c *api.Client) error {
		s, err := c.Status(ctx)
		if err != nil {
			return fmt.Errorf("asking for the status: %w", err)
		}
		return g.ui.print(statusView(g.ui, s))
	})
}

func statusView(u *ui, s api.Status) view {
	v := view{value: s, names: []string{s.Peer}}
	add := func(name, value string) {
		if value != "" {
			v.rows = append(v.rows, []string{name, value})
		}
	}
	running := "no"
	if s.Addresses.Socket != "" {
		if running = "yes"; u.now().Sub(s.Started) >= time.Minute {
			running = "for " + u.age(s.Started)
		}
	}
	add("running", running)
	add("version", s.Version)
	add("network", s.Network)
	add("peer", s.Peer)
	add("author", s.Author)
	add("home", s.Home)
	add("registry", s.Addresses.Registry)
	add("mirror", s.Addresses.Mirror)
	add("api", s.Addresses.API)
	add("bittorrent", s.Addresses.BitTorrent)
	for _, a := range s.Addresses.Peer {
		add("address", a)
	}
	add("peers", strconv.Itoa(s.Peers))
	add("ledger", fmt.Sprintf("%s of %s", plural(int(s.Entries), "record"), plural(s.Authors, "author")))
	add("catalogue", plural(s.Releases, "image"))
	add("held", fmt.Sprintf("%s in %s, %s", plural(s.Images, "image"), plural(s.Blobs, "file"), bytesOf(s.Bytes)))
	addStorage(add, u, s.Storage)
	if l := s.Limits; l != nil {
		add("of others", fmt.Sprintf("%s of %.0f, %s of %s", plural(int(l.Authors), "author"), l.Limits["total_authors"],
			bytesOf(l.Bytes), bytesOf(int64(l.Limits["total_bytes"]))))
		add("over quota", refusalsOf(l))
	}
	for _, t := range s.Transfers {
		add("fetching", fmt.Sprintf("%s  %s of %s, %s/s, %s", shorten(t.Target, 60), bytesOf(t.Done), bytesOf(t.Total),
			bytesOf(int64(t.Rate)), plural(t.Peers, "peer")))
	}
	return v
}

// refusalsOf counts what limits refused, by the name of the limit.
func refusalsOf(l *api.LimitStatus) string {
	var out []string
	for _, limit := range slices.Sorted(maps.Keys(l.Refused)) {
		if n := l.Refused[limit]; n > 0 {
			out = append(out, fmt.Sprintf("%d by %s", n, limit))
		}
	}
	if l.GivenUp > 0 {
		out = append(out, fmt.Sprintf("%s given up", plural(int(l.GivenUp), "log")))
	}
	return strings.Join(out, ", ")
}
