package quota

import (
	"container/heap"
	"slices"
	"time"
)

// Times are nanoseconds on a clock of our own that never goes back.

// limit is a Rate as buckets use it.
type limit struct {
	burst    int64
	perToken float64 // nanoseconds
}

func (r Rate) limit() limit { return limit{r.Burst, float64(time.Second) / r.PerSecond} }

// last is how long n tokens last, n at most burst.
func (l limit) last(n int64) int64 { return int64(l.perToken * float64(n)) }

// take returns when a bucket that is full at the given time will be full after
// it gave n tokens, and how long to wait before it can; never: it holds less.
func (l limit) take(full, now, n int64) (after, wait int64) {
	if n > l.burst {
		return full, never
	}
	after = max(full, now) + l.last(n)
	return after, max(after-now-l.last(l.burst), 0)
}

const never = -1

// The buckets of a subject. Authors have the first two.
const (
	ofEntries = iota
	ofBytes
	ofAuthors
	ofEvidence
	numBuckets
)

// subject is a peer or an author with its buckets.
type subject struct {
	id    string
	full  [numBuckets]int64 // when each is full again
	place int               // in the heap
}

// fullAt is when all are full.
func (s *subject) fullAt() int64 { return slices.Max(s.full[:]) }

// crowd remembers some subjects of one kind.
type crowd struct {
	limits   [numBuckets]limit
	max      int
	byID     map[string]*subject
	fullest  fullest
	replaced uint64 // subjects that gave up a bucket that was not full
}

// newCrowd has a rate for each bucket, in their order.
func newCrowd(max int, rates ...Rate) *crowd {
	c := &crowd{max: max, byID: map[string]*subject{}}
	for i, r := range rates {
		c.limits[i] = r.limit()
	}
	return c
}

// take charges a subject for all or nothing. It returns how long to wait if it
// cannot pay now (never: not at once, ever), and which bucket is short.
func (c *crowd) take(id string, now int64, cost [numBuckets]int64) (wait int64, short int) {
	var full, after [numBuckets]int64
	s := c.byID[id]
	switch {
	case s != nil:
		full = s.full
	case len(c.byID) >= c.max:
		full = c.fullest[0].full
	}
	for i, n := range cost {
		var w int64
		after[i], w = c.limits[i].take(full[i], now, n)
		if w == never {
			return never, i
		}
		if w > wait {
			wait, short = w, i
		}
	}
	if wait > 0 {
		return wait, short
	}
	if s == nil {
		s = c.admit(id, now)
	}
	s.full = after
	heap.Fix(&c.fullest, s.place)
	return 0, 0
}

// giveBack puts a token back into a bucket.
func (c *crowd) giveBack(id string, bucket int) {
	if s := c.byID[id]; s != nil {
		s.full[bucket] -= c.limits[bucket].last(1)
		heap.Fix(&c.fullest, s.place)
	}
}

// admit makes a subject known, if need be with the bucket of the fullest.
func (c *crowd) admit(id string, now int64) *subject {
	if len(c.byID) < c.max {
		s := &subject{id: id}
		heap.Push(&c.fullest, s)
		c.byID[id] = s
		return s
	}
	s := c.fullest[0]
	if s.fullAt() > now {
		c.replaced++
	}
	delete(c.byID, s.id)
	s.id = id
	c.byID[id] = s
	return s
}

// fullest is a heap of subjects, first the one that is full first.
type fullest []*subject

func (f fullest) Len() int           { return len(f) }
func (f fullest) Less(i, j int) bool { return f[i].fullAt() < f[j].fullAt() }
func (f fullest) Swap(i, j int) {
	f[i], f[j] = f[j], f[i]
	f[i].place, f[j].place = i, j
}

func (f *fullest) Push(x any) {
	s := x.(*subject)
	s.place = len(*f)
	*f = append(*f, s)
}

func (f *fullest) Pop() any {
	last := len(*f) - 1
	s := (*f)[last]
	*f = (*f)[:last]
	return s
}
