package quota

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newQuota(t testing.TB, c *clock, cfg Config) *Quota {
	t.Helper()
	cfg.Now = c.Now
	q, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func want(t testing.TB, d Decision, rule Rule) {
	t.Helper()
	if d.OK != (rule == "") || d.Rule != rule || (d.Reason == "") != d.OK {
		t.Fatalf("got %+v, want rule %q", d, rule)
	}
}

func TestPeerRate(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQuota(t, c, Config{PeerEntries: Rate{2, 10}, PeerBytes: Rate{100, 1000}})
	one := Cost{1, 10}
	for range 10 {
		want(t, q.Hear("a", one), "")
	}
	d := q.Hear("a", one)
	want(t, d, PeerEntries)
	if d.Wait != time.Second/2 {
		t.Errorf("wait %s, want half a second", d.Wait)
	}
	want(t, q.Hear("b", one), "") // another peer has its own bucket
	c.step(d.Wait)
	want(t, q.Hear("a", one), "")
	want(t, q.Hear("a", one), PeerEntries)

	c.step(time.Hour)
	want(t, q.Hear("a", Cost{1, 1000}), "")
	want(t, q.Hear("a", one), PeerBytes)
	want(t, q.Hear("a", Cost{1, 0}), "") // what was refused was not charged
	if d := q.Hear("a", Cost{1, 1001}); d.Wait != 0 || d.Rule != PeerBytes {
		t.Errorf("more than the bucket holds: %+v", d)
	}
	want(t, q.Hear("a", Cost{-5, math.MinInt64}), "")
	want(t, q.Hear("a", Cost{math.MaxInt64, math.MaxInt64}), PeerEntries)
}

// TestLongRun wants what passes in a long time to be burst + rate * time, never
// more, whatever the pattern.
func TestLongRun(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := newClock()
		rate := Rate{1 + 9*r.Float64(), 1 + r.Int64N(50)}
		q := newQuota(t, c, Config{PeerEntries: rate})
		var passed int64
		var elapsed time.Duration
		for range 5000 {
			n := 1 + r.Int64N(min(rate.Burst, 3))
			if d := q.Hear("a", Cost{Entries: n}); d.OK {
				passed += n
			} else if d.Wait == 0 {
				t.Fatalf("%+v", d)
			}
			step := time.Duration(r.ExpFloat64() * float64(100*time.Millisecond))
			elapsed += step
			c.step(step)
		}
		most := float64(rate.Burst) + rate.PerSecond*elapsed.Seconds()
		if got := float64(passed); got > most+1 || got < most*0.6-float64(rate.Burst) {
			t.Errorf("seed %d: %d passed of at most %.1f", seed, passed, most)
		}
	}
}

// TestWaitIsEnough wants a second try after Wait to pass, and a bit before it not.
func TestWaitIsEnough(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	c := newClock()
	q := newQuota(t, c, Config{PeerEntries: Rate{3, 20}, PeerBytes: Rate{777, 5000}})
	for range 2000 {
		cost := Cost{r.Int64N(20), r.Int64N(5000)}
		if d := q.Hear("a", cost); !d.OK {
			c.step(d.Wait - 2)
			if d.Wait > 2 {
				want(t, q.Hear("a", cost), d.Rule)
			}
			c.step(2)
			want(t, q.Hear("a", cost), "")
		}
	}
}

// TestThreatClockSteps: a clock that steps back gives no tokens and blocks nobody
// for ever.
func TestThreatClockSteps(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQuota(t, c, Config{PeerEntries: Rate{1, 5}})
	drain := func() (n int) {
		for q.Hear("a", Cost{Entries: 1}).OK {
			n++
		}
		return n
	}
	for _, s := range []struct {
		step time.Duration
		want int
	}{
		{0, 5},
		{-10 * 365 * 24 * time.Hour, 0}, // ten years back: nothing gained
		{2 * time.Second, 2},            // and from there on as usual
		{24 * time.Hour, 5},             // a day ahead: one burst
		{-24 * time.Hour, 0},
		{time.Second, 1},
		{math.MaxInt64, 5},
		{math.MaxInt64, 5},
		{math.MinInt64, 0},
		{3 * time.Second, 3},
	} {
		c.step(s.step)
		if got := drain(); got != s.want {
			t.Errorf("after a step of %s %d passed, want %d", s.step, got, s.want)
		}
	}
}

