package reconcile

import "slices"

// Respond answers a request of whoever wants to know what this node has. It
// fails only with ErrBadRequest. Nothing is remembered of a request, and what it
// costs is bounded by its size: see BenchmarkHostileRequest.
func (x *Index) Respond(req []byte) ([]byte, error) {
	r, err := decodeRequest(req)
	if err != nil {
		return nil, err
	}
	answer := []byte{version}
	for i := range r.groups {
		res, ok := x.resultOf(r.salt, &r.groups[i], MaxAnswer-len(answer)-maxResultHead)
		if !ok && i > 0 {
			break // no space left: the initiator asks again
		}
		answer = appendResult(answer, &res)
	}
	return answer, nil
}

// resultOf returns the result on a group, and false when it needs more than the
// space that is left, in bytes, but would do with more.
func (x *Index) resultOf(s salt, g *group, space int) (result, bool) {
	if space < 0 {
		return result{}, false
	}
	if g.kind == list {
		return x.listOf(s, g, space/maxHead)
	}
	var all total
	res := result{outcome: differing}
	if g.kind == sixteenPrints {
		res.outcome = differing16
	}
	for i, t := range x.totals(g.span, g.kind.width()) {
		all.merge(&t)
		if s.print(&t) != g.shorts[i] {
			res.mask |= 1 << i
		}
	}
	if res.mask != 0 && all.count <= fewToTell && space >= fewToTell*maxHead {
		if items, _ := x.items(g.span, fewToTell); items != nil {
			return result{outcome: told, heads: items}, true
		}
	}
	return res, true
}

// fewToTell is the number of heads in a range up to which they are told at once
// when prints differ: cheaper than to go on splitting what the initiator has.
const fewToTell = 2

// listOf has room for so many heads.
func (x *Index) listOf(s salt, g *group, room int) (result, bool) {
	items, n := x.items(g.span, uint64(room+len(g.shorts)))
	if items == nil {
		return result{outcome: tooMany, count: n}, n > uint64(answerRoom+len(g.shorts))
	}
	fresh := items[:0]
	for i := range items {
		if _, ok := slices.BinarySearchFunc(g.shorts, s.tag(&items[i]), compare); !ok {
			fresh = append(fresh, items[i])
		}
	}
	if len(fresh) > room {
		return result{outcome: tooMany, count: n}, false
	}
	return result{outcome: told, heads: fresh}, true
}

// answerRoom is how many heads fit at least into an answer of their own.
const answerRoom = (MaxAnswer - 1 - maxResultHead) / maxHead
