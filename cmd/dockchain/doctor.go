package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/cmd/dockchain/doctor"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/node/engine"
)

// tolerant marks a command that runs though the configuration cannot be used.
const tolerant = "tolerant"

// errUnwell: a check failed.
var errUnwell = errors.New("something is wrong")

func newDoctorCommand(g *global) *cobra.Command {
	o := &runOptions{node: node.DefaultConfig()}
	samples := 32
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong, and the command that mends it",
		Long: `Look for what is wrong with the node and around it: configuration, data, disk,
records, content, keys, your author's log, witnesses, ports, registry, peers, clock
and the Docker Engine. Nothing is changed. Each line says ok, warn or fail; where it
is not ok, the lines below say why, and what mends it. Exit code 1 says that a check
failed.

It asks the node that runs, and where none does opens the data itself.`,
		Example: `  dockchain doctor
  dockchain doctor --blobs 100000
  dockchain doctor -o json`,
		Args:        cobra.NoArgs,
		Annotations: map[string]string{tolerant: "yes"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), g, o, samples) },
	}
	f, c := cmd.Flags(), &o.node
	f.StringVar(&c.Registry, "registry", c.Registry, "`address` of the registry")
	f.StringVar(&c.Mirror, "mirror", c.Mirror, "`address` of the mirror")
	f.StringVar(&c.API, "api", c.API, "`address` of the API")
	f.StringVar(&c.BitTorrent, "bittorrent", c.BitTorrent, "`address` for BitTorrent")
	f.StringVar(&c.Policy, "witness-policy", "", "`file` of the policy of witnesses")
	f.IntVar(&samples, "blobs", samples, "hash so `many` files of the content")
	return cmd
}

func runDoctor(ctx context.Context, g *global, o *runOptions, samples int) error {
	if g.homeErr != nil {
		return g.homeErr
	}
	c := o.node
	p := &doctor.Patient{
		Home: g.home, Policy: c.Policy, ConfigErr: g.configErr, Samples: samples, Room: doctor.Room, Now: time.Now, OpenEngine: openEngine,
		Listeners: map[string]string{"registry": c.Registry, "mirror": c.Mirror, "api": c.API, "bittorrent": c.BitTorrent},
	}
	var lines []doctor.Line
	examine := func(c *api.Client) error {
		if c != nil {
			p.Node = c
		}
		lines = doctor.Examine(ctx, p)
		return nil
	}
	if err := attend(ctx, g, p, examine); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(g.ui.print(doctorView(lines)), verdictOf(lines))
}

// attend calls examine with the running node, with its data, or with neither.
func attend(ctx context.Context, g *global, p *doctor.Patient, examine func(*api.Client) error) error {
	err := g.withNode(ctx, func(c *api.Client) error {
		p.Running = true
		return examine(c)
	})
	if err == nil || p.Running || ctx.Err() != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(g.home, "db")); errors.Is(err, fs.ErrNotExist) {
		return examine(nil)
	}
	notes := &noteHandler{}
	opened := false
	err = g.offlineWith(slog.New(notes), p.Policy, "", 0, func(c *api.Client) error {
		opened, p.Notes = true, notes.all()
		return examine(c)
	})
	if opened {
		return err
	}
	p.OpenErr = err
	return examine(nil)
}

func openEngine(ctx context.Context) (doctor.Engine, error) {
	e, err := engine.Open(ctx)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func verdictOf(lines []doctor.Line) error {
	failed := []string{}
	for _, l := range lines {
		if l.State == doctor.Fail && !slices.Contains(failed, l.Check) {
			failed = append(failed, l.Check)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errUnwell, strings.Join(failed, ", "))
}

func doctorView(lines []doctor.Line) view {
	v := view{value: lines, list: anyList(lines)}
	for _, l := range lines {
		v.names = append(v.names, l.Check+" "+l.State)
		v.rows = append(v.rows, []string{l.State, l.Check, l.Text})
		if l.Cause != "" {
			v.rows = append(v.rows, []string{"", "", "  because: " + l.Cause})
		}
		if l.Mend != "" {
			v.rows = append(v.rows, []string{"", "", "  mend it: " + l.Mend})
		}
	}
	return v
}

// noteHandler keeps what is warned of.
type noteHandler struct {
	mu    sync.Mutex
	notes []string
}

func (h *noteHandler) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.notes)
}

func (h *noteHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (h *noteHandler) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.notes) < 16 {
		h.notes = append(h.notes, r.Message)
	}
	return nil
}

func (h *noteHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *noteHandler) WithGroup(string) slog.Handler      { return h }
