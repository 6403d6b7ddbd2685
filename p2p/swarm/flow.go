package swarm

import (
	"encoding/binary"
	"sync"
	"time"
)

const (
	// firstWindow is how many bytes are asked for at one time of a peer at first,
	// leastWindow and mostWindow bound what becomes of that.
	firstWindow = 2 * nodeChunk
	leastWindow = nodeChunk
	mostWindow  = 64 << 20
	// An answer that came after shortQueue longer than twice the quickest lets the
	// window grow by its length, one after longQueue longer than three times that lets
	// it shrink: so what is asked of a peer waits there long enough to keep it busy,
	// and not so long that another would have sent it before. Far away a lost packet
	// holds what follows it up for about as long as the quickest answer takes.
	shortQueue = 75 * time.Millisecond
	longQueue  = 150 * time.Millisecond
	// delayOfLate is how long the quickest answer is remembered.
	delayOfLate = time.Minute
	// maxAsked bounds the requests that are remembered.
	maxAsked = 4096
)

// A request is one that the library made: a piece and an offset in it.
type request struct{ piece, begin uint32 }

func requestOf(body []byte) request {
	if len(body) < 8 {
		return request{}
	}
	return request{binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])}
}

// A flow is what was asked of a peer and how fast it comes.
type flow struct {
	mu    sync.Mutex
	open  map[request]asking
	owed  int64     // bytes asked for, of which none came
	most  int64     // the most that was owed since more was asked for the last time
	moved time.Time // when something came, or was asked for while nothing was owed

	delay   time.Duration // from asking to the first byte, the least of late
	delayed time.Time     // when that was
	wanted  int64         // the window
	meter   meter         // what comes
	bytes   int64
}

// An asking is when so many bytes were asked for.
type asking struct {
	at time.Time
	n  int64
}

func newFlow() *flow {
	now := time.Now()
	return &flow{open: map[request]asking{}, moved: now, wanted: firstWindow, meter: meter{at: now}}
}

// asked notes a request for n bytes.
func (f *flow) asked(r request, n int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.open) >= maxAsked {
		return
	}
	if len(f.open) == 0 {
		f.moved = now
	}
	f.owed += n - f.open[r].n
	f.open[r] = asking{now, n}
	f.most = max(f.most, f.owed)
}

// begins notes that the answer to a request comes in, and says whether it is time
// to ask for more: when half of what was asked for is left. It costs the library
// some time to find out what to ask for.
func (f *flow) begins(r request, now time.Time) (askMore bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.open[r]
	if !ok {
		return false
	}
	f.adjust(now.Sub(a.at), a.n, now)
	before := f.owed
	f.close(r, a)
	if before > f.most/2 && f.owed <= f.most/2 {
		f.most = f.owed
		return true
	}
	return false
}

// ended notes that a request will not be answered.
func (f *flow) ended(r request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, ok := f.open[r]; ok {
		f.close(r, a)
	}
}

func (f *flow) close(r request, a asking) {
	delete(f.open, r)
	f.owed -= a.n
}

// came notes n bytes of an answer.
func (f *flow) came(n int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved = now
	f.bytes += n
	if now.Sub(f.meter.at) > tick {
		f.meter.update(now, f.bytes)
	}
}

// quiet is how long the peer has left requests unanswered, 0 if there are none.
func (f *flow) quiet(now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.open) == 0 {
		return 0
	}
	return max(now.Sub(f.moved), 0)
}

// idle says whether nothing is asked of the peer.
func (f *flow) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open) == 0
}

// adjust fits the window to how long an answer of n bytes was waited for.
func (f *flow) adjust(waited time.Duration, n int64, now time.Time) {
	if f.delay == 0 || waited < f.delay || now.Sub(f.delayed) > delayOfLate {
		f.delay, f.delayed = waited, now
	}
	switch queue := waited - f.delay; {
	case queue < shortQueue+f.delay:
		if 3*f.most < f.wanted {
			break // a third of it is enough
		}
		f.wanted = min(f.wanted+n, mostWindow)
	case queue > longQueue+2*f.delay:
		f.wanted = max(f.wanted-n, leastWindow, f.under())
	}
}

// under is what the window does not fall below: what comes in the time of two quick
// answers and a short queue. Answers are late on a far link that loses packets, too,
// where asking for less would leave it empty.
func (f *flow) under() int64 {
	return min(int64(f.meter.rate*(2*f.delay+shortQueue).Seconds()*5/4), mostWindow)
}

// window is how many bytes to ask for at one time.
func (f *flow) window() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wanted
}
