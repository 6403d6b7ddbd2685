package reconcile

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

// TestIndexIsASet compares an index that lives through random changes with a map,
// and all totals with those of an index that was made at once.
func TestIndexIsASet(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		x, naive := NewIndex(), map[ledger.AuthorID]Head{}
		authors := 1 << (seed % 12)
		for range 3 * authors {
			h := headOf(r.IntN(authors), uint64(1+r.IntN(9)))
			if r.IntN(3) == 0 {
				x.Remove(h.Author)
				delete(naive, h.Author)
				continue
			}
			if err := x.Set(h); err != nil {
				t.Fatal(err)
			}
			if naive[h.Author].Size <= h.Size {
				naive[h.Author] = h
			}
		}
		if x.Len() != len(naive) {
			t.Fatalf("seed %d: %d logs, want %d", seed, x.Len(), len(naive))
		}
		fresh := NewIndex()
		for author, want := range naive {
			if got, ok := x.Get(author); !ok || got != want {
				t.Fatalf("seed %d: got %v, want %v", seed, got, want)
			}
			if err := fresh.Set(want); err != nil {
				t.Fatal(err)
			}
		}
		defer func() { // after all ranges were compared
			for author := range naive {
				x.Remove(author)
			}
			if x.Len() != 0 || x.root.sum != (total{}).sum || x.root.children != nil {
				t.Errorf("seed %d: %d logs are left of none", seed, x.Len())
			}
		}()
		for i := range 200 {
			depth := uint8(i % 15)
			s := span{depth, r.Uint64N(1 << depth)}
			compareRange(t, s, x, fresh)
			if t.Failed() {
				t.Fatalf("seed %d, depth %d, prefix %b", seed, depth, s.prefix)
			}
		}
	}
}

// compareRange wants two indexes to tell the same of a range, and each of them
// the same in all ways that there are to ask.
func compareRange(t *testing.T, s span, x, y *Index) {
	t.Helper()
	if !slices.Equal(x.totals(s, 2), y.totals(s, 2)) {
		t.Error("totals depend on history")
	}
	items, n := x.items(s, 1<<20)
	if uint64(len(items)) != n || n != x.count(s) {
		t.Errorf("%d items, %d counted at once, %d counted", len(items), n, x.count(s))
	}
	var sum total
	for i := range items {
		if !s.has(&items[i].id) || i > 0 && slices.Compare(items[i-1].id[:], items[i].id[:]) >= 0 {
			t.Errorf("item %d is elsewhere", i)
		}
		sum.add(&items[i])
	}
	if sum != x.totals(s, 0)[0] {
		t.Error("the total is not that of the items")
	}
}

func TestIndexRefuses(t *testing.T) {
	t.Parallel()
	good := headOf(1, 1)
	for name, h := range map[string]Head{
		"empty log":        {good.Author, 0, good.Root},
		"endless log":      {good.Author, maxSize + 1, good.Root},
		"no author":        {"", 1, good.Root},
		"upper case":       {"BAFKREI" + good.Author[7:], 1, good.Root},
		"another codec":    {"bafybei" + good.Author[7:], 1, good.Root},
		"padding bits":     {good.Author[:58] + "b", 1, good.Root},
		"a line break":     {good.Author[:30] + "\n" + good.Author[31:], 1, good.Root},
		"too long":         {good.Author + "a", 1, good.Root},
		"another alphabet": {good.Author[:58] + "1", 1, good.Root},
	} {
		x := NewIndex()
		if err := x.Set(h); err == nil {
			t.Errorf("%s: taken", name)
		}
		x.Remove(h.Author)
		if _, ok := x.Get(h.Author); ok || x.Len() != 0 {
			t.Errorf("%s: kept", name)
		}
	}
}

// TestAuthorIDs wants our reading of author ids to be that of package ledger.
func TestAuthorIDs(t *testing.T) {
	t.Parallel()
	for i := range 1000 {
		author := ledger.AuthorIDOf(fmt.Append(nil, i))
		id, err := idOf(author)
		if err != nil || authorOf(id) != author {
			t.Fatalf("%s became %x, %s, %v", author, id, authorOf(id), err)
		}
	}
}

// TestConcurrentUse changes both indexes while sessions run, for the race
// detector, and wants whatever differs all the while to be found.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var heads []Head
	for i := range 2000 {
		heads = append(heads, headOf(i, 5))
	}
	x, y := indexOf(t, heads[:1900]...), indexOf(t, heads...)
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	for w, index := range []*Index{x, y} {
		writers.Go(func() {
			for size := uint64(6); ; size++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := index.Set(headOf(w*50+int(size)%100, size)); err != nil {
					t.Error(err)
					return
				}
				index.Remove(heads[200+w*50+int(size)%100].Author)
			}
		})
	}
	for i := range byte(4) {
		readers.Go(func() {
			got, _ := run(t, x, y, salt{i})
			for _, h := range heads[1900:] {
				if !slices.Contains(got, h) {
					t.Errorf("%s was not found", h.Author)
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writers.Wait()
}

// BenchmarkIndexMemory reports the bytes that a log takes.
func BenchmarkIndexMemory(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			x := NewIndex()
			for i := 0; b.Loop(); i++ {
				if i < n {
					if err := x.Set(headOf(i, 1)); err != nil {
						b.Fatal(err)
					}
				}
			}
			for i := x.Len(); i < n; i++ {
				if err := x.Set(headOf(i, 1)); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/log")
			runtime.KeepAlive(x)
		})
	}
}

func BenchmarkSet(b *testing.B) {
	const n = 100_000
	x := NewIndex()
	var heads []Head
	for i := range n {
		heads = append(heads, headOf(i, 1))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h := heads[i%n]
		h.Size += uint64(i / n)
		if err := x.Set(h); err != nil {
			b.Fatal(err)
		}
	}
}
