package reputation

import (
	"cmp"
	"math"
	"slices"
)

// forget makes room on a full shelf, an eighth of it at once so that the
// sorting is paid once for many newcomers.
//
// Those with good and those with bad standing are counted apart, and the
// larger camp gives up its members nearest to neutral. So a crowd of throwaway
// identities can push out neither the misdeeds that are remembered nor the
// peers that proved themselves: newcomers displace each other.
func (b *Book) forget(k Kind) {
	shelf := b.shelves[k]
	now := b.now()
	type member struct {
		id    string
		score float64
		at    int64
	}
	var camps [2][]member // 0: good or neutral, 1: bad
	for id, h := range shelf {
		seen := h.at // decayed to the last time it was looked at, before decaying it now
		h.decay(now, b.cfg.HalfLife)
		m := member{id: id, score: h.score(), at: seen}
		if m.score < 0 {
			camps[1] = append(camps[1], m)
		} else {
			camps[0] = append(camps[0], m)
		}
	}
	for _, camp := range camps {
		slices.SortFunc(camp, func(x, y member) int { // the most memorable first
			return cmp.Or(cmp.Compare(math.Abs(y.score), math.Abs(x.score)),
				cmp.Compare(y.at, x.at), cmp.Compare(x.id, y.id))
		})
	}
	for keep := b.cfg.MaxSubjects - b.cfg.MaxSubjects/8; len(shelf) > keep; {
		from := 0
		if len(camps[1]) > len(camps[0]) {
			from = 1
		}
		last := len(camps[from]) - 1
		id := camps[from][last].id
		camps[from] = camps[from][:last]
		delete(shelf, id)
		b.dirty[Subject{k, id}] = struct{}{}
	}
}
