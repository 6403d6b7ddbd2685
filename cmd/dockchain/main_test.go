package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/cmd/dockchain/setup"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for want, errs := range map[int][]error{
		0:   {nil},
		1:   {errors.New("x"), api.ErrNoEngine, api.ErrNoSpace, api.ErrStorageQuota, api.ErrBroken, node.ErrLocked, syscall.EADDRINUSE},
		2:   {&usageError{err: errors.New("x")}, api.ErrBadRequest, api.ErrUnknownHash, api.ErrBadLimit},
		3:   {fmt.Errorf("%w: %w", errPartial, api.ErrNotFound)},
		4:   {api.ErrNotYours, api.ErrUnauthorized, api.ErrRefused, api.ErrOverQuota, api.ErrPaused, fs.ErrPermission, syscall.EACCES},
		10:  {api.ErrNotFound, api.ErrNotGiven, api.ErrTimeout, api.ErrNoAlias, fs.ErrNotExist},
		11:  {api.ErrNotRunning, api.ErrOffline},
		12:  {api.ErrRejected, &api.RejectedError{}, errBadProof, errNoQuorum},
		130: {errInterrupted},
	} {
		for _, err := range errs {
			if err != nil {
				err = fmt.Errorf("doing it: %w", err)
			}
			if got := exitCode(err); got != want {
				t.Errorf("%v: exit code %d, want %d", err, got, want)
			}
		}
	}
}

// Every sentinel that a person can meet has a next step. The exchange's are read
// out of its source, so that a new one cannot be forgotten.
func TestEverySentinelHasAHint(t *testing.T) {
	t.Parallel()
	known := map[string]error{
		"ErrNotFound": api.ErrNotFound, "ErrTimeout": api.ErrTimeout, "ErrNotYours": api.ErrNotYours,
		"ErrNeedsOthers": api.ErrNeedsOthers, "ErrUnsigned": api.ErrUnsigned, "ErrOutdated": api.ErrOutdated,
		"ErrNotGiven":   api.ErrNotGiven,
		"ErrBadRequest": api.ErrBadRequest, "ErrUnknownHash": api.ErrUnknownHash, "ErrNoAlias": api.ErrNoAlias, "ErrNoEngine": api.ErrNoEngine,
		"ErrOffline": api.ErrOffline, "ErrRejected": api.ErrRejected, "ErrNoSpace": api.ErrNoSpace, "ErrOverQuota": api.ErrOverQuota, "ErrStorageQuota": api.ErrStorageQuota,
		"ErrNotRunning": api.ErrNotRunning, "ErrUnauthorized": api.ErrUnauthorized, "ErrRefused": api.ErrRefused,
		"ErrTooLarge": api.ErrTooLarge, "ErrBroken": api.ErrBroken,
		"ErrRevoked": api.ErrRevoked, "ErrRetired": api.ErrRetired, "ErrFrozen": api.ErrFrozen,
		"ErrTransferred": api.ErrTransferred, "ErrWrongState": api.ErrWrongState, "ErrBadSignature": api.ErrBadSignature,
		"ErrBehind": api.ErrBehind, "ErrDiverged": api.ErrDiverged, "ErrUnwitnessed": api.ErrUnwitnessed,
		"ErrNoPolicy": api.ErrNoPolicy, "ErrBadPolicy": api.ErrBadPolicy,
		"ErrPaused": api.ErrPaused, "ErrBadLimit": api.ErrBadLimit,
		"ErrBadCertificate": api.ErrBadCertificate, "ErrBadUsers": api.ErrBadUsers,
	}
	for _, file := range []string{"../../node/exchange/errors.go", "../../node/api/errors.go", "../../node/api/door.go", "../../node/api/limits.go", "../../node/api/users.go"} {
		for _, name := range sentinelsIn(t, file) {
			err, ok := known[name]
			if !ok {
				t.Errorf("%s: %s is not known to this test: give it a hint and an exit code", file, name)
			} else if hint(fmt.Errorf("doing it: %w", err)) == "" {
				t.Errorf("%s has no hint", name)
			}
		}
	}
	for _, err := range []error{node.ErrLocked, errPartial, errUnwell, errBadProof, errNoQuorum, errPredicateTooLarge, setup.ErrNotAllowed, setup.ErrUnreadable, setup.ErrNothing, setup.ErrBadAddress, node.ErrExposed, node.ErrProposed, node.ErrBadKey, fs.ErrPermission, fs.ErrNotExist, syscall.EADDRINUSE, &api.RejectedError{}} {
		if hint(err) == "" {
			t.Errorf("%v has no hint", err)
		}
	}
}

func sentinelsIn(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range f.Decls {
		vars, ok := d.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		for _, s := range vars.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				if strings.HasPrefix(n.Name, "Err") {
					names = append(names, n.Name)
				}
			}
		}
	}
	if len(names) == 0 {
		t.Errorf("no sentinels in %s", file)
	}
	return names
}

func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	root := newRootCommand(&global{ui: newUI(t.Output(), t.Output()), env: noEnv})
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAdditionalHelpTopicCommand() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short text %q", c.CommandPath(), c.Short)
		}
		for _, l := range strings.Split(c.Example, "\n") {
			if c.Example != "" && !strings.HasPrefix(l, "  ") {
				t.Errorf("%s: example line %q is not indented", c.CommandPath(), l)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// The examples parse: their commands and flags exist.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	root := newRootCommand(&global{ui: newUI(t.Output(), t.Output()), env: noEnv})
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, l := range strings.Split(strings.ReplaceAll(c.Example, "\\\n", " "), "\n") {
			l, _, _ = strings.Cut(l, "|")
			l, _, _ = strings.Cut(l, " > ")
			words := strings.Fields(strings.NewReplacer("'", "", `"My app"`, "My-app").Replace(l))
			if len(words) == 0 {
				continue
			}
			fresh := newRootCommand(&global{ui: newUI(t.Output(), t.Output()), env: noEnv})
			found, rest, err := fresh.Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil || words[0] != "dockchain" {
				t.Errorf("%s: example %q: %v", c.CommandPath(), l, err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, err strings.Builder
	code := execute(ctx, []string{"--home", t.TempDir(), "status"}, newUI(&out, &err), noEnv)
	if code != 130 || err.String() != "dockchain: interrupted\n" || out.Len() != 0 {
		t.Errorf("exit code %d, stderr %q, stdout %q", code, err.String(), out.String())
	}
}

func noEnv(string) (string, bool) { return "", false }
