package exchange

import (
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
)

// heldBack is how much of the end of a blob nobody sees before the digest of the
// whole matched: whoever reads what is still on its way has either all of the right
// bytes, or not all bytes.
const heldBack = 64 << 10

// arrival is a blob on its way here, as those see it who read it meanwhile.
type arrival struct {
	digest digest.Digest
	size   int64
	refs   int // guarded by arrivals.mu

	mu      sync.Mutex
	shown   int64         // bytes from the start that may be read
	whole   bool          // the blob is in the store
	turn    int           // how often it began anew because it was wrong
	changed chan struct{} // closed and replaced when any of these changes

	readers map[*coming]int64 // and where they are
}

// arrivals are the blobs that somebody brings or waits for.
type arrivals struct {
	mu   sync.Mutex
	live map[digest.Digest]*arrival
}

// of gives the arrival of a blob; the caller lets go of it with drop.
func (as *arrivals) of(d digest.Digest, size int64) *arrival {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.live[d]
	if a == nil {
		if as.live == nil {
			as.live = map[digest.Digest]*arrival{}
		}
		a = &arrival{digest: d, size: size, changed: make(chan struct{}), readers: map[*coming]int64{}}
		as.live[d] = a
	}
	a.refs++
	return a
}

func (as *arrivals) drop(a *arrival) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if a.refs--; a.refs == 0 && as.live[a.digest] == a {
		delete(as.live, a.digest)
	}
}

// state is how much may be read, at which turn, and what tells of a change.
func (a *arrival) state() (shown int64, turn int, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown, a.turn, a.changed
}

// reads notes where a reader is.
func (a *arrival) reads(c *coming, off int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.readers[c] = off
}

func (a *arrival) left(c *coming) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.readers, c)
}

// near is where the first of the readers is.
func (a *arrival) near() (off int64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.readers {
		if !ok || at < off {
			off, ok = at, true
		}
	}
	return off, ok
}

func (a *arrival) tell() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// show lets readers go on up to a byte that verified, except for what is held back.
func (a *arrival) show(verified int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := min(verified, a.size-heldBack); n > a.shown {
		a.shown = n
		a.tell()
	}
}

// complete says that the blob is in the store.
func (a *arrival) complete() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole, a.shown = true, a.size
	a.tell()
}

// again says that what arrived was wrong.
func (a *arrival) again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn++
	a.whole, a.shown = false, 0
	a.tell()
}

// follow is a writer for verified bytes in order from the first, which shows them.
func (a *arrival) follow() io.Writer { return &follower{a: a} }

type follower struct {
	a *arrival
	n int64
}

func (f *follower) Write(b []byte) (int, error) {
	f.n += int64(len(b))
	f.a.show(f.n)
	return len(b), nil
}
