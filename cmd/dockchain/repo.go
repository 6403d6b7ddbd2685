package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newRepoCommand(g *global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "repo",
		Short: "Repositories of the local registry",
		Long: `Repositories of the local registry: what was pushed to this node, as with
docker push localhost:5000/me/app:1.0. It is nobody's business but yours until you
publish it.`,
		Example: `  dockchain repo ls
  dockchain repo set me/app --publish-on-push`,
	}, newRepoListCommand(g), newRepoShowCommand(g), newRepoSetCommand(g), newRepoRemoveCommand(g))
}

func newRepoListCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the repositories",
		Example: `  dockchain repo ls -o name`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runRepoList(cmd.Context(), g) },
	}
}

func newRepoShowCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show the tags of a repository, and what waits to be published",
		Example: `  dockchain repo show me/app`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runRepoShow(cmd.Context(), g, args[0]) },
	}
}

func newRepoSetCommand(g *global) *cobra.Command {
	var publish bool
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Change the settings of a repository",
		Long: `Change the settings of a repository, which need not be there yet.

With --publish-on-push every tag that is pushed is signed, announced and seeded, as
dockchain publish does it. What cannot be published at once is tried again, also
after the node was started anew; dockchain repo show tells what waits and why.`,
		Example: `  dockchain repo set me/app --publish-on-push
  dockchain repo set me/app --publish-on-push=false`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var set api.RepositorySettings
			if cmd.Flags().Changed("publish-on-push") {
				set.PublishOnPush = &publish
			}
			if set == (api.RepositorySettings{}) {
				return &usageError{err: errors.New("no setting is given"), command: "dockchain repo set"}
			}
			return runRepoSet(cmd.Context(), g, args[0], set)
		},
	}
	cmd.Flags().BoolVar(&publish, "publish-on-push", false, "sign and announce every tag that is pushed")
	return cmd
}

func newRepoRemoveCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME...",
		Aliases: []string{"remove"},
		Short:   "Forget what was pushed to repositories",
		Long: `Forget what was pushed to repositories. What was published stays so, and can be
pulled again. Exit code 3 says that only some of them were known.`,
		Example: `  dockchain repo rm team/app`,
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return runRepoRemove(cmd.Context(), g, args) },
	}
}

func runRepoList(ctx context.Context, g *global) error {
	return g.withData(ctx, func(c *api.Client) error {
		all, err := c.Repos(ctx)
		if err != nil {
			return fmt.Errorf("listing repositories: %w", err)
		}
		return g.ui.print(reposView(all))
	})
}

func runRepoShow(ctx context.Context, g *global, name string) error {
	return g.withData(ctx, func(c *api.Client) error {
		repo, err := c.Repo(ctx, name)
		if err != nil {
			return fmt.Errorf("showing %s: %w", name, err)
		}
		return g.ui.print(repoView(repo))
	})
}

func runRepoSet(ctx context.Context, g *global, name string, set api.RepositorySettings) error {
	return g.withData(ctx, func(c *api.Client) error {
		repo, err := c.SetRepo(ctx, name, set)
		if err != nil {
			return fmt.Errorf("changing %s: %w", name, err)
		}
		return g.ui.print(reposView([]api.Repository{repo}))
	})
}

func runRepoRemove(ctx context.Context, g *global, names []string) error {
	return g.withData(ctx, func(c *api.Client) error {
		return g.each(names, "removing", func(name string) error { return c.RemoveRepo(ctx, name) })
	})
}

func reposView(all []api.Repository) view {
	v := view{value: all, list: anyList(all), header: []string{"NAME", "TAGS", "PUBLISHES", "WAITING"}}
	for _, r := range all {
		publishes := "by hand"
		if r.PublishOnPush {
			publishes = "on push"
		}
		v.names = append(v.names, r.Name)
		v.rows = append(v.rows, []string{r.Name, strconv.Itoa(r.TagCount), publishes, strconv.Itoa(r.Waiting)})
	}
	return v
}

func repoView(r api.Repository) view {
	v := view{value: r, header: []string{"TAG", "DIGEST", "PUSHED", "STATE"}}
	for _, t := range r.Tags {
		v.names = append(v.names, r.Name+":"+t.Tag)
		state := ""
		switch {
		case t.Waiting && t.Error != "":
			state = fmt.Sprintf("not published after %s: %s", plural(t.Tries, "attempt"), t.Error)
		case t.Waiting:
			state = "to be published"
		}
		v.rows = append(v.rows, []string{t.Tag, t.Digest, t.Pushed.Format("2006-01-02 15:04"), state})
	}
	return v
}
