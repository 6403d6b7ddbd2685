package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
)

// global is what all commands share: the flags of every command, the
// environment and the one who prints.
type global struct {
	ui      *ui
	env     func(string) (string, bool)
	home    string
	config  string
	homeErr error // why home is not known
	// configErr is what is wrong with the configuration, for a command that is
	// tolerant.
	configErr error
	// configNamed tells that --config was given.
	configNamed bool
	file        fileConfig // as far as it is no flag
	started     bool       // the command line parsed; errors from here on are not usage
}

func newRootCommand(g *global) *cobra.Command {
	root := &cobra.Command{
		Use:   "dockchain",
		Short: "A peer-to-peer store for container images",
		Long: `A peer-to-peer store for container images: publish them signed, search the
index, and fetch them by magnet link from whoever has them. Nothing that was not
verified is accepted.`,
		Example: `  dockchain quickstart
  dockchain run
  dockchain publish debian:12 --as me/debian:12
  dockchain search debian
  dockchain fetch alice/debian:12 --load`,
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.prepare(cmd) },
	}
	root.SetVersionTemplate("dockchain {{.Version}}\n")
	root.SetOut(g.ui.out)
	root.SetErr(g.ui.err)
	f := root.PersistentFlags()
	f.StringVar(&g.home, "home", "", "data `directory` (default $DOCKCHAIN_HOME, else $XDG_DATA_HOME/dockchain)")
	f.StringVar(&g.config, "config", "", "configuration `file` (default $XDG_CONFIG_HOME/dockchain/config.toml)")
	f.StringVarP(&g.ui.format, "output", "o", formatTable, "what to print: `table|json|jsonl|name`")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
	_ = root.MarkPersistentFlagDirname("home")
	root.AddCommand(
		newRunCommand(g), newQuickstartCommand(g), newPublishCommand(g), newFetchCommand(g), newSearchCommand(g),
		newVerifyCommand(g), newShowCommand(g), newAliasCommand(g), newStatusCommand(g), newPeersCommand(g),
		newIndexCommand(g), newLedgerCommand(g), newAuthorCommand(g), newRevokeCommand(g), newEndorseCommand(g), newAttestCommand(g), newVouchCommand(g), newTransferCommand(g), newAcceptCommand(g), newWitnessCommand(g), newSetupCommand(g), newDoctorCommand(g), newVersionCommand(g), newExitCodesTopic(), newEnvironmentTopic(), newQuotasTopic(), newOutputTopic(),
		newLimitsCommand(g), newStatsCommand(g), newEventsCommand(g), newPullsCommand(g), newRepoCommand(g), newNotificationsTopic(), newRegistryTopic(), newBitTorrentTopic(),
		newPinCommand(g), newUnpinCommand(g), newGCCommand(g),
	)
	for _, c := range root.Commands() {
		if c.Name() != "publish" && c.Name() != "attest" && c.ValidArgs == nil { // whose argument may be a path
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	return root
}

// prepare resolves flags, environment and file once, before a command runs.
func (g *global) prepare(cmd *cobra.Command) error {
	if g.configErr = g.resolve(cmd); g.configErr != nil && cmd.Annotations[tolerant] == "" {
		return g.configErr
	}
	if !slices.Contains(formats(), g.ui.format) {
		return fmt.Errorf("-o %s: one of table, json, jsonl, name is needed", g.ui.format)
	}
	g.started = true
	if g.home == "" {
		g.home, g.homeErr = g.dataHome()
	}
	if g.homeErr == nil {
		g.home, g.homeErr = filepath.Abs(g.home)
	}
	return nil // version and help need no home
}

// dataHome is the data directory where nothing names one.
func (g *global) dataHome() (string, error) {
	if dir, _ := g.env("XDG_DATA_HOME"); filepath.IsAbs(dir) { // relative ones are to be ignored, says the XDG page
		return filepath.Join(dir, "dockchain"), nil
	}
	home, ok := g.env("HOME")
	if !ok || home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return "", errors.New("no home directory is known: name a data directory with --home DIR")
		}
	}
	return filepath.Join(home, ".local", "share", "dockchain"), nil
}

// group is a command that only holds others.
func group(cmd *cobra.Command, children ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(children...)
	return cmd
}

// each does the same with all, and tells whether it was done with some.
func (g *global) each(all []string, doing string, do func(string) error) error {
	var errs []error
	for _, one := range all {
		if err := do(one); err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", doing, shorten(one, 80), err))
		}
	}
	err := errors.Join(errs...)
	if err != nil && len(errs) < len(all) {
		err = fmt.Errorf("%w: %w", errPartial, err)
	}
	return err
}
