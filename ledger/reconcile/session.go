package reconcile

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

const (
	// DefaultMaxRounds is enough for some 3,500,000 heads that are new.
	DefaultMaxRounds = 256

	// fewItems is the number of items up to which a range is listed and not
	// split: about where tags get cheaper than prints.
	fewItems = 8
	// patientSplits is how often a range is split before more items are listed
	// in one, twice as many with each further split. Ids that somebody ground to
	// share a prefix can then cost bytes, but no rounds.
	patientSplits = 12
	// maxTags fit into a request beside a group's header.
	maxTags = 13_000
	// maxUnsettled bounds what a session remembers, 16 bytes each.
	maxUnsettled = 1 << 18
)

// Session is the initiator's side: it learns which heads a responder has that
// differ from those of an index. It is not for concurrent use, the index is; what
// the index learns meanwhile does no harm.
//
// A responder that lies can make a session believe in heads that do not exist or
// miss some that do, as if it had them or not, and nothing else: frames, memory
// and rounds are bounded, and every answer must bring the session forward.
type Session struct {
	// MaxRounds bounds the answers that are read; 0 means DefaultMaxRounds. Set
	// it before First.
	MaxRounds int

	index     *Index
	salt      salt
	rounds    int
	sparse    bool // most prints matched lately: split in few
	unsettled []unsettled
	asked     []group // of the first of unsettled
	err       error
}

// unsettled is a range that is not known to be equal, in ascending order.
type unsettled struct {
	span
	splits uint8
}

// New returns a session that compares an index with whoever answers.
func New(index *Index) *Session {
	var s salt
	rand.Read(s[:])
	return newSession(index, s)
}

func newSession(index *Index, s salt) *Session {
	return &Session{index: index, salt: s, unsettled: []unsettled{{}}}
}

// First returns the request to begin with.
func (s *Session) First() []byte { return s.ask() }

// Next takes the answer to the last request. It returns the heads that the
// responder has and the index has not, or not like this, each author once in a
// session; and the next request, unless the session is done. After an error it is
// over.
func (s *Session) Next(answer []byte) (request []byte, theirs []Head, done bool, err error) {
	if s.err == nil {
		theirs, s.err = s.take(answer)
	}
	if s.err != nil {
		return nil, nil, false, s.err
	}
	if len(s.unsettled) == 0 {
		s.err = fmt.Errorf("%w: nothing was asked", ErrBadAnswer)
		return nil, theirs, true, nil
	}
	if s.rounds >= cmp.Or(s.MaxRounds, DefaultMaxRounds) {
		s.err = fmt.Errorf("%w: %d rounds", ErrTooMuch, s.rounds)
		return nil, theirs, false, s.err
	}
	return s.ask(), theirs, false, nil
}

// ask makes a request of as many unsettled ranges as fit.
func (s *Session) ask() []byte {
	e := newEncoder(s.salt)
	s.asked = s.asked[:0]
	for i := range s.unsettled {
		g := s.group(&s.unsettled[i])
		if !e.add(&g) {
			break
		}
		s.asked = append(s.asked, g)
	}
	return e.frame
}

// group decides what to ask about a range.
func (s *Session) group(u *unsettled) group {
	g := group{span: u.span, kind: fourPrints}
	few := uint64(fewItems) << max(0, min(int(u.splits)-patientSplits, 20))
	switch n := s.index.count(u.span); {
	case n <= min(few, maxTags), u.depth+fourPrints.width() > maxDepth:
		g.kind = list
	case u.splits == 0:
		g.kind = onePrint
	case !s.sparse && u.depth+sixteenPrints.width() <= maxDepth:
		g.kind = sixteenPrints
	}
	if g.kind == list {
		g.shorts = s.tags(u.span)
		return g
	}
	for _, t := range s.index.totals(u.span, g.kind.width()) {
		g.shorts = append(g.shorts, s.salt.print(&t))
	}
	return g
}

// tags returns those of the items in a range, ascending, and no more than fit:
// the responder tells an item whose tag is left out, and take sorts it out.
func (s *Session) tags(r span) []short {
	items, _ := s.index.items(r, math.MaxUint64)
	tags := make([]short, 0, len(items))
	for i := range items {
		tags = append(tags, s.salt.tag(&items[i]))
	}
	slices.SortFunc(tags, compare)
	tags = slices.Compact(tags)
	return tags[:min(len(tags), maxTags)]
}

// take settles what an answer settles and splits the rest.
func (s *Session) take(answer []byte) ([]Head, error) {
	results, err := decodeAnswer(answer, len(s.asked))
	if err != nil {
		return nil, err
	}
	s.rounds++
	var theirs []Head
	var left []unsettled
	prints, differ := 0, 0
	for i := range results {
		g, u, r := &s.asked[i], s.unsettled[i], &results[i]
		switch {
		case r.outcome == told:
			heads, err := s.news(u.span, r.heads)
			if err != nil {
				return nil, err
			}
			theirs = append(theirs, heads...)
		case r.outcome == tooMany && g.kind == list:
			parts, err := u.parts(r.count)
			if err != nil {
				return nil, err
			}
			left = append(left, parts...)
		case r.fits(g):
			for c := range uint8(1) << g.kind.width() {
				if r.mask>>c&1 != 0 {
					left = append(left, unsettled{u.child(g.kind.width(), c), u.splits + 1})
				}
			}
			prints += len(g.shorts)
			differ += bits.OnesCount16(r.mask)
		default:
			return nil, fmt.Errorf("%w: result %d does not fit its group", ErrBadAnswer, i)
		}
	}
	if prints > 0 {
		s.sparse = 2*differ < prints
	}
	if len(left)+len(s.unsettled)-len(results) > maxUnsettled {
		return nil, fmt.Errorf("%w: more than %d ranges at once", ErrTooMuch, maxUnsettled)
	}
	s.unsettled = append(left, s.unsettled[len(results):]...)
	return theirs, nil
}

// fits tells whether r says of the prints of g which differ.
func (r *result) fits(g *group) bool {
	switch g.kind {
	case onePrint, fourPrints:
		return r.outcome == differing && r.mask>>len(g.shorts) == 0
	case sixteenPrints:
		return r.outcome == differing16
	}
	return false
}

// news returns those heads that the index has not.
func (s *Session) news(r span, told []item) ([]Head, error) {
	var news []Head
	for i := range told {
		if !r.has(&told[i].id) {
			return nil, fmt.Errorf("%w: a head that was not asked for", ErrBadAnswer)
		}
		if !s.index.has(&told[i]) {
			news = append(news, told[i].head())
		}
	}
	return news, nil
}

// parts splits a range of which the responder says that it has count items there,
// so that those of each part should fit into a quarter of an answer.
func (u unsettled) parts(count uint64) ([]unsettled, error) {
	width := uint8(min(max(bits.Len64(count/(answerRoom/4)), 1), 10, maxDepth-int(u.depth)))
	if width == 0 {
		return nil, fmt.Errorf("%w: %d authors that share %d bits", ErrBadAnswer, count, u.depth)
	}
	parts := make([]unsettled, 1<<width)
	for c := range parts {
		parts[c] = unsettled{span{u.depth + width, u.prefix<<width | uint64(c)}, u.splits + 1}
	}
	return parts, nil
}
