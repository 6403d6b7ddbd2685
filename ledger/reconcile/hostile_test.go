package reconcile

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLyingResponder lets a responder lie in its own way until the session has
// had enough.
func TestLyingResponder(t *testing.T) {
	t.Parallel()
	mine, _ := differ(rand.New(rand.NewPCG(5, 5)), 20_000, 0)
	for name, lie := range map[string]func(r *rand.Rand, i int, g *group) []result{
		"everything differs": func(_ *rand.Rand, _ int, g *group) []result { return []result{allDiffers(g)} },
		"one result a round": func(_ *rand.Rand, i int, g *group) []result {
			if i > 0 {
				return nil
			}
			return []result{allDiffers(g)}
		},
		"more than can be told": func(_ *rand.Rand, _ int, g *group) []result {
			if g.kind == list {
				return []result{{outcome: tooMany, count: 1 << 63}}
			}
			return []result{allDiffers(g)}
		},
		"a little too much": func(_ *rand.Rand, _ int, g *group) []result {
			if g.kind == list {
				return []result{{outcome: tooMany, count: 1}}
			}
			return []result{allDiffers(g)}
		},
		"heads that do not exist": func(r *rand.Rand, i int, g *group) []result {
			if i > 50 {
				return nil
			}
			return []result{{outcome: told, heads: invented(r, g.span, 100)}}
		},
		"anything": func(r *rand.Rand, _ int, g *group) []result {
			switch {
			case r.IntN(50) == 0:
				return nil
			case g.kind == list && r.IntN(2) == 0:
				return []result{{outcome: tooMany, count: 1 + r.Uint64N(100_000)}}
			case g.kind == list:
				return []result{{outcome: told, heads: invented(r, g.span, r.IntN(3))}}
			}
			d := allDiffers(g)
			d.mask &= uint16(r.Uint32())
			return []result{d}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(6, 6))
			c, err := runLie(t, indexOf(t, mine...), func(i int, g *group) []result { return lie(r, i, g) })
			t.Logf("%d rounds, %d bytes asked: %v", c.rounds, c.asked, err)
			if err != nil && !errors.Is(err, ErrTooMuch) && !errors.Is(err, ErrBadAnswer) {
				t.Error(err)
			}
		})
	}
}

func allDiffers(g *group) result {
	switch g.kind {
	case list:
		return result{outcome: told}
	case sixteenPrints:
		return result{outcome: differing16, mask: 0xffff}
	}
	return result{outcome: differing, mask: 1<<len(g.shorts) - 1}
}

// invented are heads in a range that nobody has.
func invented(r *rand.Rand, s span, n int) []item {
	out := make([]item, n)
	for i := range out {
		for j := range out[i].id {
			out[i].id[j] = byte(r.Uint32())
		}
		out[i] = moved(out[i], s)
		out[i].size = 1 + r.Uint64N(maxSize)
	}
	slices.SortFunc(out, func(a, b item) int { return slices.Compare(a.id[:], b.id[:]) })
	return out
}

// moved gives an item an id in a range.
func moved(it item, s span) item {
	for bit := range s.depth {
		mask := byte(0x80) >> (bit % 8)
		it.id[bit/8] &^= mask
		if s.prefix>>(s.depth-1-bit)&1 != 0 {
			it.id[bit/8] |= mask
		}
	}
	return it
}

// runLie answers every group with lie, up to the first that it leaves out, and
// holds the session to its bounds.
func runLie(t *testing.T, x *Index, lie func(i int, g *group) []result) (c cost, err error) {
	t.Helper()
	s := newSession(x, salt{1})
	s.MaxRounds = 60
	for req := s.First(); ; {
		r, err := decodeRequest(req)
		if err != nil {
			t.Fatal(err)
		}
		var results []result
		for i := range r.groups {
			res := lie(i, &r.groups[i])
			if res == nil && i > 0 {
				break
			}
			if res == nil {
				res = []result{allDiffers(&r.groups[i])}
			}
			results = append(results, res...)
		}
		c.rounds++
		c.asked += len(req)
		next, _, done, err := s.Next(encodeAnswer(results))
		if len(s.unsettled) > maxUnsettled || c.rounds > s.MaxRounds || len(req) > MaxRequest {
			t.Fatalf("beyond all bounds: %+v, %d ranges", c, len(s.unsettled))
		}
		if done || err != nil {
			if _, _, done, again := s.Next([]byte{version, 0}); done || again == nil {
				t.Error("a session that is over goes on")
			}
			return c, err
		}
		req = next
	}
}

