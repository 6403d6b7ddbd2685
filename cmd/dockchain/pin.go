package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type pinOptions struct {
	follow  bool
	noFetch bool
	timeout time.Duration
}

func newPinCommand(g *global) *cobra.Command {
	o := pinOptions{timeout: time.Minute}
	cmd := &cobra.Command{
		Use:   "pin TARGET...",
		Short: "Keep images whatever the quota says, and fetch them if need be",
		Long: `Keep images whatever the storage quota says, and fetch those that are not here.

TARGET is a magnet link, AUTHOR/REPO[:TAG], or the digest of an image that is here. What
you released or pushed yourself needs no pin. Of an image in another registry, as
quay.io/org/app:1.0, that is kept which was or will be pulled of it.

With --follow, TARGET is AUTHOR/REPO or AUTHOR/REPO:TAG, and its newest release is
kept pinned, also those to come; the pin of the one before is taken back then.

A node that runs with --keep-seeders N counts who holds its pinned images. Where they
are fewer than N it announces the image anew, keeps its torrent loaded, and asks nodes
that run with --lend to hold it too. What is lost of a pinned image is fetched again.

Exit code 3 says that only some of the targets were pinned.`,
		Example: `  dockchain pin alice/app:1.0
  dockchain pin 'magnet:?xt=urn:btih:…' --timeout 10m
  dockchain pin --follow alice/app
  dockchain pin ls`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runPin(cmd.Context(), g, o, args) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.follow, "follow", false, "keep the newest release of a repository pinned")
	f.BoolVar(&o.noFetch, "no-fetch", false, "pin only what is here whole")
	f.DurationVar(&o.timeout, "timeout", o.timeout, "longest time without progress")
	cmd.AddCommand(newPinListCommand(g))
	return cmd
}

func newPinListCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List what is pinned and followed, and how many nodes hold it",
		Example: `  dockchain pin ls
  dockchain pin ls -o name`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPinList(cmd.Context(), g) },
	}
}

func newUnpinCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "unpin TARGET...",
		Short: "Take pins back, or stop following",
		Long: `Take the pins of images back, by what they were pinned as, by digest or by magnet
link; or stop following a repository. The images stay until their room is needed; see
dockchain gc.`,
		Example: `  dockchain unpin alice/app:1.0
  dockchain unpin alice/app`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runUnpin(cmd.Context(), g, args) },
	}
}

func runPin(ctx context.Context, g *global, o pinOptions, targets []string) error {
	if o.timeout <= 0 {
		return &usageError{err: fmt.Errorf("--timeout %s: a time above 0 is needed", o.timeout), command: "dockchain pin"}
	}
	with := g.withNode
	if o.noFetch {
		with = g.withData
	}
	return with(ctx, func(c *api.Client) error {
		var pinned []api.Pin
		err := g.each(targets, "pinning", func(target string) error {
			show, stop := g.ui.progress()
			p, err := c.Pin(ctx, api.PinRequest{Target: target, Follow: o.follow, NoFetch: o.noFetch, Timeout: o.timeout}, show)
			stop()
			if err == nil {
				pinned = append(pinned, p)
			}
			return err
		})
		if len(pinned) > 0 {
			err = errors.Join(err, g.ui.print(pinsView(pinned)))
		}
		return err
	})
}

func runUnpin(ctx context.Context, g *global, targets []string) error {
	return g.withData(ctx, func(c *api.Client) error {
		return g.each(targets, "unpinning", func(target string) error { return c.Unpin(ctx, target) })
	})
}

func runPinList(ctx context.Context, g *global) error {
	return g.withData(ctx, func(c *api.Client) error {
		all, err := c.Pins(ctx)
		if err != nil {
			return fmt.Errorf("listing pins: %w", err)
		}
		return g.ui.print(pinListView(all))
	})
}

func pinsView(pins []api.Pin) view {
	v := view{value: pins, list: anyList(pins), header: []string{"IMAGE", "SIZE", "HERE", "HOLDERS", "DIGEST", "WHY"}}
	for _, p := range pins {
		v.names = append(v.names, pinName(p))
		v.rows = append(v.rows, pinRow(p))
	}
	return v
}

func pinListView(all api.Pins) view {
	v := pinsView(all.Pins)
	v.value = all
	for _, f := range all.Follows {
		line := "follows " + f.Name
		if f.Digest == "" {
			line += ": no release yet"
		}
		if f.Error != "" {
			line += ": " + f.Error
		}
		v.lines = append(v.lines, line)
	}
	return v
}

func pinName(p api.Pin) string {
	switch {
	case p.Ref != "":
		return p.Ref
	case p.Digest != "":
		return p.Digest
	}
	return p.Follows
}

func pinRow(p api.Pin) []string {
	here, holders, why := "no", "-", "pinned"
	if p.Whole {
		here = "whole"
	}
	if p.Holders != nil {
		holders = strconv.Itoa(*p.Holders)
	}
	if p.Follows != "" {
		why = "follows " + p.Follows
	}
	return []string{pinName(p), bytesOf(p.Size), here, holders, orDash(p.Digest), why}
}