// TestCrowdMakesNoTokens lets a flood come under ever new names. What all of them
// together get is what the remembered buckets give, and who was drained before
// stays so.
func TestCrowdMakesNoTokens(t *testing.T) {
	t.Parallel()
	const most, burst = 50, 10
	c := newClock()
	q := newQuota(t, c, Config{PeerEntries: Rate{1, burst}, MaxSubjects: most})
	one := Cost{Entries: 1}
	for q.Hear("spender", one).OK {
	}
	passed := 0
	for i := range 20_000 {
		if q.Hear(fmt.Sprint("sybil ", i), one).OK {
			passed++
		}
	}
	if limit := (most - 1) * burst; passed != limit {
		t.Errorf("%d names got %d entries through, want %d", 20_000, passed, limit)
	}
	if d := q.Hear("spender", one); d.OK {
		t.Error("who had spent its burst was forgotten")
	}
	if s := q.Stats(); s.Peers != most || s.Displaced == 0 {
		t.Errorf("%+v", s)
	}
	c.step(3 * time.Second)
	want(t, q.Hear("spender", one), "")
	for i := range 10_000 {
		if q.Hear(fmt.Sprint("more ", i), one).OK {
			passed++
		}
	}
	if limit := (most-1)*burst + 3*most; passed > limit {
		t.Errorf("after 3 seconds more %d had passed, want at most %d", passed, limit)
	}
}

// TestFullBucketsAreForgottenFirst wants a crowd that comes and goes quietly to
// cost nobody anything.
func TestFullBucketsAreForgottenFirst(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQuota(t, c, Config{PeerEntries: Rate{1, 10}, MaxSubjects: 20})
	for i := range 1000 {
		want(t, q.Hear(fmt.Sprint(i), Cost{Entries: 10}), "")
		c.step(time.Second)
	}
	if s := q.Stats(); s.Displaced != 0 || s.Peers != 20 {
		t.Errorf("%+v", s)
	}
}

// TestThreatLedgerSpam is the row of the threat table: a flood at a hundred times the
// rate takes nothing from honest authors and peers.
func TestThreatLedgerSpam(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQuota(t, c, Config{})
	flood, honest := Author{ID: "flood", WorkBits: 16}, Author{ID: "honest", WorkBits: 16}
	flooded, cost := 0, Cost{1, 1500}
	for i := range 100 * 60 * 2 {
		if q.Hear("flooder", cost).OK && q.Publish(flood, cost).OK {
			flooded++
			flood.Held.Entries++
			flood.Held.Bytes += cost.Bytes
		}
		if i%100 == 0 {
			want(t, q.Hear("neighbour", cost), "")
			want(t, q.Publish(honest, cost), "")
			honest.Held.Entries++
			honest.Held.Bytes += cost.Bytes
		}
		c.step(time.Second / 200)
	}
	if flooded < 1000 || flooded > 1130 {
		t.Errorf("of the flood %d entries passed, want a burst of 1,000 and two a second for a minute", flooded)
	}
	s := q.Stats()
	if s.Refused[AuthorEntries] == 0 || s.Published.Entries != int64(flooded)+120 {
		t.Errorf("%+v", s)
	}
}

func TestNewAuthors(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQuota(t, c, Config{NewAuthors: Rate{1, 3}})
	for i := range 3 {
		want(t, q.Publish(Author{ID: fmt.Sprint(i), WorkBits: 16}, Cost{1, 1}), "")
	}
	d := q.Publish(Author{ID: "late", WorkBits: 16}, Cost{1, 1})
	want(t, d, NewAuthors)
	want(t, q.Publish(Author{ID: "1", WorkBits: 16, Held: Room{1, 1}}, Cost{1, 1}), "")
	want(t, q.Publish(Author{ID: "mine", Exempt: true}, Cost{1, 1}), "")
	want(t, q.Keep(Author{ID: "asked for", WorkBits: 16}, Cost{1, 1}), "")
	c.step(d.Wait)
	// Refused for another reason: the place of a new author is not used up.
	want(t, q.Publish(Author{ID: "late", WorkBits: 16}, Cost{1001, 1}), AuthorEntries)
	want(t, q.Publish(Author{ID: "late", WorkBits: 16}, Cost{1, 1}), "")
}

