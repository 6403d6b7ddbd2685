package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// atMost bounds the whole bench.
const atMost = 30 * time.Minute

// largeImage is the size of the images whose transfer is measured, in bytes.
const largeImage = 1 << 30

// A rig is the place where everything is measured.
type rig struct {
	dir       string // everything is in it
	self      string // this program
	binary    string // dockchain
	ariaPath  string
	ariaPorts string
	network   string
	rounds    int
	entries   int // of all logs, where logs are read
	scale     int // what the sizes of the roads' rows are divided by
	warm      *warmth
	began     time.Time
}

// measure runs what the planned rows need.
func measure(ctx context.Context, o options, plan []plannedRow) (_ series, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, atMost, fmt.Errorf("not done within %s", atMost))
	defer cancel()
	r, err := newRig(ctx, o, plan)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.warm.end(), os.RemoveAll(r.dir)) }()
	s := series{}
	for _, layers := range []int{oneLayer, tenLayers} {
		if !needs(plan, shapeName(layers)) {
			continue
		}
		if err := r.transfers(ctx, layers, plan, s); err != nil {
			return nil, cause(ctx, err)
		}
	}
	if needs(plan, "idle") {
		if err := r.idle(ctx, s); err != nil {
			return nil, cause(ctx, fmt.Errorf("idle node: %w", err))
		}
	}
	if needs(plan, "many") {
		if err := r.many(ctx, s); err != nil {
			return nil, cause(ctx, fmt.Errorf("many torrents: %w", err))
		}
	}
	if needs(plan, "first") {
		if err := r.firstPieces(ctx, s); err != nil {
			return nil, cause(ctx, fmt.Errorf("first piece: %w", err))
		}
	}
	if err := r.herds(ctx, plan, s); err != nil {
		return nil, cause(ctx, err)
	}
	if needs(plan, "roads") {
		if err := r.roads(ctx, plan, s); err != nil {
			return nil, cause(ctx, fmt.Errorf("roads: %w", err))
		}
	}
	if needs(plan, "registry") {
		if err := r.registry(ctx, plan, s); err != nil {
			return nil, cause(ctx, fmt.Errorf("registry: %w", err))
		}
	}
	if needs(plan, "ledger") {
		if err := r.ledger(ctx, plan, s); err != nil {
			return nil, cause(ctx, fmt.Errorf("ledger: %w", err))
		}
	}
	return s, nil
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && c != ctx.Err() {
		return fmt.Errorf("%w: %w", c, err)
	}
	return err
}

func newRig(ctx context.Context, o options, plan []plannedRow) (_ *rig, err error) {
	r := &rig{rounds: o.rounds, entries: o.entries, scale: o.scale, began: time.Now(), warm: &warmth{size: largeImage + largeImage/2}, ariaPorts: "20000-30000"}
	if r.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if needsAria(plan) {
		if r.ariaPath, err = exec.LookPath("aria2c"); err != nil {
			return nil, fmt.Errorf("%w: install it, or choose rows with -run", err)
		}
	}
	if r.dir, err = os.MkdirTemp(o.dir, "dockchain-bench-"); err != nil {
		return nil, err
	}
	r.warm.dir = r.dir
	r.network = filepath.Base(r.dir)
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(r.dir))
		}
	}()
	if r.binary, err = filepath.Abs(o.binary); o.binary != "" || err != nil {
		return r, err
	}
	if !needsNodes(plan) {
		return r, nil
	}
	r.binary = filepath.Join(r.dir, "dockchain")
	r.tell("building dockchain")
	build := exec.CommandContext(ctx, "go", "build", "-o", r.binary, "github.com/dockchains/dockchain/cmd/dockchain")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building dockchain: %w\n%s", err, out)
	}
	return r, nil
}

// needsAria says whether any row compares with aria2c.
func needsAria(plan []plannedRow) bool {
	return slices.ContainsFunc(plan, func(r plannedRow) bool { return strings.Contains(r.peer, "/"+aria+"/") })
}

// tell says on stderr what goes on.
func (r *rig) tell(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%4.0fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}
