package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node/api"
)

func newWitnessKeyCommand(g *global) *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the line by which the policies of others name this node",
		Long: `Print the line by which the policies of others name this node as a witness:

  witness NAME KEY ADDRESS

KEY is a C2SP vkey. ADDRESS is told by a running node; without it the witness is
counted and not asked. NAME means nothing but in the same policy.`,
		Example: `  dockchain witness key
  dockchain witness key --name alice > alice.policy
  dockchain witness key -o name`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("name") && (name == "none" || strings.Join(strings.Fields(name), "") != name || name == "") {
				return &usageError{err: errors.New("--name: a word is needed, and not none"), command: cmd.CommandPath()}
			}
			return withWitness(cmd.Context(), g, cmd.CommandPath(), api.CosignedRequest{Limit: 1}, func(s api.WitnessStatus) error {
				return g.ui.print(witnessKeyView(keyOfWitness(s, name)))
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`name` of this witness in the policy (default: from its key)")
	return cmd
}

// witnessKey is what others need of this node as a witness.
type witnessKey struct {
	Name    string `json:"name"`
	Key     string `json:"key"`
	Address string `json:"address,omitempty"`
	Line    string `json:"line"`
}

func keyOfWitness(s api.WitnessStatus, name string) witnessKey {
	if name == "" {
		name, _, _ = strings.Cut(s.Key, "+")
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	return witnessKey{Name: name, Key: s.Key, Address: s.Address, Line: strings.TrimSpace("witness " + name + " " + s.Key + " " + s.Address)}
}

func witnessKeyView(k witnessKey) view {
	return view{value: k, names: []string{k.Key}, lines: []string{k.Line}}
}
