package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newWitnessListCommand(g *global) *cobra.Command {
	var req api.CosignedRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the logs that this node witnesses: author, size, time",
		Long: `List the logs that this node witnesses: whose they are, how many entries they had
in the newest checkpoint that it cosigned, and when that was. It cosigns nothing
that does not continue this. More than --limit are listed from --after, the origin
of the last line, on.`,
		Example: `  dockchain witness list
  dockchain witness list --limit 1000 -o jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withWitness(cmd.Context(), g, "dockchain witness list", req, func(s api.WitnessStatus) error {
				return g.ui.print(cosignedView(s.Cosigned))
			})
		},
	}
	addCosignedFlags(cmd, &req)
	return cmd
}

func cosignedView(logs []api.Cosigned) view {
	v := view{value: logs, list: anyList(logs), header: []string{"AUTHOR", "SIZE", "TIME", "ORIGIN"}}
	for _, c := range logs {
		v.names = append(v.names, oneLine(c.Origin))
		v.rows = append(v.rows, []string{orDash(oneLine(c.Author)), strconv.FormatUint(c.Size, 10), c.Time.UTC().Format(time.RFC3339), oneLine(c.Origin)})
	}
	return v
}
