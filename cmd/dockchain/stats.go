package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

type statsOptions struct {
	req  api.StatsRequest
	drec bool
}

func newStatsCommand(g *global) *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats [REPO]",
		Short: "Pushes, pulls and stars of repositories, here and at registries that notify us",
		Long: `Pushes, pulls and stars of repositories: of this node's registry, and of those whose
notifications it takes (dockchain run --events). With REPO all that is known of one:
by day, tag and actor.

A push is one of a tag. A pull is one image that a client got, however many manifests
and blobs that took; asking whether there is a newer one (HEAD) counts for nothing.

--drec prints JSON in the field names of the docker registry event collector:
repositoryname firstpushed lastpushed firstpulled lastpulled numpulls numpushs
numstars actors.`,
		Example: `  dockchain stats
  dockchain stats --sort last_push --limit 10
  dockchain stats me/app
  dockchain stats --drec > stats.json
  dockchain stats star me/app`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runStats(cmd.Context(), g, o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.req.Sort, "sort", "pulls", "by `pulls|pushes|stars|name|last_pull|last_push`")
	f.StringVar(&o.req.Order, "order", "", "`asc|desc` (default: names ascending, all else descending)")
	f.IntVar(&o.req.Limit, "limit", 50, "at most this `number` of repositories; 0: all")
	f.StringVar(&o.req.Last, "after", "", "go on after this `repository`")
	f.StringVar(&o.req.Query, "match", "", "only repositories with this `text` in their names")
	f.BoolVar(&o.drec, "drec", false, "print JSON in the field names of the docker registry event collector")
	cmd.AddCommand(newStarCommand(g, true), newStarCommand(g, false))
	return cmd
}

func newStarCommand(g *global, on bool) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "star REPO",
		Short:   "Give a repository your star",
		Example: "  dockchain stats star me/app",
		Args:    cobra.ExactArgs(1),
	}
	if !on {
		cmd.Use, cmd.Short, cmd.Example = "unstar REPO", "Take your star back", "  dockchain stats unstar me/app"
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return g.withData(cmd.Context(), func(c *api.Client) error { return c.Star(cmd.Context(), args[0], on) })
	}
	return cmd
}

func runStats(ctx context.Context, g *global, o statsOptions, args []string) error {
	if o.req.Limit < 0 {
		return &usageError{err: fmt.Errorf("--limit %d: want a number from 0", o.req.Limit), command: "dockchain stats"}
	}
	if o.drec && g.ui.format == formatTable {
		g.ui.format = formatJSON
	}
	return g.withData(ctx, func(c *api.Client) error {
		if len(args) == 1 {
			d, err := c.Repository(ctx, args[0])
			if err != nil {
				return fmt.Errorf("reading the statistics: %w", err)
			}
			if o.drec {
				return g.ui.print(view{value: api.AsDREC(d.RepositoryStats), names: []string{d.Name}})
			}
			return g.ui.print(repositoryView(d))
		}
		list, err := allStats(ctx, c, o)
		if err != nil {
			return fmt.Errorf("reading the statistics: %w", err)
		}
		return g.ui.print(statsView(list, o.drec))
	})
}

// allStats asks for pages until there are as many as are wanted.
func allStats(ctx context.Context, c *api.Client, o statsOptions) ([]api.RepositoryStats, error) {
	list := []api.RepositoryStats{}
	req := o.req
	req.Actors = o.drec
	for {
		req.Limit = 1000
		if o.req.Limit > 0 {
			req.Limit = min(o.req.Limit-len(list), 1000)
		}
		page, err := c.Repositories(ctx, req)
		if err != nil {
			return nil, err
		}
		list = append(list, page.Repositories...)
		if page.Next == "" || o.req.Limit > 0 && len(list) >= o.req.Limit {
			return list, nil
		}
		req.Last = page.Next
	}
}

func statsView(list []api.RepositoryStats, drec bool) view {
	v := view{value: list, list: anyList(list), header: []string{"REPOSITORY", "PULLS", "PUSHES", "STARS", "LAST PULL", "LAST PUSH", "ACTORS"}}
	if drec {
		old := make([]api.DRECStats, len(list))
		for i, r := range list {
			old[i] = api.AsDREC(r)
		}
		v.value, v.list = old, anyList(old)
	}
	for _, r := range list {
		v.names = append(v.names, r.Name)
		v.rows = append(v.rows, []string{
			r.Name, count(r.Pulls), count(r.Pushes), count(r.Stars), when(r.LastPull), when(r.LastPush), strconv.Itoa(r.Actors),
		})
	}
	return v
}

func repositoryView(d api.RepositoryDetail) view {
	v := view{value: d, names: []string{d.Name}}
	row := func(cells ...string) { v.rows = append(v.rows, cells) }
	row("repository", d.Name)
	row("pulls", count(d.Pulls), when(d.FirstPull)+" to "+when(d.LastPull))
	row("pushes", count(d.Pushes), when(d.FirstPush)+" to "+when(d.LastPush))
	row("stars", count(d.Stars))
	row("deletes", count(d.Deletes))
	row("bytes", bytesOf(d.BytesPulled)+" pulled", bytesOf(d.BytesPushed)+" pushed")
	if !d.Deleted.IsZero() {
		row("deleted", when(d.Deleted))
	}
	for _, t := range d.ByTag {
		gone := ""
		if !t.Deleted.IsZero() {
			gone = "deleted " + when(t.Deleted)
		}
		row("tag", t.Tag, counts(t.Pulls, t.Pushes), gone)
	}
	for _, a := range d.ByActor {
		row("actor", a.Name, counts(a.Pulls, a.Pushes), when(a.Last))
	}
	for _, h := range d.History {
		row("day", h.Day, counts(h.Pulls, h.Pushes), "")
	}
	return v
}

func counts(pulls, pushes int64) string {
	return strings.Join([]string{plural(int(pulls), "pull"), pluralES(int(pushes), "push")}, ", ")
}

func pluralES(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "es"
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
