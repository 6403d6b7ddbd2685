package superseed

import (
	"math"
	"slices"
	"time"
)

const (
	// queueTime is how much of the source's sending is handed out ahead, so that
	// it never waits for a visitor's request. More of it has more pieces under way
	// at once, each of which the others get later.
	queueTime = 150 * time.Millisecond
	// leastRate is how fast a source is taken to be, in bytes a second, towards a
	// visitor that is alone, once it sent something.
	leastRate = 20_000_000
	// maxCredit bounds what one visitor is told of ahead, in bytes.
	maxCredit = 32 << 20
	// maxUnannounced is how many pieces a visitor may have been sent without
	// having announced them, and more where its share of queueTime is more.
	maxUnannounced = 8
	// someAlone is told at mostAlone, busyShare and topTime at isBusy.
	someAlone = 2
	busyShare = 0.9
	topTime   = 5 * time.Second
	// stallAfter and starveAfter are told in the package comment.
	// readAhead is how many pieces a reader that waited in vain is told of.
	readAhead = 4
	// readPatience is how long others have at least to pass on what a reader waits for.
	readPatience = 500 * time.Millisecond
	stallAfter   = 3 * time.Second
	starveAfter  = 3 * time.Second
	// maxRoundTrip bounds what a visitor can make of its distance.
	maxRoundTrip = time.Second
)

// TickEvery is how often Tick wants to be called while there are visitors.
const TickEvery = 200 * time.Millisecond

// A Shape is the pieces of a torrent.
type Shape struct {
	Pieces      int
	PieceLength int64 // bytes
	Size        int64 // bytes, of all pieces
}

func (s Shape) length(piece int) int64 {
	return min(s.PieceLength, s.Size-int64(piece)*s.PieceLength)
}

// A Seeder keeps account of one torrent's pieces among its visitors. It is not
// safe for concurrent use.
type Seeder struct {
	shape Shape
	// By piece: visitors that have it and were sent all of it from here, that say
	// they have it, and that were told of it and neither announced nor lost it.
	proven, claimed, assigned []int32
	only                      []*Visitor // who alone claims to have it; nil: nobody, or several
	cursor                    int        // where the search for the next piece begins
	visitors                  []*Visitor
	turn                      int // who is told of pieces first, next time
	rate                      meter
	top                       float64 // the most that was sent of late, bytes a second
	topAt                     time.Time
	sent                      int64
}

// New makes a seeder without visitors. Sources of the same torrent begin at
// different pieces, so that they send different ones.
func New(shape Shape, begin int) *Seeder {
	return &Seeder{
		shape:    shape,
		proven:   make([]int32, shape.Pieces),
		claimed:  make([]int32, shape.Pieces),
		assigned: make([]int32, shape.Pieces),
		only:     make([]*Visitor, shape.Pieces),
		cursor:   begin % max(shape.Pieces, 1),
	}
}

// Visitors is how many there are.
func (s *Seeder) Visitors() int { return len(s.visitors) }

// Sent is the bytes of pieces that were sent to visitors.
func (s *Seeder) Sent() int64 { return s.sent }

// Join takes a visitor in and tells it of its first pieces. tell is called,
// until Leave, from within the methods of the seeder and its visitors, and must
// not call them.
func (s *Seeder) Join(now time.Time, tell func(piece int)) *Visitor {
	v := &Visitor{
		s: s, tell: tell,
		has:      newSet(s.shape.Pieces),
		revealed: newSet(s.shape.Pieces),
		pending:  map[int]*pending{},
		progress: now,
		reader:   -1,
	}
	for _, o := range s.visitors {
		o.before = o.alone
	}
	s.visitors = append(s.visitors, v)
	v.fill(now)
	return v
}

// Tick does what is due to time alone.
func (s *Seeder) Tick(now time.Time) {
	for _, v := range s.visitors {
		v.tick(now)
	}
	s.fillAll(now)
}

// fillAll begins with another visitor each time, and does the same again when
// the same happens again, which a simulation wants.
func (s *Seeder) fillAll(now time.Time) {
	n := len(s.visitors)
	for i := range n {
		s.visitors[(s.turn+i)%n].fill(now)
	}
	s.turn++
}

