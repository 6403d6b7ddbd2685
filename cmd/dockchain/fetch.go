package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type fetchOptions struct {
	load     bool
	loadAs   string
	export   string
	platform string
	timeout  time.Duration
}

func newFetchCommand(g *global) *cobra.Command {
	var o fetchOptions
	cmd := &cobra.Command{
		Use:   "fetch TARGET",
		Short: "Fetch and verify an image by magnet link or name",
		Long: `Fetch an image from whoever has it, verify it, and seed it from then on.

TARGET is a magnet link, or AUTHOR/REPO[:TAG][@DIGEST] where AUTHOR is me, a name
given with dockchain alias, or an author id. A fetch that was cut short goes on
where it was. The Docker Engine and an archive get the image while it arrives,
and its end when all of it is verified. Nobody who has the image within --timeout is exit code 10, a
verdict against it 12.`,
		Example: `  dockchain fetch 'magnet:?xt=urn:btih:…' --load
  dockchain fetch alice/debian:12 --export oci:./debian
  dockchain fetch alice/app:1.0 --load --load-as app:test --platform linux/amd64`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runFetch(cmd.Context(), g, o, args[0])
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *fetchOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.load, "load", false, "load it into the Docker Engine")
	f.StringVar(&o.loadAs, "load-as", "", "`name` in the Docker Engine (default REPO:TAG); implies --load")
	f.StringVar(&o.export, "export", "", "write it out: `oci:DIR|docker-archive:FILE`")
	f.StringVar(&o.platform, "platform", "", "fetch only this `os/arch[/variant]`")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "longest time without progress")
}

func runFetch(ctx context.Context, g *global, o fetchOptions, target string) error {
	req, err := o.request(target)
	if err != nil {
		return err
	}
	return g.withNode(ctx, func(c *api.Client) error {
		show, stop := g.ui.progress()
		res, err := c.Fetch(ctx, req, show)
		stop()
		if err != nil {
			return fmt.Errorf("fetching %s: %w", shorten(target, 80), err)
		}
		return g.ui.print(fetchedView(res))
	})
}

func (o *fetchOptions) request(target string) (api.FetchRequest, error) {
	req := api.FetchRequest{
		Target: target, Timeout: o.timeout, Load: o.load || o.loadAs != "", LoadAs: o.loadAs, Platform: o.platform,
	}
	usage := func(format string, args ...any) error {
		return &usageError{err: fmt.Errorf(format, args...), command: "dockchain fetch"}
	}
	if o.timeout <= 0 {
		return req, usage("--timeout %s: a time above 0 is needed", o.timeout)
	}
	if o.export == "" {
		return req, nil
	}
	if !strings.HasPrefix(o.export, "oci:") && !strings.HasPrefix(o.export, "docker-archive:") {
		return req, usage("--export %s: oci:DIR or docker-archive:FILE is needed", o.export)
	}
	var err error
	req.Export, err = absoluteSource(o.export)
	return req, err
}

func fetchedView(f api.Fetched) view {
	lines := []string{
		fmt.Sprintf("fetched %s  %s  %s", f.Ref, f.Digest, bytesOf(f.Size)),
		fmt.Sprintf("%s from peers, %s from disk, in %.1f s", bytesOf(f.BytesFromPeers), bytesOf(f.BytesFromDisk), f.Seconds),
	}
	lines = append(lines, moveLines(f.Moved)...)
	lines = append(lines, reasonLines(f.Verdict)...)
	if f.Loaded != "" {
		lines = append(lines, "loaded into Docker as "+f.Loaded)
	}
	if f.Exported != "" {
		lines = append(lines, "exported to "+f.Exported)
	}
	return view{value: f, names: []string{f.Ref}, lines: lines}
}
