package index

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	killDir     = "DOCKCHAIN_INDEX_KILL_DIR"
	killEntries = 400
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		applyUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// applyUntilKilled applies the corpus entry by entry, again and again, and
// prints a line after each.
func applyUntilKilled(dir string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	x, err := Open(dir, slog.New(slog.DiscardHandler))
	must(err)
	for {
		for _, e := range corpus(killEntries) {
			must(x.Apply(nil, e))
			fmt.Println()
		}
		must(x.Reset())
	}
}

// After kill -9 the index opens, or asks for a rebuild, and gives the answers
// of one that was never killed once it has caught up.
func TestKilled(t *testing.T) {
	t.Parallel()
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	fresh := openAt(t, "")
	apply(t, fresh, corpus(killEntries)...)
	want := answers(t, fresh)
	for round := range rounds {
		dir := filepath.Join(t.TempDir(), "index")
		killAfter(t, dir, 30+110*round)
		x, err := Open(dir, testLog(t))
		if errors.Is(err, ErrRebuild) {
			x, err = Create(dir, testLog(t))
		}
		if err != nil {
			t.Fatal(err)
		}
		catchUp(t, x, corpus(killEntries))
		wantAnswers(t, fmt.Sprint("round ", round), want, x)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func killAfter(t *testing.T, dir string, lines int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc, n := bufio.NewScanner(out), 0
	for sc.Scan() {
		if n++; n == lines {
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || n < lines {
		t.Fatalf("the process ended by itself after %d lines: %v", n, err)
	}
}
