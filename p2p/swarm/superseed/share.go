package superseed

import (
	"hash/fnv"
	"math"
	"slices"
	"time"
)

const (
	// aloneTime, and companyTime and a round trip, are how much of a source's sending
	// a node knows of ahead. In company what it knows of and has not got is what
	// others may ask for too, in the end.
	aloneTime   = time.Second
	companyTime = 300 * time.Millisecond
	// spareTime is the same of pieces that are not the node's own share.
	spareTime = 100 * time.Millisecond
	// leastAlone and leastAloneLong bound these from below, in bytes, at first and
	// after aloneLong without fellows.
	leastAlone     = 512 << 10
	leastAloneLong = 8 << 20
	aloneLong      = 3 * time.Second
	mostAlone      = 64 << 20
	// wantTurn is how long a node that ranks second for a piece that it reads next
	// waits for the first at least, who ranks third for both, and so on to wantMost.
	wantTurn = 150 * time.Millisecond
	wantMost = time.Second
	// maxWanted bounds the pieces that are wanted and not here.
	maxWanted = 64
)

// A Share is what one downloader asks sources for that hide nothing: ordinary clients
// that have the whole torrent, and HTTP servers. It is not safe for concurrent use.
type Share struct {
	shape   Shape
	me      uint64
	stretch int // pieces in a row that belong to the same downloader
	got     set
	claims  []int32 // by piece: fellows that have it
	told    []int32 // by piece: sources that were asked for it, or may be now
	mine    set
	stale   bool // mine has to be found anew
	cursor  int
	dice    uint64
	reader  int // the piece that somebody reads next here, -1 for none
	fellows []*Fellow
	sources []*Source
	wanted  map[int]time.Time
	alone   time.Time // since when there were no fellows
}

// NewShare makes the share of a downloader without fellows. It and its fellows know
// each other by ids that are the same for all of them.
func NewShare(shape Shape, me string, now time.Time) *Share {
	s := &Share{
		shape: shape, me: hash(me),
		stretch: min(max(shape.Pieces/256, 1), 8),
		got:     newSet(shape.Pieces),
		claims:  make([]int32, shape.Pieces),
		told:    make([]int32, shape.Pieces),
		stale:   true,
		dice:    hash(me),
		reader:  -1,
		wanted:  map[int]time.Time{},
		alone:   now,
	}
	s.cursor = int(s.me % uint64(max(shape.Pieces, 1)))
	return s
}

// Pieces is how many there are.
func (s *Share) Pieces() int { return s.shape.Pieces }

func hash(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}

