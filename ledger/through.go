package ledger

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// through proves entries of a log of which only the beginning is here: from the
// hashes up to size, and the consistency proof (RFC 6962, section 2.1.2) from
// there to goal. That proof has every subtree after size that is needed.
type through struct {
	size, goal uint64
	stored     tlog.HashReader // up to size
	after      map[subtree]tlog.Hash
}

// subtree is that of the entries from lo to hi-1.
type subtree struct{ lo, hi uint64 }

// split is where the two halves of a subtree meet.
func (t subtree) split() uint64 { return t.lo + 1<<(bits.Len64(t.hi-t.lo-1)-1) }

// newThrough takes the subtrees after size out of a verified consistency proof,
// whose last hash is the nearest to the root.
func newThrough(size, goal uint64, stored tlog.HashReader, growth []tlog.Hash) *through {
	r := &through{size, goal, stored, map[subtree]tlog.Hash{}}
	for t := (subtree{0, goal}); t.hi != size && len(growth) > 0; growth = growth[:len(growth)-1] {
		mid, last := t.split(), growth[len(growth)-1]
		if size <= mid {
			r.after[subtree{mid, t.hi}] = last
			t.hi = mid
		} else {
			t.lo = mid
		}
	}
	return r
}

// prove is the inclusion proof (RFC 6962, section 2.1.1) of an entry before size
// in the log of goal.
func (r *through) prove(index uint64) ([]tlog.Hash, error) {
	var proof []tlog.Hash
	for t := (subtree{0, r.goal}); t.hi-t.lo > 1; {
		mid := t.split()
		near, far := subtree{t.lo, mid}, subtree{mid, t.hi}
		if index >= mid {
			near, far = far, near
		}
		h, err := r.hash(far)
		if err != nil {
			return nil, err
		}
		proof = append([]tlog.Hash{h}, proof...)
		t = near
	}
	return proof, nil
}

func (r *through) hash(t subtree) (tlog.Hash, error) {
	if h, ok := r.after[t]; ok {
		return h, nil
	}
	if t.lo >= r.size {
		return tlog.Hash{}, ErrNotFound
	}
	if n := t.hi - t.lo; t.hi <= r.size && n&(n-1) == 0 {
		level := bits.TrailingZeros64(n)
		hashes, err := r.stored.ReadHashes([]int64{tlog.StoredHashIndex(level, int64(t.lo>>level))})
		if err != nil {
			return tlog.Hash{}, err
		}
		return hashes[0], nil
	}
	left, err := r.hash(subtree{t.lo, t.split()})
	if err != nil {
		return tlog.Hash{}, err
	}
	right, err := r.hash(subtree{t.split(), t.hi})
	return tlog.NodeHash(left, right), err
}