// TestAnswersThatDoNotFit answers the first request with what does not belong
// there.
func TestAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	many, _ := differ(rand.New(rand.NewPCG(5, 5)), 100, 0)
	one := invented(rand.New(rand.NewPCG(1, 1)), span{}, 1)
	for name, row := range map[string]struct {
		mine   []Head
		answer []result
	}{
		"two prints for one":      {many, []result{{outcome: differing, mask: 2}}},
		"sixteen for one":         {many, []result{{outcome: differing16, mask: 1}}},
		"too many for a print":    {many, []result{{outcome: tooMany, count: 1}}},
		"a print for a list":      {many[:3], []result{{outcome: differing, mask: 1}}},
		"sixteen for a list":      {many[:3], []result{{outcome: differing16, mask: 1}}},
		"more than was asked for": {many, []result{{outcome: told, heads: one}, {outcome: told}}},
	} {
		s := New(indexOf(t, row.mine...))
		s.First()
		if req, theirs, done, err := s.Next(encodeAnswer(row.answer)); !errors.Is(err, ErrBadAnswer) || req != nil || theirs != nil || done {
			t.Errorf("%s: %x, %v, %v, %v", name, req, theirs, done, err)
		}
	}
	s := New(indexOf(t, many...))
	s.First()
	req, _, _, err := s.Next([]byte{version, 1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeRequest(req)
	if err != nil || r.groups[0].kind != sixteenPrints {
		t.Fatalf("%+v, %v", r, err)
	}
	if req, _, _, err = s.Next([]byte{version, 0x10, 0x80, 0}); err != nil { // only the last part differs
		t.Fatal(err)
	}
	outside := invented(rand.New(rand.NewPCG(1, 1)), span{4, 3}, 1)
	if _, _, _, err := s.Next(encodeAnswer([]result{{outcome: told, heads: outside}})); !errors.Is(err, ErrBadAnswer) {
		t.Errorf("a head outside of %x: %v", req, err)
	}
}

// TestGroundIDs puts authors beside each other whose ids somebody ground to share
// a prefix, which takes more rounds, and not many more.
func TestGroundIDs(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 2_000, 20_000} {
		for _, depth := range []uint8{24, 40, maxDepth} {
			r := rand.New(rand.NewPCG(uint64(n), uint64(depth)))
			prefix := span{depth, r.Uint64N(1 << depth)}
			x, y := NewIndex(), NewIndex()
			var want []Head
			for i, it := range invented(r, prefix, n) {
				if i%2 == 0 { // the rest of the id is random: the same in both
					x.root.insert(&it, 0)
				}
				if i%2 == 0 || i%20 == 1 {
					y.root.insert(&it, 0)
				}
				if i%20 == 1 {
					want = append(want, it.head())
				}
			}
			slices.SortFunc(want, byID)
			got, c := run(t, x, y, salt{2})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d share %d bits: want -, got +:\n%s", n, depth, diff)
			}
			t.Logf("%d share %d bits: %d rounds, %d bytes", n, depth, c.rounds, c.asked+c.answered)
			if c.rounds > 25 {
				t.Errorf("%d share %d bits: %d rounds", n, depth, c.rounds)
			}
		}
	}
}

// TestRoundsAreBounded stops an honest session early: what it has found stands,
// and another goes on from there.
func TestRoundsAreBounded(t *testing.T) {
	t.Parallel()
	var theirs []Head
	for i := range 50_000 {
		theirs = append(theirs, headOf(i, 2))
	}
	x, y := NewIndex(), indexOf(t, theirs...)
	for range 20 {
		s := New(x)
		s.MaxRounds = 3
		for req := s.First(); ; {
			ans, err := y.Respond(req)
			if err != nil {
				t.Fatal(err)
			}
			next, heads, done, err := s.Next(ans)
			if err != nil && !errors.Is(err, ErrTooMuch) {
				t.Fatal(err)
			}
			for _, h := range heads {
				if err := x.Set(h); err != nil {
					t.Fatal(err)
				}
			}
			if done && x.Len() == len(theirs) {
				return
			}
			if done || err != nil {
				break
			}
			req = next
		}
	}
	t.Errorf("after 20 sessions of 3 rounds %d of %d are here", x.Len(), len(theirs))
}

// BenchmarkHostileRequest answers the requests that cost a responder most.
func BenchmarkHostileRequest(b *testing.B) {
	heads, _ := differ(rand.New(rand.NewPCG(5, 5)), 100_000, 0)
	x := indexOf(b, heads...)
	for name, fill := range map[string]group{
		"prints":      {span{depth: 14}, onePrint, make([]short, 1)},
		"sixteens":    {span{depth: 8}, sixteenPrints, make([]short, 16)},
		"empty lists": {span{depth: 15}, list, nil},
	} {
		b.Run(name, func(b *testing.B) {
			e := newEncoder(salt{})
			for g := fill; g.prefix < 1<<g.depth; g.prefix++ {
				if !e.add(&g) {
					break
				}
			}
			for b.Loop() {
				if _, err := x.Respond(e.frame); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(e.frame)))
		})
	}
}

// TestAnswersAreBounded asks for more than fits into an answer.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 8))
	x := NewIndex()
	for _, it := range invented(r, span{}, 2*answerRoom+1000) {
		x.root.insert(&it, 0)
	}
	strange := make([]short, 1000) // tags that nothing has
	for i := range strange {
		strange[i][4], strange[i][3] = byte(i), byte(i>>8)
	}
	for name, row := range map[string]struct {
		groups []group
		want   []outcome
	}{
		"two that never fit":            {[]group{{span{1, 0}, list, nil}, {span{1, 1}, list, nil}}, []outcome{tooMany, tooMany}},
		"one that would without tags":   {[]group{{span{1, 0}, list, strange}}, []outcome{tooMany}},
		"one that fits before it":       {[]group{{span{2, 0}, list, nil}, {span{1, 1}, list, strange}}, []outcome{told}},
		"two that do not fit together":  {[]group{{span{2, 0}, list, nil}, {span{2, 1}, list, nil}}, []outcome{told}},
		"a print after what is too big": {[]group{{span{1, 0}, list, nil}, {span{1, 1}, onePrint, make([]short, 1)}}, []outcome{tooMany, differing}},
	} {
		req := (&request{groups: row.groups}).encode()
		ans, err := x.Respond(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		results, err := decodeAnswer(ans, len(row.groups))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []outcome
		for _, res := range results {
			got = append(got, res.outcome)
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}
