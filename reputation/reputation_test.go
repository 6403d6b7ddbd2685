package reputation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clock is a clock the test moves by hand.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }

func newBook(maxSubjects int) (*Book, *clock) {
	c := &clock{time.Unix(1_795_190_400, 0)}
	return New(Config{MaxSubjects: maxSubjects, Now: c.now}), c
}

var bob = Subject{Peer, "bob"}

func TestStandingTellsWhy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		subject Subject
		do      func(b *Book, c *clock, s Subject)
		score   float64
		reasons []string
	}{
		{"stranger", bob, func(*Book, *clock, Subject) {}, 0, []string{}},
		{"good", bob, func(b *Book, _ *clock, s Subject) { b.Observe(s, Verified, 64<<20) }, 0.5,
			[]string{"delivered 67.1 MB that verified in the last day"}},
		{"two wrong pieces", bob, func(b *Book, c *clock, s Subject) {
			b.Observe(s, BadPiece, 1)
			b.Observe(s, BadPiece, 1)
		}, -0.75, []string{"sent 2 wrong pieces in the last day"}},
		{"one wrong piece of a good peer", bob, func(b *Book, c *clock, s Subject) {
			b.Observe(s, Verified, 64<<20)
			b.Observe(s, BadPiece, 1)
		}, -0.25, []string{"sent 1 wrong piece in the last day", "delivered 67.1 MB that verified in the last day"}},
		{"older", bob, func(b *Book, c *clock, s Subject) {
			b.Observe(s, BadPiece, 2)
			c.pass(48 * time.Hour)
		}, 1/math.Sqrt2 - 1, []string{"sent wrong pieces 2 days ago"}},
		{"faded", bob, func(b *Book, c *clock, s Subject) {
			b.Observe(s, BadPiece, 2)
			c.pass(30 * 24 * time.Hour)
		}, 0, []string{}},
		{"latency", bob, func(b *Book, c *clock, s Subject) {
			b.ObserveLatency(s, 10*time.Millisecond)
			b.ObserveLatency(s, 30*time.Millisecond)
		}, 0, []string{"answers in 20ms on average"}},
		{"worst first", bob, func(b *Book, c *clock, s Subject) {
			for e := Verified; e < numEvents; e++ {
				b.Observe(s, e, 1)
			}
		}, math.Exp2(-3.6) - 1, []string{
			"passed on 1 entry with a bad signature or proof in the last day",
			"sent 1 wrong piece in the last day",
			"did not deliver what it announced, 1 time in the last day",
			"did not answer 1 request in the last day",
			"delivered 1 B that verified in the last day",
		}},
		{"author", Subject{Author, "bafk"}, func(b *Book, c *clock, s Subject) { b.Observe(s, BrokenPromise, 2) }, -0.5,
			[]string{"released content that does not match its entry, 2 times in the last day"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, c := newBook(0)
			tt.do(b, c, tt.subject)
			got := b.Standing(tt.subject)
			if diff := cmp.Diff(tt.reasons, got.Reasons); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if math.Abs(got.Score-tt.score) > 1e-6 {
				t.Errorf("score = %v, want %v", got.Score, tt.score)
			}
		})
	}
}

func TestReasonsReadWell(t *testing.T) {
	t.Parallel()
	for kind, ps := range phrases {
		for e, p := range ps {
			for _, s := range []string{p.one, p.many} {
				if strings.Count(s, "%s") != 1 {
					t.Errorf("%s event %d: %q takes no number", kind, e, s)
				}
			}
			if p.some == "" || strings.Contains(p.some, "%") {
				t.Errorf("%s event %d: %q", kind, e, p.some)
			}
		}
	}
	for n, want := range map[int64]string{1: "1 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_999: "1.0 MB", 1 << 30: "1.1 GB", maxTally: "4.5 PB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

// history made of random events: what must hold for each of them.
func TestProperties(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b, c := newBook(0)
		for range rng.IntN(20) {
			b.Observe(bob, Event(rng.IntN(int(numEvents))), 1+rng.Int64N(1+rng.Int64N(50)))
			b.Observe(bob, Verified, 1+rng.Int64N(1<<28))
			c.pass(time.Duration(rng.Int64N(int64(20 * time.Hour))))
		}
		before := b.Score(bob)
		if before < -1 || before > 1 || math.IsNaN(before) {
			t.Fatalf("score %v out of [-1, 1]", before)
		}
		b.Observe(bob, Verified, 10<<20)
		raised := b.Score(bob)
		if raised < before || raised == before && before > -0.999 && before < 0.99 {
			t.Fatalf("verified bytes moved the score from %v to %v", before, raised)
		}
		for e := BadPiece; e < numEvents; e++ {
			was := b.Score(bob)
			b.Observe(bob, e, 1)
			if got := b.Score(bob); got > was || got == was && was > -0.999 {
				t.Fatalf("event %d moved the score from %v to %v", e, was, got)
			}
		}
		c.pass(60 * 24 * time.Hour)
		if s := b.Score(bob); math.Abs(s) > 1e-6 {
			t.Fatalf("score %v after 60 days is not neutral", s)
		}
	}
}

// A wrong piece takes the best of peers to neutral: good bytes buy no licence.
func TestGoodBytesBuyNoLicence(t *testing.T) {
	t.Parallel()
	b, _ := newBook(0)
	b.Observe(bob, Verified, math.MaxInt64)
	b.Observe(bob, BadPiece, 1)
	if s := b.Score(bob); s > 0 {
		t.Errorf("score %v after a wrong piece, want at most 0", s)
	}
}

// The order of observations of one moment does not matter, and neither does
// how often somebody looks in between.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	type step struct {
		e Event
		n int64
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		hours := make([][]step, 1+rng.IntN(6))
		for h := range hours {
			for range rng.IntN(8) {
				hours[h] = append(hours[h], step{Event(rng.IntN(int(numEvents))), 1 + rng.Int64N(1000)})
			}
		}
		play := func(shuffle, look bool) Standing {
			b, c := newBook(0)
			for _, steps := range hours {
				order := rng.Perm(len(steps))
				for i, s := range steps {
					if shuffle {
						s = steps[order[i]]
					}
					b.Observe(bob, s.e, s.n)
					if look {
						b.Score(bob)
					}
				}
				c.pass(30 * time.Minute)
				if look {
					b.Score(bob)
				}
				c.pass(30 * time.Minute)
			}
			return b.Standing(bob)
		}
		want := play(false, false)
		for _, got := range []Standing{play(true, false), play(false, true)} {
			if math.Abs(got.Score-want.Score) > 1e-9 {
				t.Fatalf("score %v, want %v", got.Score, want.Score)
			}
			if diff := cmp.Diff(want.Reasons, got.Reasons); diff != "" {
				t.Fatalf("reasons differ:\n%s", diff)
			}
		}
	}
}

