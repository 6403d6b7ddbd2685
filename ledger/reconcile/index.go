package reconcile

import (
	"bytes"
	"slices"
	"sync"

	"github.com/dockchains/dockchain/ledger"
)

// Index holds the heads of all logs of a node, for sessions and answers. The
// count and the sum of any range are found in the time of a look-up. Its methods
// may be called concurrently. It keeps nothing on disk: a node fills it from its
// store when it starts.
type Index struct {
	mu   sync.RWMutex
	root node
}

// NewIndex returns an empty index.
func NewIndex() *Index { return &Index{} }

// Set takes the head of a log. One that is shorter than what is known is
// ignored, so that heads may arrive out of order.
func (x *Index) Set(h Head) error {
	it, err := itemOf(h)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.root.find(&it.id, 0); old != nil {
		if old.size > it.size || *old == it {
			return nil
		}
		x.root.take(old.id, 0)
	}
	x.root.insert(&it, 0)
	return nil
}

// Remove forgets a log.
func (x *Index) Remove(author ledger.AuthorID) {
	id, err := idOf(author)
	if err != nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.root.find(&id, 0) != nil {
		x.root.take(id, 0)
	}
}

// Get returns the head of a log, if it is known.
func (x *Index) Get(author ledger.AuthorID) (Head, bool) {
	id, err := idOf(author)
	if err != nil {
		return Head{}, false
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	it := x.root.find(&id, 0)
	if it == nil {
		return Head{}, false
	}
	return it.head(), true
}

// Len is the number of logs.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return int(x.root.count)
}

// has tells whether exactly this head is known.
func (x *Index) has(it *item) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	mine := x.root.find(&it.id, 0)
	return mine != nil && *mine == *it
}

// totals returns the totals of the 1<<width children of a range.
func (x *Index) totals(s span, width uint8) []total {
	out := make([]total, 1<<width)
	x.mu.RLock()
	defer x.mu.RUnlock()
	for i := range out {
		x.root.addTotal(&out[i], s.child(width, uint8(i)), 0)
	}
	return out
}

// count returns the number of items in a range.
func (x *Index) count(s span) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.root.countIn(s, 0)
}

// items returns the items of a range in order, or nil and their number when
// there are more than limit.
func (x *Index) items(s span, limit uint64) ([]item, uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := x.root.countIn(s, 0)
	if n > limit {
		return nil, n
	}
	return x.root.appendItems(make([]item, 0, n), s, 0), n
}

// node is a 16-ary trie over ids. A node at depth d holds the items whose first
// d bits lead to it; leaves hold up to maxBucket of them in order.
type node struct {
	total
	children *[16]*node // nil: a leaf
	bucket   []item     // of a leaf
}

const (
	nibble    = 4
	maxBucket = 32
)

func nibbleAt(id *[32]byte, depth uint8) uint8 { return id[depth/8] >> (nibble - depth%8) & 0xf }

func (n *node) find(id *[32]byte, depth uint8) *item {
	for n != nil && n.children != nil {
		n, depth = n.children[nibbleAt(id, depth)], depth+nibble
	}
	if n == nil {
		return nil
	}
	if i, ok := n.search(id); ok {
		return &n.bucket[i]
	}
	return nil
}

func (n *node) search(id *[32]byte) (int, bool) {
	return slices.BinarySearchFunc(n.bucket, id, func(it item, id *[32]byte) int {
		return bytes.Compare(it.id[:], id[:])
	})
}

// insert puts in an item whose id is not there.
func (n *node) insert(it *item, depth uint8) {
	n.add(it)
	if n.children == nil {
		i, _ := n.search(&it.id)
		n.bucket = slices.Insert(n.bucket, i, *it)
		if len(n.bucket) > maxBucket && depth < maxDepth {
			n.split(depth)
		}
		return
	}
	n.child(&it.id, depth).insert(it, depth+nibble)
}

func (n *node) split(depth uint8) {
	bucket := n.bucket
	n.children, n.bucket = new([16]*node), nil
	for i := range bucket {
		n.child(&bucket[i].id, depth).insert(&bucket[i], depth+nibble)
	}
}

func (n *node) child(id *[32]byte, depth uint8) *node {
	c := &n.children[nibbleAt(id, depth)]
	if *c == nil {
		*c = &node{}
	}
	return *c
}

// take takes out the item with an id that is there. Small branches become
// leaves again.
func (n *node) take(id [32]byte, depth uint8) item {
	var it item
	if n.children == nil {
		i, _ := n.search(&id)
		it = n.bucket[i]
		n.bucket = slices.Delete(n.bucket, i, i+1)
	} else {
		it = n.child(&id, depth).take(id, depth+nibble)
	}
	n.total.remove(&it)
	if n.children != nil && n.count <= maxBucket/2 {
		n.bucket = n.appendItems(make([]item, 0, n.count), span{}, depth)
		n.children = nil
	}
	return it
}

// overlap tells how the items of a node at a depth lie to a range: inside, or
// for a branch that is only partly inside, which children to look at.
func overlap(s span, depth uint8) (inside bool, first, last uint8) {
	if depth >= s.depth {
		return true, 0, 15
	}
	rest := s.depth - depth // bits of the prefix below this node
	if rest >= nibble {
		i := uint8(s.prefix>>(rest-nibble)) & 0xf
		return false, i, i
	}
	first = uint8(s.prefix<<(nibble-rest)) & 0xf
	return false, first, first | (1<<(nibble-rest) - 1)
}

// addTotal adds what n has in s. All of n's ancestors' nibbles agree with s.
func (n *node) addTotal(t *total, s span, depth uint8) {
	inside, first, last := overlap(s, depth)
	switch {
	case inside:
		t.merge(&n.total)
	case n.children == nil:
		for i := range n.bucket {
			if s.has(&n.bucket[i].id) {
				t.add(&n.bucket[i])
			}
		}
	default:
		for _, c := range n.children[first : last+1] {
			if c != nil {
				c.addTotal(t, s, depth+nibble)
			}
		}
	}
}

func (n *node) countIn(s span, depth uint8) (count uint64) {
	inside, first, last := overlap(s, depth)
	switch {
	case inside:
		return n.count
	case n.children == nil:
		for i := range n.bucket {
			if s.has(&n.bucket[i].id) {
				count++
			}
		}
	default:
		for _, c := range n.children[first : last+1] {
			if c != nil {
				count += c.countIn(s, depth+nibble)
			}
		}
	}
	return count
}

func (n *node) appendItems(out []item, s span, depth uint8) []item {
	inside, first, last := overlap(s, depth)
	if n.children == nil {
		for i := range n.bucket {
			if inside || s.has(&n.bucket[i].id) {
				out = append(out, n.bucket[i])
			}
		}
		return out
	}
	for _, c := range n.children[first : last+1] {
		if c != nil {
			out = c.appendItems(out, s, depth+nibble)
		}
	}
	return out
}
