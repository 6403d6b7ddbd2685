package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// small is a scenario that takes milliseconds.
func small(nodes int) Scenario {
	s := Usual(nodes)
	s.Size, s.Piece = 16<<20-1000, 256<<10
	return s
}

func play(t *testing.T, s Scenario) Result {
	t.Helper()
	r, err := Play(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSameSeedSameResult(t *testing.T) {
	t.Parallel()
	s := small(40)
	s.Uplinks = []float64{10e6, 50e6, 100e6}
	s.RoundTrip, s.Frozen, s.Liars = 20*time.Millisecond, 0.05, 0.1
	first := play(t, s)
	if diff := cmp.Diff(first, play(t, s)); diff != "" {
		t.Errorf("played again (-first +again):\n%s", diff)
	}
	s.Seed++
	if cmp.Equal(first.Times, play(t, s).Times) {
		t.Error("another seed gave the same times")
	}
}

// Whatever happens, who is honest and goes on ends with all of it, and what was
// received was sent.
func TestEverybodyHasEverything(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Scenario){
		"usual":     func(*Scenario) {},
		"plain":     func(s *Scenario) { s.Super = false },
		"distant":   func(s *Scenario) { s.RoundTrip = 50 * time.Millisecond },
		"unequal":   func(s *Scenario) { s.Uplinks = []float64{1e6, 50e6} },
		"whole":     func(s *Scenario) { s.Whole, s.Piece = true, 1<<20 },
		"arrivals":  func(s *Scenario) { s.Arrivals = time.Second },
		"frozen":    func(s *Scenario) { s.Frozen = 0.2 },
		"liars":     func(s *Scenario) { s.Liars = 0.5 },
		"one":       func(s *Scenario) { s.Nodes = 1 },
		"more":      func(s *Scenario) { s.Nodes = 120 }, // than the source has place for
		"one piece": func(s *Scenario) { s.Size = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := small(20)
			change(&s)
			w := newWorld(s)
			r, err := w.play()
			if err != nil {
				t.Fatal(err)
			}
			honest := s.Nodes - int(s.Frozen*float64(s.Nodes)) - int(s.Liars*float64(s.Nodes))
			if len(r.Times) < honest {
				t.Errorf("%d of %d nodes finished", len(r.Times), honest)
			}
			w.drain()
			var sent, received int64
			for i := range w.nodes {
				n := &w.nodes[i]
				sent += n.sent
				received += n.received
				if i == 0 || n.liar || n.done == 0 {
					continue
				}
				if count(n.have) != w.pieces {
					t.Errorf("node %d finished with %d of %d pieces", i, count(n.have), w.pieces)
				}
				if useful := n.received - n.wasted; useful != s.Size {
					t.Errorf("node %d has %d useful bytes of %d", i, useful, s.Size)
				}
			}
			if sent != received {
				t.Errorf("%d bytes were sent, and %d received", sent, received)
			}
			if r.Copies < 1 && s.Liars == 0 {
				t.Errorf("the source sent %.3f copies", r.Copies)
			}
			if r.Last < s.Ideal() && s.Liars == 0 && s.Frozen == 0 {
				t.Errorf("the last had all after %s, before the ideal %s", r.Last, s.Ideal())
			}
		})
	}
}

func TestSuperSeedingIsBetterThanNone(t *testing.T) {
	t.Parallel()
	s := Usual(8)
	super := play(t, s)
	s.Super = false
	plain := play(t, s)
	if super.Ratio(1) > 1.15 || super.Copies > 1.15 || plain.Ratio(1) < 1.5 || plain.Copies < 1.5 {
		t.Errorf("with super-seeding %.2f and %.2f copies, without %.2f and %.2f",
			super.Ratio(1), super.Copies, plain.Ratio(1), plain.Copies)
	}
}

func TestIdeal(t *testing.T) {
	t.Parallel()
	s := Scenario{Nodes: 3, Size: 60e6, Source: 50e6, Uplinks: []float64{10e6}}
	// 80 MB/s are sent by all, three copies are received.
	if got, want := s.Ideal(), 2250*time.Millisecond; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.Uplinks = []float64{100e6}
	if got, want := s.Ideal(), 1200*time.Millisecond; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plot.svg")
	o, err := parse([]string{"-nodes", "4,8", "-size", "4000000", "-uplinks", "10e6,50e6", "-svg", file}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 4 {
		t.Errorf("%d lines:\n%s", lines, out.String())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range [][]string{{"-nodes", "0"}, {"-uplinks", "fast"}, {"-liars", "1"}, {"-chunk", "1"}, {"word"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
