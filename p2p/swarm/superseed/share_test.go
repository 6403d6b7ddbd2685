package superseed

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A downloader has a share and one source, and knows the others as fellows.
type downloader struct {
	*Share
	src     *Source
	told    []int
	fellows []*Fellow // of the others, how they know this one
}

// company is downloaders that know each other and ask one source that hides nothing.
func company(n, pieces int, now time.Time) []*downloader {
	shape := Shape{Pieces: pieces, PieceLength: 1 << 20, Size: int64(pieces)<<20 - 50}
	all := make([]*downloader, n)
	for i := range all {
		all[i] = &downloader{Share: NewShare(shape, fmt.Sprint("node", i), now)}
	}
	for i, d := range all {
		for j, other := range all {
			if i != j {
				d.fellows = append(d.fellows, other.Meet(fmt.Sprint("node", i)))
			}
		}
	}
	for _, d := range all {
		d.src = d.Open(now, func(p int) { d.told = append(d.told, p) })
	}
	return all
}

// take has a downloader get the next piece from the source and announce it.
func (d *downloader) take(now time.Time) (piece int, ok bool) {
	for len(d.told) > 0 {
		piece, d.told = d.told[0], d.told[1:]
		if d.got.has(piece) {
			continue
		}
		d.src.Received(piece, d.shape.length(piece), now)
		d.Got(piece, now)
		for _, f := range d.fellows {
			f.Has(piece)
		}
		return piece, true
	}
	return 0, false
}

func TestDownloadersAskForDifferentPieces(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	all := company(8, 512, now)
	sent := map[int]int{}
	for left := 512; left > 0; {
		for _, d := range all {
			p, ok := d.take(now)
			if !ok {
				t.Fatal("a source is idle while pieces are missing")
			}
			if sent[p]++; sent[p] == 1 {
				left--
			}
		}
		now = now.Add(100 * time.Millisecond)
	}
	total := 0
	for _, n := range sent {
		total += n
	}
	if total > 512*115/100 {
		t.Errorf("%d pieces of 512 were sent before each was sent once", total)
	}
}

// A fellow that takes no part, that lies or that is gone leaves nobody without
// anything to ask for.
func TestFellowsThatDoNothingHoldNobodyUp(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(f *Fellow, now time.Time){
		"silent": func(*Fellow, time.Time) {},
		"liar":   func(f *Fellow, _ time.Time) { f.HasAll() },
		"half":   func(f *Fellow, _ time.Time) { f.Has(-1); f.Has(64); f.Has(3) },
		"gone":   func(f *Fellow, now time.Time) { f.Leave(now); f.Leave(now); f.Has(5) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(1e9, 0)
			d := company(1, 64, now)[0]
			for i := range 20 {
				do(d.Meet(fmt.Sprint("hostile", i)), now)
			}
			for i := range 64 {
				if _, ok := d.take(now); !ok {
					t.Fatalf("nothing to ask for after %d pieces", i)
				}
				now = now.Add(time.Millisecond)
			}
			for p := range 64 {
				if d.claims[p] < 0 || d.Share.told[p] != 0 {
					t.Errorf("piece %d: claimed by %d, told %d times", p, d.claims[p], d.Share.told[p])
				}
			}
			if d.src.unsent != 0 {
				t.Errorf("%d bytes are owed in the end", d.src.unsent)
			}
		})
	}
}

// Alone, a node asks for as much as a source sends in a second.
func TestAloneTheSourceIsKeptBusy(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	d := company(1, 4096, now)[0]
	for range 200 {
		d.take(now)
		now = now.Add(10 * time.Millisecond) // 100 MiB/s
	}
	if d.src.unsent < 80<<20/2 {
		t.Errorf("%d bytes are asked for ahead at 100 MiB/s", d.src.unsent)
	}
}

func TestSourcesAreAskedForDifferentPieces(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	d := company(1, 64, now)[0]
	var other []int
	second := d.Open(now, func(p int) { other = append(other, p) })
	for _, p := range other {
		if slices.Contains(d.told, p) {
			t.Errorf("both are asked for piece %d", p)
		}
	}
	lost := other[0]
	second.Leave(now)
	for range 64 {
		d.take(now)
		now = now.Add(time.Millisecond)
	}
	if !d.got.has(lost) {
		t.Errorf("piece %d was asked of a source that left, and of no other", lost)
	}
}

func TestHTTPServersAreAskedForTheOwnShare(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	shape := Shape{Pieces: 512, PieceLength: 1, Size: 512}
	asked := map[int]int{}
	var all []*Share
	for i := range 4 {
		s := NewShare(shape, fmt.Sprint("node", i), now)
		for j := range 4 {
			if i != j {
				s.Meet(fmt.Sprint("node", j))
			}
		}
		all = append(all, s)
	}
	for _, s := range all {
		for range 64 {
			first, n := s.Next(4, func(p int) bool { return p != 7 })
			if n == 0 || n > 4 {
				t.Fatalf("%d pieces from %d on", n, first)
			}
			for p := first; p < first+n; p++ {
				s.Got(p, now)
				asked[p]++
			}
			if s.weight(first) > 0 {
				break // the own share is through
			}
		}
	}
	twice := 0
	for p, n := range asked {
		if n > 1 {
			twice++
		}
		if p == 7 {
			t.Error("piece 7 is asked for, which is not free")
		}
	}
	if len(asked) < 480 || twice > 16 {
		t.Errorf("%d of 512 pieces are asked for, %d of them twice", len(asked), twice)
	}
}

// Those who read the same are told of what they wait for one after another.
func TestReadersTakeTurns(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	all := company(4, 512, now)
	for _, d := range all {
		d.told = nil
		d.Reads(200, []int{200, 201}, now)
	}
	askers := func(p int) (n int) {
		for _, d := range all {
			if slices.Contains(d.told, p) {
				n++
			}
		}
		return n
	}
	if n := askers(200); n != 1 {
		t.Errorf("%d of 4 ask for the piece that all wait for", n)
	}
	for range 10 { // whoever asked gets nothing
		now = now.Add(200 * time.Millisecond)
		for _, d := range all {
			d.Tick(now)
		}
	}
	if n := askers(200); n != 4 {
		t.Errorf("%d of 4 ask for it after two seconds", n)
	}
}
