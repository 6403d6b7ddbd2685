package superseed

import (
	"slices"
	"time"
)

// A Visitor is one connection of the torrent.
type Visitor struct {
	s        *Seeder
	tell     func(piece int)
	has      set // by its own word
	revealed set // told of
	pending  map[int]*pending
	unsent   int64 // bytes of pending that were not sent yet
	sent     int64 // bytes

	progress  time.Time     // last byte sent or piece announced
	roundTrip time.Duration // from telling of a piece to being asked for it, the least
	stalled   bool          // see the package comment
	reader    int           // the piece that somebody waits for there, -1 for none
	waits     time.Time     // since when
	open      bool          // told of everything
	left      bool
	alone     int // pieces that it has by its word, and nobody else
	before    int // of these, how many it had when somebody came the last time
}

// A pending piece was told of and not announced yet.
type pending struct {
	sent  int64
	told  time.Time
	asked bool
}

// Has says that the visitor announced a piece.
func (v *Visitor) Has(piece int, now time.Time) {
	if piece < 0 || piece >= v.s.shape.Pieces || v.left {
		return
	}
	v.claim(piece)
	v.moved(now)
	v.fill(now)
}

// HasAll says that the visitor announced all of them.
func (v *Visitor) HasAll(now time.Time) {
	if v.left {
		return
	}
	for p := range v.s.shape.Pieces {
		v.claim(p)
	}
	v.moved(now)
}

func (v *Visitor) claim(piece int) {
	if v.has.has(piece) {
		return
	}
	v.has.add(piece)
	v.s.claimed[piece]++
	switch v.s.claimed[piece] {
	case 1:
		v.s.only[piece] = v
		v.alone++
	case 2:
		v.s.only[piece].alone--
		v.s.only[piece] = nil
	}
	if pd := v.pending[piece]; pd != nil {
		if pd.sent >= v.s.shape.length(piece) {
			v.s.proven[piece]++
			v.revealed.add(piece) // it stays so: see Leave
		} else {
			v.revealed.remove(piece)
		}
		v.drop(piece, pd)
		return
	}
	v.revealed.remove(piece)
}

// drop ends what is pending of a piece.
func (v *Visitor) drop(piece int, pd *pending) {
	v.unsent -= max(v.s.shape.length(piece)-pd.sent, 0)
	v.s.assigned[piece]--
	delete(v.pending, piece)
}

// Asked says that the visitor asked for a part of a piece.
func (v *Visitor) Asked(piece int, now time.Time) {
	pd := v.pending[piece]
	if pd == nil || pd.asked {
		return
	}
	pd.asked = true
	if d := now.Sub(pd.told); v.roundTrip == 0 || d < v.roundTrip {
		v.roundTrip = max(d, time.Microsecond)
	}
}

// Sent says that n bytes of a piece were sent to the visitor.
func (v *Visitor) Sent(piece int, n int64, now time.Time) {
	v.s.sent += n
	v.s.rate.add(n, now)
	if v.left {
		return
	}
	v.moved(now)
	v.sent += n
	if pd := v.pending[piece]; pd != nil {
		before := max(v.s.shape.length(piece)-pd.sent, 0)
		pd.sent += n
		v.unsent -= before - max(v.s.shape.length(piece)-pd.sent, 0)
	}
	v.fill(now)
}

// Leave takes the visitor out, and what it alone had is rare again.
func (v *Visitor) Leave(now time.Time) {
	if v.left {
		return
	}
	v.left = true
	if i := slices.Index(v.s.visitors, v); i >= 0 {
		v.s.visitors = slices.Delete(v.s.visitors, i, i+1)
	}
	for p, pd := range v.pending {
		v.drop(p, pd)
	}
	for p := range v.s.shape.Pieces {
		if v.has.has(p) {
			v.s.claimed[p]--
			v.s.findOnly(p)
			if v.revealed.has(p) {
				v.s.proven[p]--
			}
		}
	}
	v.s.fillAll(now)
}

func (v *Visitor) moved(now time.Time) {
	v.progress = now
	v.stalled = false
}

