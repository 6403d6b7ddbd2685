package bandwidth

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/p2p/swarm"
)

// A fake swarm remembers what it was told.
type fake struct {
	mu      sync.Mutex
	limits  swarm.Limits
	paused  bool
	told    int
	traffic [swarm.NumClasses]swarm.Traffic
}

func (f *fake) SetLimits(l swarm.Limits) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limits = l
	f.told++
	return l.Validate()
}

func (f *fake) SetPaused(p bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = p
}

func (f *fake) Traffic() [swarm.NumClasses]swarm.Traffic {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.traffic
}

func (f *fake) Stats() swarm.Stats { return swarm.Stats{Traffic: f.Traffic(), Loaded: 3, Active: 2} }

func (f *fake) pass(c swarm.Class, up int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.traffic[c].TorrentUp += up
}

func (f *fake) says() (upload int64, paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.limits.Upload, f.paused
}

const (
	mb = 1_000_000
	// every is how often the governors of these tests look at the clock, which have
	// days to go.
	every = 10 * time.Second
)

func upTo(n int64) Change { return Change{Upload: &n} }

// start runs a governor in a bubble, whose clock begins at a midnight of UTC, on a
// Saturday.
func start(t *testing.T, cfg Config) (*Governor, *fake) {
	t.Helper()
	f := &fake{}
	now := func() time.Time { return time.Now().UTC() }
	g, err := New(cfg, f, now, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	g.every = every
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return g, f
}

func set(t *testing.T, g *Governor, r Request) {
	t.Helper()
	if err := g.Set(r); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, f *fake, when string, upload int64, paused bool) {
	t.Helper()
	time.Sleep(every + every/2)
	synctest.Wait()
	if u, p := f.says(); u != upload || p != paused {
		t.Errorf("%s: upload %d, paused %v; want %d, %v", when, u, p, upload, paused)
	}
}

func TestScheduleHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Limits: swarm.Limits{Rates: swarm.Rates{Upload: 20 * mb}}, Schedule: Schedule{
			{From: 2 * 60, To: 3 * 60, Pause: true},
			{From: 8 * 60, To: 18 * 60, Days: 0b0111110, Change: upTo(mb)},
			{From: 22 * 60, To: 6 * 60, Days: 1 << time.Sunday, Change: upTo(0)},
		}}
		g, f := start(t, cfg)
		at := func(day, hour, minute int) {
			to := time.Date(2000, 1, day, hour, minute, 0, 0, time.UTC) // the 1st was a Saturday
			time.Sleep(time.Until(to))
		}
		expect(t, f, "saturday midnight", 20*mb, false)
		at(1, 2, 0)
		expect(t, f, "at two", 20*mb, true)
		if s := g.Status(); s.PausedBy != BySchedule || s.PausedUntil != time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC) || s.Window != "02:00-03:00" {
			t.Errorf("status %+v", s)
		}
		at(1, 3, 0)
		expect(t, f, "at three", 20*mb, false)
		if s := g.Status(); s.Next != time.Date(2000, 1, 2, 2, 0, 0, 0, time.UTC) || s.Window != "" {
			t.Errorf("status %+v", s)
		}
		at(1, 12, 0)
		expect(t, f, "saturday noon", 20*mb, false)
		at(2, 21, 59)
		expect(t, f, "sunday evening", 20*mb, false)
		at(2, 22, 0)
		expect(t, f, "sunday night", 0, false)
		at(3, 2, 30)
		expect(t, f, "monday at half past two, where the first window goes before", 20*mb, true)
		at(3, 5, 59)
		expect(t, f, "monday before six, which is sunday's window", 0, false)
		at(3, 6, 0)
		expect(t, f, "monday at six", 20*mb, false)
		at(3, 8, 0)
		expect(t, f, "monday at eight", mb, false)
		if s := g.Status(); s.Window != "mon-fri 08:00-18:00" || s.Upload != mb {
			t.Errorf("status %+v", s)
		}
		at(3, 18, 0)
		expect(t, f, "monday at six in the evening", 20*mb, false)
	})
}

// What the user says holds over the schedule, until reset.
func TestUserOverSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Schedule: Schedule{{From: 8 * 60, To: 18 * 60, Change: upTo(mb)}}}
		g, f := start(t, cfg)
		set(t, g, Request{Change: upTo(5 * mb)})
		if u, _ := f.says(); u != 5*mb {
			t.Errorf("%d holds after Set", u)
		}
		time.Sleep(10 * time.Hour)
		expect(t, f, "in the window", 5*mb, false)
		if !g.Status().Changed {
			t.Error("status does not tell that it was changed")
		}
		one := int64(mb)
		lan := true
		set(t, g, Request{Change: Change{Download: &one, LimitLAN: &lan, Classes: map[string]swarm.Rates{"lan": {Upload: mb}}}})
		want := swarm.Limits{Rates: swarm.Rates{Upload: 5 * mb, Download: mb}, LimitLAN: true}
		want.Classes[swarm.LAN].Upload = mb
		if diff := cmp.Diff(want, f.limits); diff != "" {
			t.Errorf("limits (-want +got):\n%s", diff)
		}
		set(t, g, Request{Reset: true})
		expect(t, f, "after reset", mb, false)
		for _, bad := range []Request{
			{Change: upTo(1)}, {Change: Change{Classes: map[string]swarm.Rates{"wan": {}}}}, {Pause: true, Resume: true},
			{For: time.Second}, {Pause: true, For: -1},
		} {
			if err := g.Set(bad); !errors.Is(err, ErrBadLimit) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		expect(t, f, "after what is refused", mb, false)
	})
}

func TestPauseForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := start(t, Config{})
		set(t, g, Request{Pause: true, For: 30 * time.Minute})
		time.Sleep(29 * time.Minute)
		expect(t, f, "before it ends", 0, true)
		if s := g.Status(); s.PausedBy != ByCommand || s.PausedUntil.IsZero() {
			t.Errorf("status %+v", s)
		}
		time.Sleep(time.Minute)
		expect(t, f, "after", 0, false)
		set(t, g, Request{Pause: true})
		time.Sleep(20 * time.Hour)
		expect(t, f, "without an end", 0, true)
		set(t, g, Request{Resume: true})
		if _, p := f.says(); p {
			t.Error("it did not resume at once")
		}
	})
}

// A pause of the schedule that is ended by hand comes again with its next window.
func TestResumeFromSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := start(t, Config{Schedule: Schedule{{From: 8 * 60, To: 18 * 60, Pause: true}}})
		time.Sleep(9 * time.Hour)
		expect(t, f, "at nine", 0, true)
		set(t, g, Request{Resume: true})
		expect(t, f, "resumed", 0, false)
		time.Sleep(8 * time.Hour)
		expect(t, f, "at five", 0, false)
		time.Sleep(16 * time.Hour)
		expect(t, f, "at nine of the next day", 0, true)
		// One by hand within it lasts beyond it.
		set(t, g, Request{Pause: true})
		time.Sleep(12 * time.Hour)
		expect(t, f, "in the evening", 0, true)
	})
}

func TestRatesAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, f := start(t, Config{})
		for range 300 {
			f.pass(swarm.Client, mb/10)
			time.Sleep(100 * time.Millisecond)
		}
		s := g.Status()
		c := s.Classes[swarm.Client]
		if c.Name != "client" || c.UploadRate < 0.9*mb || c.UploadRate > 1.1*mb || s.UploadRate != c.UploadRate || c.Uploaded != 30*mb || c.DownloadRate != 0 {
			t.Errorf("%+v", s)
		}
		if f.told != 1 {
			t.Errorf("the swarm was told %d times of the same limits", f.told)
		}
		time.Sleep(time.Minute)
		if s := g.Status(); s.UploadRate > 1 {
			t.Errorf("%.0f bytes a second, and nothing passes", s.UploadRate)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"rate":   {Limits: swarm.Limits{Rates: swarm.Rates{Upload: 1}}},
		"empty":  {Schedule: Schedule{{From: 60, To: 120}}},
		"window": {Schedule: Schedule{{From: 60, To: 120, Change: upTo(-1)}}},
		"class":  {Schedule: Schedule{{Change: Change{Classes: map[string]swarm.Rates{"x": {}}}}}},
		"many":   {Schedule: make(Schedule, maxWindows+1)},
	} {
		if _, err := New(cfg, &fake{}, nil, slog.Default()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestDaysAndClocks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "mon-fri": "mon-fri", "Sat,sun": "sat-sun", "fri-mon": "mon,fri-sun", "wed": "wed", "mon-sun": "mon-sun", "tue-mon": "mon-sun",
	} {
		d, err := ParseDays(text)
		if err != nil || d.String() != want {
			t.Errorf("%q is %q, %v; want %q", text, d, err, want)
		}
	}
	for _, text := range []string{",", "monday", "mon-", "-fri", "mon-tue-wed", "mon;tue"} {
		if _, err := ParseDays(text); !errors.Is(err, ErrBadWindow) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]Clock{"00:00": 0, "8:30": 510, "24:00": 1440} {
		if got, err := ParseClock(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8", "24:01", "12:60", "-1:00", "12:5", "+1:00", "12:30:00", "300:00"} {
		if _, err := ParseClock(text); !errors.Is(err, ErrBadWindow) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzWindow reads what it writes as the same.
func FuzzWindow(f *testing.F) {
	f.Add("mon-fri", "08:00")
	f.Add("sat,sun", "24:00")
	f.Fuzz(func(t *testing.T, days, clock string) {
		if d, err := ParseDays(days); err == nil {
			if again, err := ParseDays(d.String()); err != nil || again != d {
				t.Errorf("%q is %b, written %q, read %b, %v", days, d, d, again, err)
			}
		}
		if c, err := ParseClock(clock); err == nil {
			if again, err := ParseClock(c.String()); err != nil || again != c || strings.Count(c.String(), ":") != 1 {
				t.Errorf("%q is %d, written %q, read %d, %v", clock, c, c, again, err)
			}
		}
	})
}