// TestThreatClockRunsBackwards: a clock that is wrong forgives no misdeed early,
// keeps none for ever, and panics nowhere.
func TestThreatClockRunsBackwards(t *testing.T) {
	t.Parallel()
	b, c := newBook(0)
	b.Observe(bob, BadPiece, 1)
	c.pass(-1000 * time.Hour)
	b.Observe(bob, BadPiece, 1)
	if got := b.Standing(bob); got.Score != -0.75 || got.Reasons[0] != "sent 2 wrong pieces in the last day" {
		t.Errorf("got %+v", got)
	}
	right := c.t
	for _, step := range []time.Duration{-10 * 365 * 24 * time.Hour, 24 * time.Hour, -48 * time.Hour} {
		before := b.Score(bob)
		c.pass(step)
		if got := b.Score(bob); got < before || got > 1 {
			t.Errorf("a step of %v: score %v after %v", step, got, before)
		}
	}
	b.Observe(bob, BadPiece, 1)
	c.t = right.Add(1000 * time.Hour).Add(60 * 24 * time.Hour)
	if got := b.Score(bob); got < -0.01 {
		t.Errorf("two months after the clock was right again: score %v", got)
	}
}

func TestRank(t *testing.T) {
	t.Parallel()
	b, _ := newBook(0)
	peer := func(id string) Subject { return Subject{Peer, id} }
	b.Observe(peer("best"), Verified, 1<<30)
	b.Observe(peer("good"), Verified, 64<<20)
	b.Observe(peer("far"), Verified, 64<<20)
	b.ObserveLatency(peer("far"), 3*time.Second)
	b.Observe(peer("bad"), BadPiece, 1)
	b.ObserveLatency(peer("bad"), time.Millisecond)
	b.Observe(peer("slow"), Timeout, 1)
	in := []string{"bad", "new2", "slow", "far", "new1", "good", "best"}
	kept := strings.Join(in, " ")
	want := []string{"best", "good", "far", "new2", "new1", "slow", "bad"}
	if diff := cmp.Diff(want, b.Rank(Peer, in)); diff != "" {
		t.Errorf("rank (-want +got):\n%s", diff)
	}
	if strings.Join(in, " ") != kept {
		t.Error("Rank changed its argument")
	}
	if got := b.Rank(Author, in); !cmp.Equal(got, in) {
		t.Errorf("authors of the same ids ranked %v", got)
	}
	if got := b.Standings(Peer); got[0].ID != "best" || got[len(got)-1].ID != "bad" {
		t.Errorf("standings %+v", got)
	}
}

func TestSubjectsAreBounded(t *testing.T) {
	t.Parallel()
	b, _ := newBook(64)
	b.Observe(Subject{Peer, "worst"}, BadSignature, 3)
	b.Observe(Subject{Peer, "best"}, Verified, 1<<30)
	for i := range 10_000 {
		b.Observe(Subject{Peer, fmt.Sprint("crowd", i)}, Timeout, 1)
		b.Observe(Subject{Peer, fmt.Sprint("flatterer", i)}, Verified, 1)
		b.ObserveLatency(Subject{Author, fmt.Sprint("author", i)}, time.Second)
		if b.Len(Peer) > 64 || b.Len(Author) > 64 {
			t.Fatalf("%d peers and %d authors remembered", b.Len(Peer), b.Len(Author))
		}
	}
	if b.Score(Subject{Peer, "worst"}) > -0.9 {
		t.Error("a crowd made the book forget the worst peer")
	}
	if b.Score(Subject{Peer, "best"}) < 0.9 {
		t.Error("a crowd made the book forget the best peer")
	}
	if n := len(b.Changed()); n > 30_100 {
		t.Errorf("%d changes pending", n)
	}
}

func TestIgnoresNonsense(t *testing.T) {
	t.Parallel()
	b, _ := newBook(0)
	for _, s := range []Subject{{}, {Peer, ""}, {"nobody", "x"}, {Peer, strings.Repeat("x", maxID+1)}} {
		b.Observe(s, BadPiece, 1)
		b.ObserveLatency(s, time.Second)
	}
	b.Observe(bob, -1, 1)
	b.Observe(bob, numEvents, 1)
	b.Observe(bob, BadPiece, 0)
	b.Observe(bob, BadPiece, -5)
	if n := b.Len(Peer) + b.Len(Author) + len(b.Changed()); n != 0 {
		t.Errorf("%d traces of nonsense", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	book := New(Config{})
	for i := 0; b.Loop(); i++ {
		book.Observe(Subject{Peer, "bob"}, Verified, 1<<20)
	}
}