func TestRoom(t *testing.T) {
	t.Parallel()
	cfg := Config{
		WorkBits: 10, Base: Room{100, 1000}, PerVouch: Room{50, 5000}, MaxVouches: 3, Max: Room{1000, 1 << 30},
	}
	for _, row := range []struct {
		bits, vouches int
		want          Room
	}{
		{9, 0, Room{}},
		{9, 1, Room{50, 5000}},
		{10, 0, Room{100, 1000}},
		{10, -7, Room{100, 1000}},
		{11, 0, Room{200, 2000}},
		{13, 0, Room{800, 8000}},
		{14, 0, Room{1000, 16000}},
		{10, 2, Room{200, 11000}},
		{10, 1000, Room{250, 16000}},
		{256, 1000, Room{1000, 1 << 30}},
		{math.MaxInt, math.MaxInt, Room{1000, 1 << 30}},
		{math.MinInt, math.MinInt, Room{}},
	} {
		if got := cfg.Allowance(row.bits, row.vouches); got != row.want {
			t.Errorf("%d bits, %d vouches: %v, want %v", row.bits, row.vouches, got, row.want)
		}
	}
	q := newQuota(t, newClock(), cfg)
	a := Author{ID: "a", WorkBits: 10, Held: Room{99, 999}}
	want(t, q.Keep(a, Cost{1, 1}), "")
	want(t, q.Keep(a, Cost{2, 1}), RoomEntries)
	want(t, q.Keep(a, Cost{1, 2}), RoomBytes)
	want(t, q.Publish(a, Cost{1, 2}), RoomBytes)
	want(t, q.Keep(a, Cost{1, math.MaxInt64}), RoomBytes)
	want(t, q.Keep(Author{ID: "a", WorkBits: 9}, Cost{1, 1}), TooLittleWork)
	want(t, q.Keep(Author{ID: "a", WorkBits: 9, Vouches: 1}, Cost{1, 1}), "")
	a.Vouches = 1
	want(t, q.Keep(a, Cost{2, 2}), "")
	a.Exempt = true
	want(t, q.Keep(a, Cost{math.MaxInt64, math.MaxInt64}), "")
	if s := q.Stats(); s.Kept.Entries != math.MaxInt64 || s.Refused[TooLittleWork] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	q := newQuota(t, newClock(), Config{PeerEntries: Rate{0.5, 1}})
	q.Hear("a", Cost{Entries: 1})
	for _, row := range []struct {
		got  Decision
		want string
	}{
		{q.Hear("a", Cost{Entries: 1}), "this peer sends more entries than the 1 at once and 0.5 a second that are allowed; again in 2s"},
		{q.Hear("a", Cost{Entries: 2}), "this peer sends more entries than the 1 that are allowed in one piece"},
		{
			q.Keep(Author{WorkBits: 16, Held: Room{2000, 100}}, Cost{1, 1}),
			"this author has 2000 entries here and wants to add 1; with 16 bits of work and 0 vouches it may have 2000",
		},
		{
			q.Keep(Author{WorkBits: 3}, Cost{1, 1}),
			"the inception of this author has 3 bits of work, 16 are wanted of authors that nobody trusted here vouches for",
		},
	} {
		if diff := cmp.Diff(row.want, row.got.Reason); diff != "" {
			t.Error(diff)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"too much work":     {WorkBits: 41},
		"negative work":     {WorkBits: -2},
		"negative subjects": {MaxSubjects: -1},
		"negative vouches":  {MaxVouches: -1},
		"no burst":          {PeerEntries: Rate{1, 0}},
		"no rate":           {PeerBytes: Rate{0, 1}},
		"negative rate":     {AuthorBytes: Rate{-1, 1}},
		"no number":         {AuthorEntries: Rate{math.NaN(), 1}},
		"infinite":          {NewAuthors: Rate{math.Inf(1), 1}},
		"slower than years": {NewAuthors: Rate{1e-9, 1}},
		"negative room":     {Base: Room{-1, 1}},
	} {
		if _, err := New(c); err == nil || c.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := (Config{WorkBits: -2, Base: Room{-1, -1}}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want both problems, got %v", err)
	}
	q, err := New(Config{WorkBits: -1})
	if err = errors.Join(err); err != nil {
		t.Fatal(err)
	}
	want(t, q.Keep(Author{}, Cost{1, 1}), "")
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	q := newQuota(t, newClock(), Config{PeerEntries: Rate{1, 100}, MaxSubjects: 8})
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for range 200 {
				q.Hear(fmt.Sprint(w/2), Cost{Entries: 1})
				q.Keep(Author{WorkBits: 16}, Cost{1, 1})
				q.Stats()
			}
		})
	}
	workers.Wait()
	if s := q.Stats(); s.Heard.Entries != 400 || s.Refused[PeerEntries] != 1200 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkHear(b *testing.B) {
	q, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]string, 20_000)
	for i := range ids {
		ids[i] = fmt.Sprint("12D3KooW", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		q.Hear(ids[i%len(ids)], Cost{1, 1000})
	}
}
