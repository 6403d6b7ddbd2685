// Package doctor looks for what is wrong with a node and its surroundings: each
// line says what is the matter, why, and the command that mends it. It changes
// nothing.
package doctor

import (
	"context"
	"time"

	"github.com/dockchains/dockchain/node/api"
)

// States of a line.
const (
	OK   = "ok"
	Warn = "warn" // works, and not as well as it could
	Fail = "fail"
)

// Line is what one check found.
type Line struct {
	Check string `json:"check"`
	State string `json:"state"`
	Text  string `json:"text"`
	Cause string `json:"cause,omitempty"`
	Mend  string `json:"mend,omitempty"` // a command, or what to do
}

// Node is what is asked of a node that runs, or of its data opened without one.
type Node interface {
	Status(context.Context) (api.Status, error)
	Author(ctx context.Context, name string) (api.AuthorStatus, error)
	Peers(context.Context) ([]api.PeerStatus, error)
	Clock(context.Context) (api.ClockStatus, error)
	ExplainPolicy(context.Context, api.PolicyRequest) (api.PolicyStatus, error)
}

// Engine is the Docker Engine.
type Engine interface {
	Version(context.Context) (string, error)
	Mirrors(context.Context) ([]string, error)
	Close() error
}

// Patient is what is looked at.
type Patient struct {
	Home string // the data directory
	// Listeners are the addresses that the node is told to listen on, by name.
	Listeners map[string]string
	// Policy is the file of the policy of witnesses; empty: none.
	Policy string
	// ConfigErr is what is wrong with configuration file and environment.
	ConfigErr error

	// Node is nil where the data cannot be opened, with OpenErr, or is not there.
	Node    Node
	Running bool
	OpenErr error
	// Notes are what was logged while the data was opened.
	Notes []string

	// Samples is how many blobs are hashed.
	Samples int
	// OpenEngine opens the Docker Engine.
	OpenEngine func(context.Context) (Engine, error)
	// Room tells the bytes and files that still fit on the disk of a directory.
	Room func(dir string) (bytes, files uint64, err error)
	// Now is the clock.
	Now func() time.Time
}

// Examine runs every check.
func Examine(ctx context.Context, p *Patient) []Line {
	var lines []Line
	for _, check := range []func(context.Context, *Patient) []Line{
		checkConfig, checkData, checkDisk, checkStore, checkBlobs, checkKeys, checkAuthor, checkWitnesses,
		checkPorts, checkRegistry, checkPeers, checkClock, checkDocker,
	} {
		lines = append(lines, check(ctx, p)...)
	}
	return lines
}

func ok(check, text string) []Line { return []Line{{Check: check, State: OK, Text: text}} }

func warn(check, text, cause, mend string) []Line {
	return []Line{{Check: check, State: Warn, Text: text, Cause: cause, Mend: mend}}
}

func fail(check, text, cause, mend string) []Line {
	return []Line{{Check: check, State: Fail, Text: text, Cause: cause, Mend: mend}}
}

func checkConfig(_ context.Context, p *Patient) []Line {
	if p.ConfigErr != nil {
		return fail("config", "the configuration cannot be used", p.ConfigErr.Error(), "mend the line that it names; dockchain help environment lists the keys")
	}
	return ok("config", "every setting is known")
}
