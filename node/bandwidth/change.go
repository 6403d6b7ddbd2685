package bandwidth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dockchains/dockchain/p2p/swarm"
)

// ErrBadLimit: a limit that cannot be held, or of a class that there is not.
var ErrBadLimit = errors.New("bad limit")

// Change is what of the limits is to be otherwise; nil leaves a rate as it is.
// Rates are bytes a second, 0 for no limit.
type Change struct {
	Upload   *int64                 `json:"upload,omitempty"`
	Download *int64                 `json:"download,omitempty"`
	Classes  map[string]swarm.Rates `json:"classes,omitempty"` // by name: lan, node, client, relay
	LimitLAN *bool                  `json:"limit_lan,omitempty"`
}

func (c Change) isEmpty() bool {
	return c.Upload == nil && c.Download == nil && len(c.Classes) == 0 && c.LimitLAN == nil
}

// apply changes limits; classes that there are not are left out.
func (c Change) apply(l *swarm.Limits) {
	if c.Upload != nil {
		l.Upload = *c.Upload
	}
	if c.Download != nil {
		l.Download = *c.Download
	}
	for name, r := range c.Classes {
		if class, ok := swarm.ClassNamed(name); ok {
			l.Classes[class] = r
		}
	}
	if c.LimitLAN != nil {
		l.LimitLAN = *c.LimitLAN
	}
}

func (c Change) validate() error {
	for name := range c.Classes {
		if _, ok := swarm.ClassNamed(name); !ok {
			return fmt.Errorf("%w: %q is no class of peers: want one of %v", ErrBadLimit, name, swarm.Classes())
		}
	}
	var l swarm.Limits
	c.apply(&l)
	if err := l.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadLimit, err)
	}
	return nil
}

// merged is c, and other where that says something.
func (c Change) merged(other Change) Change {
	if other.Upload != nil {
		c.Upload = other.Upload
	}
	if other.Download != nil {
		c.Download = other.Download
	}
	if other.LimitLAN != nil {
		c.LimitLAN = other.LimitLAN
	}
	if len(other.Classes) > 0 {
		c.Classes = maps.Clone(c.Classes)
		if c.Classes == nil {
			c.Classes = map[string]swarm.Rates{}
		}
		maps.Copy(c.Classes, other.Classes)
	}
	return c
}

// Request is what the user wants of a running node.
type Request struct {
	Change
	// Pause stops all traffic with peers, for so long where For is not 0, else until
	// Resume.
	Pause bool          `json:"pause,omitempty"`
	For   time.Duration `json:"for,omitempty"` // nanoseconds
	// Resume ends a pause; one of the schedule comes again with its next window.
	Resume bool `json:"resume,omitempty"`
	// Reset forgets all of this but what comes with it: the configuration and its
	// schedule hold again.
	Reset bool `json:"reset,omitempty"`
}

// Validate says what is wrong with a request.
func (r Request) Validate() error {
	switch {
	case r.Pause && r.Resume:
		return fmt.Errorf("%w: pause and resume at once", ErrBadLimit)
	case r.For < 0 || r.For > 0 && !r.Pause:
		return fmt.Errorf("%w: a time of %v without a pause", ErrBadLimit, r.For)
	}
	return r.Change.validate()
}

// Config is what holds from the start.
type Config struct {
	Limits   swarm.Limits
	Schedule Schedule
	// Budget is told by Status, and that is all.
	Budget Budget
}

// Budget is what a node may have open for its peers.
type Budget struct {
	Connections           int   `json:"connections"`             // of BitTorrent, those inside libp2p too
	ConnectionsPerTorrent int   `json:"connections_per_torrent"` // of these
	Peers                 int   `json:"peers"`                   // connected over libp2p
	RequestMemory         int64 `json:"request_memory"`          // bytes read for peers and not sent yet
}

// maxWindows bounds a schedule.
const maxWindows = 100

// Validate tells everything that is wrong at once.
func (c Config) Validate() error {
	var errs []error
	if err := c.Limits.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", ErrBadLimit, err))
	}
	if len(c.Schedule) > maxWindows {
		errs = append(errs, fmt.Errorf("%w: %d windows: want at most %d", ErrBadWindow, len(c.Schedule), maxWindows))
	}
	for _, w := range c.Schedule {
		if err := w.Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c Config) clone() Config {
	c.Schedule = slices.Clone(c.Schedule)
	return c
}