func (v *Visitor) whole() bool { return v.has.len() == v.s.shape.Pieces }

// held are the pieces that nobody else has, though all could have them by now.
func (v *Visitor) held() int {
	v.before = min(v.before, v.alone)
	return v.alone - v.before
}

// takes says whether it wants what it is told of.
func (v *Visitor) takes() bool { return !v.stalled && !v.open && !v.whole() }

func (v *Visitor) tick(now time.Time) {
	quiet := now.Sub(v.progress)
	if quiet >= stallAfter+v.roundTrip && len(v.pending) > 0 {
		v.stalled = true
		for p, pd := range v.pending {
			v.drop(p, pd)
		}
	}
	v.grant(now)
	if quiet >= starveAfter+v.roundTrip && !v.open && !v.whole() {
		v.open = true
		v.revealAll()
	}
}

// Reads says that somebody reads there in order, and waits for a piece.
func (v *Visitor) Reads(piece int, now time.Time) {
	if piece < 0 || piece >= v.s.shape.Pieces || piece == v.reader || v.left {
		return
	}
	v.reader, v.waits = piece, now
	v.grant(now)
}

// grant tells of what is waited for: at once if nobody was told of it, else when those
// who were have had time to pass it on.
func (v *Visitor) grant(now time.Time) {
	if v.reader < 0 || v.stalled || v.open {
		return
	}
	late := now.Sub(v.waits) >= v.s.patience(now)
	for p := v.reader; p < min(v.reader+readAhead, v.s.shape.Pieces); p++ {
		if !v.has.has(p) && !v.revealed.has(p) && (late || p == v.reader && v.s.weight(p) == 0) {
			v.reveal(p, now)
		}
	}
}

func (v *Visitor) revealAll() {
	n := v.s.shape.Pieces
	for i := range n {
		p := (v.s.cursor + i) % n
		if !v.has.has(p) && !v.revealed.has(p) {
			v.revealed.add(p)
			v.tell(p)
		}
	}
}

// credit is the bytes that the visitor may know of ahead: a round trip goes by until
// it asks. One that is alone, and whose link loses packets, would have nothing to
// ask for until these came through, two round trips later; and the rate of its
// source grows only if there is more to ask for.
func (v *Visitor) credit(now time.Time) int64 {
	far, active := min(v.roundTrip, maxRoundTrip).Seconds(), v.s.active(now)
	least := 0.0
	if active == 1 {
		far *= 3
		least = min(float64(v.sent), leastRate*far)
	}
	share := v.s.rate.perSecond(now) * (queueTime.Seconds() + far) / float64(active)
	return max(min(int64(max(share, least)), maxCredit), 1)
}

// fill tells the visitor of pieces as far as its credit goes.
func (v *Visitor) fill(now time.Time) {
	if v.left || !v.takes() || v.held() > v.s.mostAlone(now) {
		return
	}
	credit := v.credit(now)
	most := maxUnannounced + 4*int(credit/v.s.shape.PieceLength)
	for v.unsent < credit && len(v.pending) < most {
		p, ok := v.s.next(v)
		if !ok {
			return
		}
		v.reveal(p, now)
	}
}

func (v *Visitor) reveal(piece int, now time.Time) {
	v.revealed.add(piece)
	v.pending[piece] = &pending{told: now}
	v.unsent += v.s.shape.length(piece)
	v.s.assigned[piece]++
	v.tell(piece)
}

// A set is some of a torrent's pieces.
type set struct {
	bits []uint64
	n    int
}

func newSet(size int) set { return set{bits: make([]uint64, (size+63)/64)} }

func (s *set) has(i int) bool { return s.bits[i/64]&(1<<(i%64)) != 0 }
func (s *set) len() int       { return s.n }

func (s *set) add(i int) {
	if !s.has(i) {
		s.bits[i/64] |= 1 << (i % 64)
		s.n++
	}
}

func (s *set) remove(i int) {
	if s.has(i) {
		s.bits[i/64] &^= 1 << (i % 64)
		s.n--
	}
}
