package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newStatusCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "The node at a glance",
		Example: `  dockchain status
  dockchain status -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runStatus(cmd.Context(), g) },
	}
}

func runStatus(ctx context.Context, g *global) error {
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
	add("api", s.Addresses.API)
	add("bittorrent", s.Addresses.BitTorrent)
	for _, a := range s.Addresses.Peer {
		add("address", a)
	}
	add("peers", strconv.Itoa(s.Peers))
	add("ledger", fmt.Sprintf("%s of %s", plural(int(s.Entries), "record"), plural(s.Authors, "author")))
	add("catalogue", plural(s.Releases, "image"))
	add("held", fmt.Sprintf("%s in %s, %s", plural(s.Images, "image"), plural(s.Blobs, "file"), bytesOf(s.Bytes)))
	for _, t := range s.Transfers {
		add("fetching", fmt.Sprintf("%s  %s of %s, %s/s, %s", shorten(t.Target, 60), bytesOf(t.Done), bytesOf(t.Total),
			bytesOf(int64(t.Rate)), plural(t.Peers, "peer")))
	}
	return v
}
