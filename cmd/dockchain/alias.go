package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newAliasCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "alias",
		Short: "Names of your own for authors",
		Long: `Names of your own for authors. An author is known by an id that nobody can
imitate; a name for it is yours alone, and nobody else's registry.`,
		Example: `  dockchain alias add alice bafkrei…
  dockchain fetch alice/debian:12`,
	}, newAliasAddCommand(g), newAliasListCommand(g), newAliasRemoveCommand(g))
}

func newAliasAddCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "add NAME AUTHOR",
		Short:   "Give an author a name",
		Example: `  dockchain alias add alice bafkrei…`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAliasAdd(cmd.Context(), g, api.Alias{Name: args[0], Author: args[1]})
		},
	}
}

func newAliasListCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the names",
		Example: `  dockchain alias ls -o json`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runAliasList(cmd.Context(), g) },
	}
}

func newAliasRemoveCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove"},
		Short:   "Forget names",
		Long:    "Forget names. Exit code 3 says that only some of them were known.",
		Example: `  dockchain alias rm alice`,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runAliasRemove(cmd.Context(), g, args) },
	}
}

func runAliasAdd(ctx context.Context, g *global, a api.Alias) error {
	return g.withData(ctx, func(c *api.Client) error {
		if err := c.SetAlias(ctx, a); err != nil {
			return fmt.Errorf("naming %s: %w", a.Author, err)
		}
		return g.ui.print(aliasView(a))
	})
}

func runAliasList(ctx context.Context, g *global) error {
	return g.withData(ctx, func(c *api.Client) error {
		aliases, err := c.Aliases(ctx)
		if err != nil {
			return fmt.Errorf("listing names: %w", err)
		}
		return g.ui.print(aliasesView(aliases))
	})
}

func runAliasRemove(ctx context.Context, g *global, names []string) error {
	return g.withData(ctx, func(c *api.Client) error {
		return g.each(names, "forgetting", func(name string) error { return c.RemoveAlias(ctx, name) })
	})
}

func aliasView(a api.Alias) view {
	return view{value: a, names: []string{a.Name}, lines: []string{a.Name + "  " + a.Author}}
}

func aliasesView(aliases []api.Alias) view {
	v := view{value: aliases, list: anyList(aliases), header: []string{"NAME", "AUTHOR"}}
	for _, a := range aliases {
		v.names = append(v.names, a.Name)
		v.rows = append(v.rows, []string{a.Name, a.Author})
	}
	return v
}
