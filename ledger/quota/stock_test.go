package quota

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func newStock(c *clock, total Total) *Stock { return NewStock(Config{Total: total, Now: c.Now}) }

// admit asks for room for a new log of an author; who is in kept stays whatever
// comes.
func admit(s *Stock, a Author, asked bool, bytes int64, regards map[string]Regard) ([]string, Decision) {
	return s.Admit(a, asked, Cost{1, bytes}, func(id string) Regard { return regards[id] }, func(string) bool { return false })
}

func TestStockGivesUpTheLeast(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newStock(c, Total{Authors: 6, Bytes: 1 << 30})
	at := c.Now()
	s.Set("named", Log{Bytes: 1, WorkBits: 0, Since: at})
	s.Set("fetched", Log{Bytes: 1, WorkBits: 0, Since: at})
	s.Use("fetched", true)
	s.Set("vouched", Log{Bytes: 1, WorkBits: 1, Since: at})
	s.Set("old", Log{Bytes: 1, WorkBits: 16, Since: at})
	c.step(time.Hour)
	s.Set("new", Log{Bytes: 1, WorkBits: 16, Since: c.Now()})
	s.Set("worked", Log{Bytes: 1, WorkBits: 20, Since: at})
	regards := map[string]Regard{"named": {Kept: true}, "vouched": {Vouches: 1}}

	for name, tt := range map[string]struct {
		a     Author
		asked bool
		want  []string
		rule  Rule
	}{
		"more work":          {Author{ID: "x", WorkBits: 17}, false, []string{"old"}, ""},
		"the same work":      {Author{ID: "x", WorkBits: 16}, false, nil, TotalAuthors},
		"less work":          {Author{ID: "x", WorkBits: 3}, false, nil, TotalAuthors},
		"vouched for":        {Author{ID: "x", WorkBits: 0, Vouches: 1}, false, []string{"old"}, ""},
		"asked for":          {Author{ID: "x", WorkBits: 0}, true, []string{"old"}, ""},
		"this node's own":    {Author{ID: "x", Exempt: true}, false, nil, ""},
		"one that is stored": {Author{ID: "old", WorkBits: 16}, false, nil, ""},
	} {
		s.refused = refused{}
		got, d := admit(s, tt.a, tt.asked, 10, regards)
		if d.Rule != tt.rule || d.OK != (tt.rule == "") || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %+v", name, got, d)
		}
	}
}

// A log of the same standing has to have gone unused for long: whoever makes many
// authors pushes nobody out by it.
func TestStockIsNotFlushed(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newStock(c, Total{Authors: 100, Bytes: 1 << 30})
	for i := range 100 {
		s.Set(fmt.Sprint("honest ", i), Log{Bytes: 1, WorkBits: 18, Since: c.Now()})
		c.step(time.Minute)
	}
	flood := func(bits int) (given int) {
		for i := range 10_000 {
			got, d := admit(s, Author{ID: fmt.Sprint("junk ", i), WorkBits: bits}, false, 1, nil)
			if d.OK {
				t.Fatalf("a log of %d bits is let in for %q", bits, got)
			}
			given += len(got)
		}
		return given
	}
	if n := flood(18) + flood(17); n > 0 {
		t.Errorf("%d honest logs would go", n)
	}
	s.Use("honest 0", false)
	c.step(30*24*time.Hour - 30*time.Minute)
	got, d := admit(s, Author{ID: "newcomer", WorkBits: 18}, false, 1, nil)
	if !d.OK || !slices.Equal(got, []string{"honest 1"}) {
		t.Errorf("%q, %+v: want the one that was unused the longest", got, d)
	}
}

func TestStockCountsBytes(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newStock(c, Total{Authors: 100, Bytes: 1000})
	for i := range 4 {
		s.Set(fmt.Sprint(i), Log{Entries: 2, Bytes: 250, WorkBits: i, Since: c.Now()})
	}
	if got, d := admit(s, Author{ID: "3", WorkBits: 3}, false, 300, nil); !d.OK || !slices.Equal(got, []string{"0", "1"}) {
		t.Errorf("%q, %+v: want the two that worked least", got, d)
	}
	if _, d := admit(s, Author{ID: "0", WorkBits: 0}, false, 1, nil); d.Rule != TotalBytes {
		t.Errorf("%+v: nobody is worth less", d)
	}
	if got, d := admit(s, Author{ID: "3", WorkBits: 3}, false, 900, nil); d.OK {
		t.Errorf("%q: all the others are not enough, and one does not go for itself", got)
	}
	s.Remove("0")
	s.Set("1", Log{Entries: 1, Bytes: 50})
	if got, want := s.Totals(), (Totals{Authors: 3, Entries: 5, Bytes: 550, Largest: 250}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Frozen logs stay, for others have to hear of the evidence; but they never take
// more than half of the places.
func TestStockKeepsEvidence(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newStock(c, Total{Authors: 8, Bytes: 1 << 30})
	guilty := map[string]bool{}
	for i := range 8 {
		s.Set(fmt.Sprint(i), Log{Bytes: 1, WorkBits: i, Since: c.Now()})
	}
	ask := func() []string {
		got, _ := s.Admit(Author{ID: "x", WorkBits: 30}, false, Cost{1, 1}, func(string) Regard { return Regard{} },
			func(id string) bool { return guilty[id] })
		return got
	}
	for i := range 4 {
		guilty[fmt.Sprint(i)] = true
	}
	if got := ask(); !slices.Equal(got, []string{"4"}) {
		t.Errorf("%q goes, want the first that is not frozen", got)
	}
	for i := range 8 {
		guilty[fmt.Sprint(i)] = true
	}
	if got := ask(); !slices.Equal(got, []string{"4"}) { // the fifth that was noticed
		t.Errorf("%q goes of eight frozen ones", got)
	}
	if n := s.Totals().Frozen; n != 5 {
		t.Errorf("%d were noticed to be frozen, want five", n)
	}
}

func TestBeginAndAccuse(t *testing.T) {
	t.Parallel()
	c := newClock()
	q := newQuota(t, c, Config{PeerAuthors: Rate{1, 2}, PeerEvidence: Rate{1, 2}})
	for range 2 {
		want(t, q.Begin("a"), "")
		want(t, q.Accuse("a"), "")
	}
	want(t, q.Begin("a"), PeerAuthors)
	want(t, q.Begin("b"), "")
	want(t, q.Accuse("a"), PeerEvidence)
	q.Proven("a")
	want(t, q.Accuse("a"), "")
	for range 100 { // good evidence costs nothing
		q.Proven("a")
		want(t, q.Accuse("a"), "")
	}
	q.Proven("nobody")
	c.step(time.Second)
	want(t, q.Begin("a"), "")
	want(t, q.Hear("a", Cost{1, 1}), "")
	if n := q.Stats().Begun; n != 4 {
		t.Errorf("%d logs begun, want 4", n)
	}
}

func TestWorkFor(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int64]int{0: 16, 4 << 20: 16, 4<<20 + 1: 17, 64 << 20: 20, 4 << 30: 26} {
		if got, ok := (Config{}).WorkFor(bytes); !ok || got != want {
			t.Errorf("%d bytes: %d bits, want %d", bytes, got, want)
		}
	}
	if bits, ok := (Config{}).WorkFor(4<<30 + 1); ok {
		t.Errorf("%d bits give more than the most", bits)
	}
}
