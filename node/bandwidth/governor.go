package bandwidth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dockchains/dockchain/p2p/swarm"
)

// Swarm is what is held to the limits.
type Swarm interface {
	SetLimits(swarm.Limits) error
	SetPaused(bool)
	Traffic() [swarm.NumClasses]swarm.Traffic
	Stats() swarm.Stats
}

// A Governor keeps a swarm to the limits that hold now.
type Governor struct {
	cfg   Config
	swarm Swarm
	now   func() time.Time
	log   *slog.Logger
	every time.Duration

	mu     sync.Mutex
	said   Change // by the user
	hold   hold
	told   *state // what the swarm knows
	meters [swarm.NumClasses]meter
	at     time.Time // of the last measurement
}

// A hold is that the user wants a pause, or none.
type hold struct {
	said   bool
	paused bool
	until  time.Time // zero: until something else is said
}

// state is what holds at a time.
type state struct {
	limits   swarm.Limits
	paused   bool
	by       string
	until    time.Time // of the pause, where it is known
	window   int       // of the schedule
	said     bool
	schedule time.Time // when it changes next
}

// Who paused.
const (
	ByCommand  = "command"
	BySchedule = "schedule"
)

// New tells the swarm what holds now.
func New(cfg Config, s Swarm, now func() time.Time, log *slog.Logger) (*Governor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	g := &Governor{cfg: cfg.clone(), swarm: s, now: now, log: log.With("component", "bandwidth"), every: lookEvery, at: now()}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g, g.tell()
}

// lookEvery is how often the clock is looked at and traffic is measured.
const lookEvery = time.Second

// Run follows the schedule until ctx ends.
func (g *Governor) Run(ctx context.Context) error {
	tick := time.NewTicker(g.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			g.mu.Lock()
			g.measure()
			err := g.tell()
			g.mu.Unlock()
			if err != nil {
				g.log.Error("limits cannot be set", "err", err)
			}
		}
	}
}

// Set does what the user wants.
func (g *Governor) Set(r Request) error {
	if err := r.Validate(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Reset {
		g.said, g.hold = Change{}, hold{}
	}
	g.said = g.said.merged(r.Change)
	now := g.now()
	switch {
	case r.Pause:
		g.hold = hold{said: true, paused: true}
		if r.For > 0 {
			g.hold.until = now.Add(r.For)
		}
	case r.Resume:
		g.hold = hold{}
		if s := g.state(now); s.paused { // by the schedule
			g.hold = hold{said: true, until: s.until}
		}
	}
	return g.tell()
}

// state is what holds at a time. The caller holds mu.
func (g *Governor) state(now time.Time) state {
	s := state{limits: g.cfg.Limits, window: g.cfg.Schedule.at(now), said: !g.said.isEmpty()}
	if len(g.cfg.Schedule) > 0 {
		s.schedule = g.cfg.Schedule.next(now)
	}
	if s.window >= 0 {
		w := g.cfg.Schedule[s.window]
		w.apply(&s.limits)
		if w.Pause {
			s.paused, s.by, s.until = true, BySchedule, s.schedule
		}
	}
	g.said.apply(&s.limits)
	if g.hold.said {
		s.paused, s.by, s.until = g.hold.paused, ByCommand, g.hold.until
	}
	return s
}

// tell has the swarm do what holds now. The caller holds mu.
func (g *Governor) tell() error {
	now := g.now()
	if g.hold.said && !g.hold.until.IsZero() && !now.Before(g.hold.until) {
		g.hold = hold{}
	}
	s := g.state(now)
	before := g.told
	if before == nil || before.limits != s.limits {
		if err := g.swarm.SetLimits(s.limits); err != nil {
			return err
		}
	}
	if before == nil || before.paused != s.paused {
		g.swarm.SetPaused(s.paused)
	}
	if before != nil && (before.window != s.window || before.paused != s.paused || before.limits != s.limits) {
		g.log.Info("other limits hold", "upload", s.limits.Upload, "download", s.limits.Download, "paused", s.paused, "by", s.by)
	}
	g.told = &s
	return nil
}

// A meter measures a rate of late, each way.
type meter struct {
	up, down       float64 // bytes a second
	sumUp, sumDown int64
}

// measure looks at what has passed. The caller holds mu.
func (g *Governor) measure() {
	now := g.now()
	elapsed := now.Sub(g.at).Seconds()
	if elapsed <= 0 {
		g.at = now // the clock was set back
		return
	}
	g.at = now
	for c, t := range g.swarm.Traffic() {
		m := &g.meters[c]
		up, down := t.TorrentUp+t.RequestUp, t.TorrentDown+t.RequestDown
		follow := min(1, elapsed/2) // over two seconds
		m.up += (float64(up-m.sumUp)/elapsed - m.up) * follow
		m.down += (float64(down-m.sumDown)/elapsed - m.down) * follow
		m.sumUp, m.sumDown = up, down
	}
}

// A Class is one class of peers: its limits, and what passes.
type Class struct {
	Name string `json:"class"`
	swarm.Rates
	UploadRate   float64 `json:"upload_rate"` // bytes a second of late
	DownloadRate float64 `json:"download_rate"`
	Uploaded     int64   `json:"uploaded"` // bytes since the start
	Downloaded   int64   `json:"downloaded"`
	Connections  int     `json:"connections"`
}

// Status is which limits hold, and what passes.
type Status struct {
	swarm.Rates
	LimitLAN     bool      `json:"limit_lan"`
	UploadRate   float64   `json:"upload_rate"`
	DownloadRate float64   `json:"download_rate"`
	Classes      []Class   `json:"classes"`
	Paused       bool      `json:"paused"`
	PausedBy     string    `json:"paused_by,omitempty"` // "command" or "schedule"
	PausedUntil  time.Time `json:"paused_until,omitzero"`
	// Changed tells that some of the rates were said since the start.
	Changed bool `json:"changed,omitempty"`
	// Window is that of the schedule which holds, Next when another one does.
	Window string    `json:"window,omitempty"`
	Next   time.Time `json:"next,omitzero"`

	Connections int    `json:"connections"`
	Budget      Budget `json:"budget"`
	Loaded      int    `json:"torrents_loaded"`
	Active      int    `json:"torrents_active"` // with somebody connected
	Unreachable int64  `json:"unreachable"`     // connections that could not be made
	Banned      int64  `json:"banned"`          // peers that sent something wrong
	Refused     int64  `json:"refused"`         // connections over the budget
}

// Status is what holds now.
func (g *Governor) Status() Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.state(g.now())
	out := Status{Rates: s.limits.Rates, LimitLAN: s.limits.LimitLAN, Paused: s.paused, Changed: s.said, Next: s.schedule}
	if s.paused {
		out.PausedBy, out.PausedUntil = s.by, s.until
	}
	if s.window >= 0 {
		out.Window = g.cfg.Schedule[s.window].String()
	}
	stats := g.swarm.Stats()
	out.Budget, out.Loaded, out.Active = g.cfg.Budget, stats.Loaded, stats.Active
	out.Unreachable, out.Banned, out.Refused = stats.Unreachable, stats.Banned, stats.Refused
	for c, t := range stats.Traffic {
		m := g.meters[c]
		out.Connections += t.Conns
		out.UploadRate += m.up
		out.DownloadRate += m.down
		out.Classes = append(out.Classes, Class{
			Name: swarm.Class(c).String(), Rates: s.limits.Classes[c], UploadRate: m.up, DownloadRate: m.down,
			Uploaded: t.TorrentUp + t.RequestUp, Downloaded: t.TorrentDown + t.RequestDown, Connections: t.Conns,
		})
	}
	return out
}
