// Command dockchain is a peer-to-peer store for container images.
//
// dockchain run is a node; the other commands ask it over its unix socket.
// Data goes to stdout and everything else to stderr; an error is one line,
// "dockchain: …", and where there is a next step a second, "dockchain: hint: …".
// The exit codes are those of exitCode, told by dockchain help exit-codes.
package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/dockchains/dockchain/cmd/dockchain/setup"
	"github.com/dockchains/dockchain/node/api"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], newUI(os.Stdout, os.Stderr), os.LookupEnv))
}

// execute runs one command line and gives its exit code.
func execute(ctx context.Context, args []string, ui *ui, env func(string) (string, bool)) int {
	g := &global{ui: ui, env: env}
	root := newRootCommand(g)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if !g.started { // cobra did not like the line
		err = &usageError{err: err, command: cmd.CommandPath()}
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	ui.fail(err)
	return exitCode(err)
}

// Errors of the commands themselves.
var (
	errInterrupted = errors.New("interrupted")
	errPartial     = errors.New("not all of it was done")
)

// usageError is a command line that does not say what to do.
type usageError struct {
	err     error
	command string // "dockchain publish", for the hint
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitCode is the one place that knows exit codes.
func exitCode(err error) int {
	var usage *usageError
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case err == nil:
		return 0
	case is(errInterrupted):
		return 130
	case errors.As(err, &usage), is(api.ErrBadRequest), is(api.ErrUnknownHash), is(api.ErrBadLimit), is(api.ErrBadPolicy), is(setup.ErrBadAddress):
		return 2
	case is(errPartial):
		return 3
	case is(api.ErrRejected), is(errBadProof), is(errNoQuorum):
		return 12
	case is(api.ErrNotRunning), is(api.ErrOffline):
		return 11
	case is(api.ErrOverQuota), is(api.ErrPaused):
		return 4
	case is(api.ErrNotFound), is(api.ErrTimeout), is(api.ErrNoAlias), is(api.ErrNoPolicy), is(api.ErrNotGiven), is(setup.ErrNothing), is(fs.ErrNotExist):
		return 10
	case is(api.ErrNotYours), is(api.ErrUnauthorized), is(api.ErrRefused), is(setup.ErrNotAllowed), is(fs.ErrPermission):
		return 4
	}
	return 1
}
