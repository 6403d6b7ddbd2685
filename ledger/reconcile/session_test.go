package reconcile

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"

	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/ledger"
)

// headOf makes the n-th author's head.
func headOf(n int, size uint64) Head {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	binary.BigEndian.PutUint64(b[8:], size)
	return Head{ledger.AuthorIDOf(b[:8]), size, sha256.Sum256(b[:])}
}

func indexOf(t testing.TB, heads ...Head) *Index {
	t.Helper()
	x := NewIndex()
	for _, h := range heads {
		if err := x.Set(h); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// missing is what a naive comparison finds in theirs and not in mine.
func missing(mine, theirs []Head) []Head {
	have := map[Head]bool{}
	for _, h := range mine {
		have[h] = true
	}
	var out []Head
	for _, h := range theirs {
		if !have[h] {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, byID)
	return out
}

func byID(a, b Head) int {
	x, _ := idOf(a.Author)
	y, _ := idOf(b.Author)
	return slices.Compare(x[:], y[:])
}

// cost is what a session took.
type cost struct{ rounds, asked, answered int }

// run lets mine ask theirs until it is done.
func run(t testing.TB, mine *Index, theirs *Index, s salt) ([]Head, cost) {
	t.Helper()
	session := newSession(mine, s)
	var found []Head
	var c cost
	for req := session.First(); ; {
		ans, err := theirs.Respond(req)
		if err != nil {
			t.Fatal(err)
		}
		c.rounds++
		c.asked += len(req)
		c.answered += len(ans)
		if len(req) > MaxRequest || len(ans) > MaxAnswer {
			t.Fatalf("frames of %d and %d bytes", len(req), len(ans))
		}
		next, heads, done, err := session.Next(ans)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, heads...)
		if done {
			slices.SortFunc(found, byID)
			return found, c
		}
		req = next
	}
}

// differ makes two sets of about n heads that differ in about d: a third each
// only here, only there, and longer at one of the two.
func differ(r *rand.Rand, n, d int) (mine, theirs []Head) {
	for i := range n {
		h := headOf(i, uint64(1+r.IntN(50)))
		if r.IntN(n) >= d {
			mine, theirs = append(mine, h), append(theirs, h)
			continue
		}
		switch r.IntN(4) {
		case 0:
			mine = append(mine, h)
		case 1:
			theirs = append(theirs, h)
		case 2:
			mine, theirs = append(mine, h), append(theirs, headOf(i, h.Size+1))
		default:
			mine, theirs = append(mine, headOf(i, h.Size+1)), append(theirs, h)
		}
	}
	return mine, theirs
}

func TestFindsWhatNaiveComparisonFinds(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 7, 9, 33, 100, 1000, 3000, 12000}
	if testing.Short() {
		sizes = sizes[:7]
	}
	for _, n := range sizes {
		for _, d := range []int{0, 1, 2, n / 100, n / 2, n} {
			t.Run(fmt.Sprintf("%d of %d", d, n), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(max(1, 600/(n+1))) {
					r := rand.New(rand.NewPCG(seed, uint64(n*31+d)))
					a, b := differ(r, n, min(d, n))
					x, y := indexOf(t, a...), indexOf(t, b...)
					s := salt{byte(seed), byte(d)}
					got, c := run(t, x, y, s)
					if diff := gocmp.Diff(missing(a, b), got); diff != "" {
						t.Fatalf("seed %d: naive -, reconciled +:\n%s", seed, diff)
					}
					got, _ = run(t, y, x, s)
					if diff := gocmp.Diff(missing(b, a), got); diff != "" {
						t.Fatalf("seed %d, the other way: naive -, reconciled +:\n%s", seed, diff)
					}
					if c.rounds > 10 {
						t.Errorf("seed %d: %d rounds", seed, c.rounds)
					}
				}
			})
		}
	}
}

func TestEmptyAndFull(t *testing.T) {
	t.Parallel()
	var all []Head
	for i := range 40_000 {
		all = append(all, headOf(i, 3))
	}
	full := indexOf(t, all...)
	got, c := run(t, NewIndex(), full, salt{1})
	if len(got) != len(all) {
		t.Errorf("a new node learned of %d logs, want %d", len(got), len(all))
	}
	// 67 bytes a head in answers of a mebibyte: three at least, and one to know.
	if c.rounds > 5 {
		t.Errorf("a new node took %d rounds for %d bytes", c.rounds, c.answered)
	}
	if got, c := run(t, full, NewIndex(), salt{1}); len(got) != 0 || c.rounds != 1 {
		t.Errorf("from a new node came %d heads in %d rounds", len(got), c.rounds)
	}
	if got, c := run(t, full, indexOf(t, all...), salt{1}); len(got) != 0 || c.rounds != 1 || c.asked+c.answered > 20 {
		t.Errorf("equals took %d rounds and %d bytes for %d heads", c.rounds, c.asked+c.answered, len(got))
	}
}