// active is how many visitors take something.
func (s *Seeder) active(now time.Time) int {
	n, most := 0, s.mostAlone(now)
	for _, v := range s.visitors {
		if v.takes() && v.held() <= most {
			n++
		}
	}
	return max(n, 1)
}

// mostAlone is how many pieces a visitor may have that nobody else has: half as many
// again as all have in the mean, and some. Who has more passes them on more slowly
// than the others, and what it is told of would be late for all. But it may be the
// others who take slowly: then there is no bound as long as less is sent than could be.
func (s *Seeder) mostAlone(now time.Time) int {
	if !s.isBusy(now) {
		return math.MaxInt
	}
	n, sum := 0, 0
	for _, v := range s.visitors {
		if v.takes() {
			n++
			sum += v.held()
		}
	}
	if n < 2 {
		return math.MaxInt
	}
	return 3*sum/(2*n) + someAlone
}

// isBusy says whether as much is sent as could be, by what was seen of late.
func (s *Seeder) isBusy(now time.Time) bool {
	rate := s.rate.perSecond(now)
	if d := now.Sub(s.topAt); d > 0 {
		s.top *= math.Exp(-float64(d) / float64(topTime))
		s.topAt = now
	}
	s.top = max(s.top, rate)
	return rate > 0 && rate >= busyShare*s.top
}

// findOnly finds out anew who alone has a piece.
func (s *Seeder) findOnly(piece int) {
	if o := s.only[piece]; o != nil {
		o.alone--
		s.only[piece] = nil
	}
	if s.claimed[piece] != 1 {
		return
	}
	i := slices.IndexFunc(s.visitors, func(v *Visitor) bool { return v.has.has(piece) })
	s.only[piece] = s.visitors[i]
	s.visitors[i].alone++
}

// weight orders pieces: the less of them there are, the sooner they are told of.
func (s *Seeder) weight(piece int) int32 {
	w := 2 * (s.proven[piece] + s.assigned[piece])
	if unproven := s.claimed[piece] - s.proven[piece]; unproven > 0 {
		w += 2*unproven - 1
	}
	return w
}

// patience is how long a reader waits for what another visitor was told of: that one
// gets it while all get some pieces, and then passes it on.
func (s *Seeder) patience(now time.Time) time.Duration {
	rate := s.rate.perSecond(now)
	if rate == 0 {
		return readPatience
	}
	round := float64(s.shape.PieceLength) * float64(s.active(now)) / rate
	return readPatience + min(time.Duration(2*round*float64(time.Second)), starveAfter)
}

// next is the rarest piece that a visitor has not and was not told of; of those that
// nobody has, what a reader comes to next.
func (s *Seeder) next(v *Visitor) (int, bool) {
	for p := max(v.reader, 0); v.reader >= 0 && p < s.shape.Pieces; p++ {
		if !v.has.has(p) && !v.revealed.has(p) && s.weight(p) == 0 {
			return p, true
		}
	}
	best, least := -1, int32(math.MaxInt32)
	n := s.shape.Pieces
	for i := range n {
		p := s.cursor + i
		if p >= n {
			p -= n
		}
		if v.has.has(p) || v.revealed.has(p) {
			continue
		}
		if w := s.weight(p); w < least {
			if best, least = p, w; w == 0 {
				break
			}
		}
	}
	if best < 0 {
		return 0, false
	}
	s.cursor = (best + 1) % n
	return best, true
}

// A meter measures a rate over the last second or so.
type meter struct {
	begun, at time.Time
	sum       float64
}

const meterTime = 500 * time.Millisecond

func (m *meter) add(n int64, now time.Time) {
	if m.begun.IsZero() || now.Sub(m.at) > 10*meterTime {
		m.begun, m.at, m.sum = now, now, 0 // the time that these took is not known
		return
	}
	m.fade(now)
	m.sum += float64(n)
}

func (m *meter) fade(now time.Time) {
	if d := now.Sub(m.at); d > 0 {
		m.sum *= math.Exp(-float64(d) / float64(meterTime))
		m.at = now
	}
}

// perSecond is the rate in bytes a second, right also shortly after it began.
func (m *meter) perSecond(now time.Time) float64 {
	if m.begun.IsZero() {
		return 0
	}
	m.fade(now)
	age := max(now.Sub(m.begun), 10*time.Millisecond)
	return m.sum / meterTime.Seconds() / (1 - math.Exp(-float64(age)/float64(meterTime)))
}
