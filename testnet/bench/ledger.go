package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// appendRounds are the turns of each contender at appending.
	appendRounds = 3
	tessera      = "tessera"
)

// ledger measures what the planned rows need of the ledger. Every workload runs
// in a process of its own, so that none finds the memory of another.
func (r *rig) ledger(ctx context.Context, plan []plannedRow, s series) error {
	if err := r.appends(ctx, plan, s); err != nil {
		return err
	}
	for _, name := range []string{loadCosign, loadReplay, loadCatchUp, loadFork, loadLogs} {
		if !needs(plan, "ledger/"+name) {
			continue
		}
		if err := r.workload(ctx, name, s); err != nil {
			return err
		}
	}
	return nil
}

// appends lets the contenders append by turns.
func (r *rig) appends(ctx context.Context, plan []plannedRow, s series) error {
	var theirs string
	if needs(plan, "ledger/"+tessera) {
		var err error
		if theirs, err = r.buildTessera(ctx); err != nil {
			r.tell("Tessera is left out: %v", err)
		}
	}
	for range appendRounds {
		for _, name := range []string{loadAppend1, loadAppend1000} {
			if !needs(plan, "ledger/"+name) {
				continue
			}
			if err := r.workload(ctx, name, s); err != nil {
				return err
			}
		}
		if theirs == "" {
			continue
		}
		if err := r.tessera(ctx, theirs, s); err != nil {
			return err
		}
	}
	return nil
}

// workload runs one in a process of its own and adds its samples.
func (r *rig) workload(ctx context.Context, name string, s series) error {
	dir, err := os.MkdirTemp(r.dir, name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := r.warm.settle(); err != nil {
		return err
	}
	out := filepath.Join(dir, "samples.json")
	p, err := startProcess(ctx, filepath.Join(dir, "log"), os.Environ(), r.self, childRole, "load", name, out, filepath.Join(dir, "data"), strconv.Itoa(r.entries))
	if err != nil {
		return err
	}
	if err := p.wait(ctx); err != nil {
		p.stop()
		return fmt.Errorf("%s: %w", name, err)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	var samples series
	if err := json.Unmarshal(b, &samples); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for of, values := range samples {
		for _, v := range values {
			s.add("ledger/"+name+"/"+of, v)
		}
	}
	r.tell("ledger, %s: %s", name, bytes.TrimSpace(b))
	return nil
}

// runLoad is the other side of workload: it leaves samples in a file.
func runLoad(name, out, dir, entries string) error {
	n, err := strconv.Atoi(entries)
	if err != nil {
		return err
	}
	samples, err := load(context.Background(), name, dir, n)
	if err != nil {
		return err
	}
	b, err := json.Marshal(samples)
	if err != nil {
		return err
	}
	return os.WriteFile(out, b, 0o600)
}

// buildTessera builds the program of the nested module beside this one, whose
// dependencies are no concern of dockchain's.
func (r *rig) buildTessera(ctx context.Context) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/dockchains/dockchain/testnet/bench")
	dir, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("finding its module: %w", err)
	}
	binary := filepath.Join(r.dir, tessera)
	build := exec.CommandContext(ctx, "go", "build", "-C", filepath.Join(strings.TrimSpace(string(dir)), tessera), "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return binary, nil
}

// tessera appends leaves of the size of ours that nobody signs.
func (r *rig) tessera(ctx context.Context, binary string, s series) error {
	dir, err := os.MkdirTemp(r.dir, "tessera-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	size, err := leafSize()
	if err != nil {
		return err
	}
	if err := r.warm.settle(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "-dir", filepath.Join(dir, "log"), "-writers", strconv.Itoa(appendWriters),
		"-size", strconv.Itoa(size), "-warm", appendWarm.String(), "-for", appendFor.String())
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return fmt.Errorf("running Tessera: %w", err)
	}
	perSecond, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		return fmt.Errorf("running Tessera: %w", err)
	}
	s.add("ledger/"+tessera+"/rate", perSecond)
	r.tell("Tessera: %.0f entries/s", perSecond)
	return nil
}