// TestTraffic holds the session to what the package promises.
func TestTraffic(t *testing.T) {
	t.Parallel()
	n, d := 100_000, 1_000
	if testing.Short() {
		n, d = 10_000, 100
	}
	r := rand.New(rand.NewPCG(1, 2))
	var mine, theirs []Head
	longer := r.Perm(n)[:d]
	for i := range n {
		mine = append(mine, headOf(i, 2))
	}
	theirs = slices.Clone(mine)
	for _, i := range longer {
		theirs[i] = headOf(i, 5)
	}
	got, c := run(t, indexOf(t, mine...), indexOf(t, theirs...), salt{9})
	if diff := gocmp.Diff(missing(mine, theirs), got); diff != "" {
		t.Fatal(diff)
	}
	t.Logf("%d rounds, %d + %d bytes, %d for each difference", c.rounds, c.asked, c.answered, (c.asked+c.answered)/d)
	if c.rounds > 10 || c.asked+c.answered > 150*d {
		t.Errorf("%+v", c)
	}
}

func BenchmarkReconcile(b *testing.B) {
	for _, bm := range []struct{ n, d int }{{100_000, 1}, {100_000, 100}, {100_000, 1_000}, {100_000, 10_000}, {1_000_000, 10_000}} {
		b.Run(fmt.Sprintf("%d of %d", bm.d, bm.n), func(b *testing.B) {
			mine, theirs := NewIndex(), NewIndex()
			for i := range bm.n {
				h := headOf(i, 2)
				if err := cmp.Or(mine.Set(h), theirs.Set(h)); err != nil {
					b.Fatal(err)
				}
			}
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(bm.n)[:bm.d] {
				if err := theirs.Set(headOf(i, 5)); err != nil {
					b.Fatal(err)
				}
			}
			var c cost
			i := byte(0)
			for b.Loop() {
				_, c = run(b, mine, theirs, salt{i})
				i++
			}
			b.ReportMetric(float64(c.asked+c.answered)/float64(bm.d), "B/diff")
			b.ReportMetric(float64(c.asked), "B-asked")
			b.ReportMetric(float64(c.answered), "B-answered")
			b.ReportMetric(float64(c.rounds), "rounds")
		})
	}
}

// TestOtherHistory wants a log of the same size with another root, a fork, to be
// told like a longer one.
func TestOtherHistory(t *testing.T) {
	t.Parallel()
	var mine []Head
	for i := range 3000 {
		mine = append(mine, headOf(i, 7))
	}
	theirs := slices.Clone(mine)
	theirs[17].Root[31] ^= 1
	got, _ := run(t, indexOf(t, mine...), indexOf(t, theirs...), salt{3})
	if diff := gocmp.Diff([]Head{theirs[17]}, got); diff != "" {
		t.Error(diff)
	}
}

// TestSaltsDiffer wants no two sessions to be predictable from each other.
func TestSaltsDiffer(t *testing.T) {
	t.Parallel()
	x := indexOf(t, headOf(1, 1))
	if a, b := New(x).First(), New(x).First(); slices.Equal(a, b) {
		t.Errorf("two sessions began with %x", a)
	}
}

// TestWhatIsKnownIsNoNews lets a responder that has little tell all of it.
func TestWhatIsKnownIsNoNews(t *testing.T) {
	t.Parallel()
	var mine []Head
	for i := range 100 {
		mine = append(mine, headOf(i, 7))
	}
	news := headOf(1000, 1)
	got, c := run(t, indexOf(t, mine...), indexOf(t, mine[3], news), salt{3})
	if diff := gocmp.Diff([]Head{news}, got); diff != "" || c.rounds != 1 {
		t.Errorf("%d rounds: %s", c.rounds, diff)
	}
}

// TestSaltChangesEverything wants prints and tags to be different in each session.
func TestSaltChangesEverything(t *testing.T) {
	t.Parallel()
	h := headOf(1, 1)
	it, err := itemOf(h)
	if err != nil {
		t.Fatal(err)
	}
	all := indexOf(t, h).totals(span{}, 0)[0]
	if a, b := (salt{1}), (salt{2}); a.print(&all) == b.print(&all) || a.tag(&it) == b.tag(&it) {
		t.Error("what two sessions compare is the same")
	}
	other := all
	other.count++
	if (salt{}).print(&all) == (salt{}).print(&other) {
		t.Error("the count is not in the print")
	}
}
