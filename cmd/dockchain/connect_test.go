package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
)

// A command waits for another that has the data directory open.
func TestCommandsTakeTurns(t *testing.T) {
	t.Parallel()
	cfg := node.DefaultConfig()
	cfg.Home = t.TempDir()
	n, err := node.OpenOffline(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	var out, told strings.Builder
	go func() {
		ended <- execute(t.Context(), []string{"--home", cfg.Home, "alias", "ls", "-o", "json"}, newUI(&out, &told), noEnv)
	}()
	select {
	case code := <-ended:
		t.Errorf("it did not wait: exit code %d\n%s", code, told.String())
	case <-time.After(200 * time.Millisecond):
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 || out.String() != "[]\n" {
		t.Errorf("exit code %d, stdout %q\n%s", code, out.String(), told.String())
	}
}