// claim is how good a downloader's claim to a stretch of pieces is.
func claim(id uint64, stretch int) uint64 {
	x := id ^ (uint64(stretch)+1)*0x9e3779b97f4a7c15 // splitmix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rank is how many fellows come before this downloader for a piece, or about so many.
func (s *Share) rank(piece int) int {
	if s.isMine(piece) {
		return 0
	}
	own, n := claim(s.me, piece/s.stretch), 0
	for _, f := range s.fellows {
		if f.shares() && claim(f.id, piece/s.stretch) > own {
			n++
		}
	}
	return max(n, 1)
}

// isMine says whether a piece is of this downloader's share. Each stretch belongs to
// who has the best claim to it of those who have not got their equal part already,
// which all who know the same fellows find alike.
func (s *Share) isMine(piece int) bool {
	if !s.stale {
		return s.mine.has(piece)
	}
	s.stale, s.mine = false, newSet(s.shape.Pieces)
	ids := []uint64{s.me}
	for _, f := range s.fellows {
		if f.shares() {
			ids = append(ids, f.id)
		}
	}
	stretches := (s.shape.Pieces + s.stretch - 1) / s.stretch
	part := (stretches + len(ids) - 1) / len(ids)
	taken := make([]int, len(ids))
	for st := range stretches {
		best := -1
		for i, id := range ids {
			if taken[i] < part && (best < 0 || claim(id, st) > claim(ids[best], st)) {
				best = i
			}
		}
		taken[best]++
		for p := st * s.stretch; best == 0 && p < min((st+1)*s.stretch, s.shape.Pieces); p++ {
			s.mine.add(p)
		}
	}
	return s.mine.has(piece)
}

// weight orders pieces: the own share first, and those that fellows have last. None
// is left out, so whatever fellows claim or fail to do, no source stays idle.
func (s *Share) weight(piece int) int32 {
	w := 2 * s.claims[piece]
	if !s.isMine(piece) {
		w++
	}
	return w
}

// Next is the first n pieces or fewer, in a row, to ask an HTTP server for. free says
// which may be asked for.
func (s *Share) Next(n int, free func(piece int) bool) (first, count int) {
	first, w := s.next(func(p int) bool { return s.told[p] == 0 && free(p) })
	if first < 0 {
		if first, w = s.next(free); first < 0 {
			return 0, 0
		}
	}
	for count = 1; count < n && first+count < s.shape.Pieces; count++ {
		if p := first + count; s.got.has(p) || s.told[p] > s.told[first] || s.weight(p) > w || !free(p) {
			break
		}
	}
	s.cursor = (first + count) % s.shape.Pieces
	return first, count
}

// next is the piece to ask for: of the own share what comes next, from where somebody
// reads here if somebody does; of the rest any, lest it is what its owner asks for next.
func (s *Share) next(may func(piece int) bool) (piece int, weight int32) {
	from := s.cursor
	if s.reader >= 0 {
		from = s.reader
	}
	if piece, weight = s.lightest(from, may); weight == 0 || piece < 0 {
		return piece, weight
	}
	s.dice = s.dice*6364136223846793005 + 1442695040888963407
	return s.lightest(int(s.dice>>33)%s.shape.Pieces, may)
}

func (s *Share) lightest(from int, may func(piece int) bool) (piece int, weight int32) {
	best, least := -1, int32(math.MaxInt32)
	n := s.shape.Pieces
	for i := range n {
		p := from + i
		if p >= n {
			p -= n
		}
		if s.got.has(p) || !may(p) {
			continue
		}
		if w := s.weight(p); w < least {
			if best, least = p, w; w == 0 {
				break
			}
		}
	}
	return best, least
}

// Got says that a piece is here.
func (s *Share) Got(piece int, now time.Time) {
	if piece < 0 || piece >= s.shape.Pieces || s.got.has(piece) {
		return
	}
	s.got.add(piece)
	delete(s.wanted, piece)
	for _, src := range s.sources {
		src.drop(piece)
	}
	for _, src := range s.sources {
		src.fill(now)
	}
}

// Reads says from which piece on somebody reads here in order, and for which pieces
// more than before that waits. Fellows read the same, as a rule, so each piece is
// asked for by who has the best claim to it, and by the next only if that is in vain.
func (s *Share) Reads(from int, waits []int, now time.Time) {
	if from >= 0 && from < s.shape.Pieces {
		s.reader = from
	}
	for _, p := range waits {
		if p >= 0 && p < s.shape.Pieces && !s.got.has(p) && len(s.wanted) < maxWanted {
			s.wanted[p] = now
		}
	}
	s.grant(now)
}

// grant has sources asked for what was waited for long enough.
func (s *Share) grant(now time.Time) {
	for p, since := range s.wanted {
		turn := s.turn(now)
		most := max(wantMost, 4*turn)
		wait := most
		if s.claims[p] == 0 {
			wait = min(time.Duration(s.rank(p))*turn, most)
		}
		if now.Sub(since) < wait {
			continue
		}
		for _, src := range s.sources {
			if s.told[p] == 0 || now.Sub(since) >= most {
				src.reveal(p, now)
			}
		}
	}
}

// turn is wantTurn, or longer if sources send so little that a piece takes more.
func (s *Share) turn(now time.Time) time.Duration {
	rate := 0.0
	for _, src := range s.sources {
		rate += src.rate.perSecond(now)
	}
	if rate == 0 {
		return wantTurn
	}
	piece := time.Duration(float64(s.shape.PieceLength) / rate * float64(time.Second))
	return max(wantTurn, min(2*piece, wantMost))
}

// Tick does what is due to time alone.
func (s *Share) Tick(now time.Time) {
	s.grant(now)
	for _, src := range s.sources {
		src.fill(now)
	}
}

// A Fellow is another downloader that keeps to its share.
type Fellow struct {
	s    *Share
	id   uint64
	has  set
	left bool
}

// Meet takes a fellow in.
func (s *Share) Meet(id string) *Fellow {
	f := &Fellow{s: s, id: hash(id), has: newSet(s.shape.Pieces)}
	s.fellows = append(s.fellows, f)
	s.stale = true
	return f
}

// shares says whether it asks sources for anything.
func (f *Fellow) shares() bool { return f.has.len() < f.s.shape.Pieces }

// Has says that the fellow announced a piece.
func (f *Fellow) Has(piece int) {
	if f.left || piece < 0 || piece >= f.s.shape.Pieces || f.has.has(piece) {
		return
	}
	f.has.add(piece)
	f.s.claims[piece]++
	if !f.shares() {
		f.s.stale = true
	}
}

// HasAll says that it announced all of them.
func (f *Fellow) HasAll() {
	for p := range f.s.shape.Pieces {
		f.Has(p)
	}
}

// Leave takes the fellow out. Its share falls to others.
func (f *Fellow) Leave(now time.Time) {
	s := f.s
	i := slices.Index(s.fellows, f)
	if i < 0 {
		return
	}
	f.left = true
	s.fellows = slices.Delete(s.fellows, i, i+1)
	s.stale = true
	for p := range s.shape.Pieces {
		if f.has.has(p) {
			s.claims[p]--
		}
	}
	if len(s.fellows) == 0 {
		s.alone = now
	}
}

// A Source is a connection to an ordinary client that has everything, of which the
// downloader's BitTorrent library is told piece by piece.
type Source struct {
	s         *Share
	tell      func(piece int)
	revealed  set
	pending   map[int]*coming
	unsent    int64 // bytes of pending that did not come yet
	rate      meter
	fresh     int64         // bytes since fill looked
	roundTrip time.Duration // from telling of a piece to its first byte, the least
	left      bool
}

type coming struct {
	told time.Time
	came int64
}

// Open takes a source in. tell is called from within methods of the share and of what
// belongs to it, and must not call them.
func (s *Share) Open(now time.Time, tell func(piece int)) *Source {
	src := &Source{s: s, tell: tell, revealed: newSet(s.shape.Pieces), pending: map[int]*coming{}}
	s.sources = append(s.sources, src)
	src.fill(now)
	return src
}

// Received says that n bytes of a piece came from the source.
func (src *Source) Received(piece int, n int64, now time.Time) {
	if src.left {
		return
	}
	src.rate.add(n, now)
	if c := src.pending[piece]; c != nil {
		if d := now.Sub(c.told); c.came == 0 && (src.roundTrip == 0 || d < src.roundTrip) {
			src.roundTrip = max(d, time.Microsecond)
		}
		before := max(src.s.shape.length(piece)-c.came, 0)
		c.came += n
		src.unsent -= before - max(src.s.shape.length(piece)-c.came, 0)
	}
	if src.fresh += n; src.fresh >= src.s.shape.PieceLength/4 || src.unsent == 0 {
		src.fill(now)
	}
}

// Leave takes the source out. What it owes, others are asked for.
func (src *Source) Leave(now time.Time) {
	s := src.s
	i := slices.Index(s.sources, src)
	if i < 0 {
		return
	}
	src.left = true
	s.sources = slices.Delete(s.sources, i, i+1)
	for p := range src.pending {
		src.drop(p)
	}
	for _, other := range s.sources {
		other.fill(now)
	}
}

func (src *Source) drop(piece int) {
	if c := src.pending[piece]; c != nil {
		src.unsent -= max(src.s.shape.length(piece)-c.came, 0)
		src.s.told[piece]--
		delete(src.pending, piece)
	}
}

func (src *Source) reveal(piece int, now time.Time) {
	if src.revealed.has(piece) {
		return
	}
	src.revealed.add(piece)
	src.pending[piece] = &coming{told: now}
	src.s.told[piece]++
	src.unsent += src.s.shape.length(piece)
	src.tell(piece)
}

// credit is the bytes to know of ahead, of the own share and of other pieces.
func (src *Source) credit(now time.Time) (own, other int64) {
	s := src.s
	rate := src.rate.perSecond(now)
	trip := min(src.roundTrip, maxRoundTrip)
	part := func(d time.Duration, least, most int64) int64 {
		return max(min(int64(rate*d.Seconds()), most), least)
	}
	if len(s.fellows) == 0 {
		least := int64(leastAlone)
		if now.Sub(s.alone) > aloneLong {
			least = leastAloneLong
		}
		own = part(aloneTime+trip, max(least, 2*s.shape.PieceLength), mostAlone)
		return own, own
	}
	return part(companyTime+trip, 2*s.shape.PieceLength, maxCredit), part(spareTime+trip, s.shape.PieceLength/2, maxCredit)
}

// fill tells of pieces as far as the credit goes.
func (src *Source) fill(now time.Time) {
	s := src.s
	src.fresh = 0
	if src.left || s.got.len() == s.shape.Pieces {
		return
	}
	own, other := src.credit(now)
	for src.unsent < max(own, other) {
		p, w := s.next(func(p int) bool { return !src.revealed.has(p) && s.told[p] == 0 })
		if p < 0 {
			p, w = s.next(func(p int) bool { return !src.revealed.has(p) })
		}
		if p < 0 || w > 0 && src.unsent >= other {
			return
		}
		s.cursor = (p + 1) % s.shape.Pieces
		src.reveal(p, now)
	}
}
