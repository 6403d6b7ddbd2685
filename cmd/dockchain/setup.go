package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/cmd/dockchain/setup"
)

type setupOptions struct {
	setup.Options
	print, undo bool
}

func newSetupCommand(g *global) *cobra.Command {
	o := &setupOptions{Options: setup.Options{Registry: "127.0.0.1:5000", Mirror: "127.0.0.1:5005", Hosts: setup.DefaultHosts()}}
	cmd := &cobra.Command{
		Use:   "setup docker|containerd|podman",
		Short: "Make docker, containerd or podman pull through the node",
		Long: `Make docker, containerd or podman pull through the node: their configuration gets
the node's registry as a mirror, which they ask first and do without if it does not
answer. podman's is skopeo's and buildah's too.

  docker      /etc/docker/daemon.json; docker.io only, for which the node needs --mirror
  containerd  /etc/containerd/certs.d/*/hosts.toml, and config_path in config.toml
  podman      /etc/containers/registries.conf.d/50-dockchain.conf

What is in these files stays as it is, byte for byte. A file that does not parse is
not touched. --undo takes out exactly what was written, whatever else has changed
since; what the files were like before is kept below /etc/dockchain/setup.
These files are root's: it is for sudo, but for --print.`,
		Example: `  dockchain setup docker --print
  dockchain setup containerd
  dockchain setup podman --host quay.io --host ghcr.io
  dockchain setup docker --undo`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: setup.Clients(),
		RunE:      func(_ *cobra.Command, args []string) error { return runSetup(g, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Registry, "registry", o.Registry, "`address` of the node's registry")
	f.StringVar(&o.Mirror, "mirror", o.Mirror, "`address` of the node's mirror of docker.io")
	f.StringArrayVar(&o.Hosts, "host", o.Hosts, "`registry` to ask through the node; repeatable; not for docker")
	f.BoolVar(&o.print, "print", false, "print what would be done, and do nothing")
	f.BoolVar(&o.undo, "undo", false, "take out what was written")
	f.StringVar(&o.Root, "root", "/", "`directory` where the client's file system begins")
	return cmd
}

func runSetup(g *global, client string, o *setupOptions) error {
	plan := func() (setup.Plan, error) { return setup.For(client, o.Options) }
	if o.undo {
		plan = func() (setup.Plan, error) { return setup.Undo(client, o.Root) }
	}
	p, err := plan()
	if err != nil {
		return err
	}
	if !o.print {
		if err := p.Apply(); err != nil {
			return err
		}
	}
	return g.ui.print(setupView(p, o.print))
}

// setupView tells the files, with what is in them where that is asked for.
func setupView(p setup.Plan, whole bool) view {
	v := view{value: p, list: anyList(p.Files)}
	for _, f := range p.Files {
		v.names = append(v.names, f.Path)
		if !whole {
			v.rows = append(v.rows, []string{f.Action, f.Path})
			continue
		}
		v.lines = append(v.lines, fmt.Sprintf("# %s (%s)", f.Path, f.Action))
		for l := range strings.Lines(f.Content) {
			v.lines = append(v.lines, strings.ReplaceAll(strings.TrimRight(l, "\r\n"), "\t", "    "))
		}
		v.lines = append(v.lines, "")
	}
	for _, n := range p.Notes {
		v.lines = append(v.lines, "note: "+n)
	}
	v.lines = append(v.lines, "then: "+p.Next)
	return v
}
