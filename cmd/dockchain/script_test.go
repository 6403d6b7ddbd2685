package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dockchains/dockchain/node/engine"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dockchain": main})
}

// TestScripts runs testdata/script. Beside testscript's own commands there are
//
//	exits CODE COMMAND...    runs a command and demands its exit code
//	becomes CODE COMMAND...  runs a command until it has the exit code
//	await FILE               waits for a ready file
//	jsonenv VAR FILE KEY...  sets a variable from a JSON document
//	layout DIR [TEXT]        writes an OCI image layout with a small image
//	listen VAR               listens on a port of loopback for as long as the script runs
//
// and the conditions [docker] and [root]. Nodes find ports and no neighbours by the
// environment.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("DOCKCHAIN_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("DOCKCHAIN_REGISTRY", "127.0.0.1:0")
			e.Setenv("DOCKCHAIN_API", "127.0.0.1:0")
			e.Setenv("DOCKCHAIN_BITTORRENT", "127.0.0.1:0")
			e.Setenv("DOCKCHAIN_PEER", "/ip4/127.0.0.1/tcp/0")
			e.Setenv("DOCKCHAIN_MDNS", "false")
			e.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
			e.Setenv("RUN", strings.ToLower(rand.Text())) // for names that others see
			return nil
		},
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "docker":
				return hasDocker(t), nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %s", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "becomes": scriptBecomes, "await": scriptAwait, "jsonenv": scriptJSONEnv, "layout": scriptLayout, "listen": scriptListen,
		},
	})
}

func hasDocker(t *testing.T) bool {
	t.Helper()
	e, err := engine.Open(t.Context())
	if err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_DOCKER") == "1" {
			t.Fatalf("no Docker Engine answers, and DOCKCHAIN_REQUIRE_DOCKER=1: %v", err)
		}
		t.Logf("left out for want of a Docker Engine: %v", err)
		return false
	}
	return e.Close() == nil
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	if code, want := scriptRun(ts, args); code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func scriptBecomes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: becomes CODE COMMAND...")
	}
	deadline := time.Now().Add(patience)
	for {
		code, want := scriptRun(ts, args)
		if code == want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("exit code is still %d, want %d", code, want)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// scriptRun runs a command and gives the exit code it has and the one wanted.
func scriptRun(ts *testscript.TestScript, args []string) (code, want int) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), want
	}
	ts.Check(err)
	return 0, want
}

// patience is how long a script waits for what must come, on however busy a
// machine.
const patience = 3 * time.Minute

func scriptAwait(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(patience)
	for {
		_, err := os.Stat(ts.MkAbs(args[0]))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("waiting for %s: %v", args[0], err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func scriptJSONEnv(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: jsonenv VAR FILE KEY...")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &v))
	for _, key := range args[2:] {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(in) {
				ts.Fatalf("%s has no element %s", args[1], key)
			}
			v = in[i]
		}
	}
	if v == nil {
		ts.Fatalf("%s has no %s", args[1], strings.Join(args[2:], "."))
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func scriptLayout(ts *testscript.TestScript, _ bool, args []string) {
	dir, text := ts.MkAbs(args[0]), strings.Join(args[1:], " ")
	program := dir + ".program"
	ts.Check(os.WriteFile(program, []byte(text), 0o700))
	_, err := buildLayout(context.Background(), dir, program, "test")
	ts.Check(err)
}

func scriptListen(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
	_, port, err := net.SplitHostPort(ln.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0]+"_PORT", port)
}
