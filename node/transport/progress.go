package transport

import (
	"context"
	"io"
	"sync"
)

const (
	copyBuffer   = 256 << 10
	progressStep = 1 << 20 // bytes between two reports on one item
)

// Progress is told about bytes moved. item is the digest of a blob or, where
// that is not known yet, a path inside the source; total is -1 when unknown.
// The last report of an item has done == total. Calls do not overlap. May be
// nil.
type Progress func(item string, done, total int64)

// meter serializes the reports of concurrent copies.
type meter struct {
	report Progress
	mu     sync.Mutex
}

func (m *meter) tell(item string, done, total int64) {
	if m.report == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report(item, done, total)
}

// reader counts what is read through it and stops when ctx ends.
func (m *meter) reader(ctx context.Context, item string, total int64, r io.Reader) *meterReader {
	return &meterReader{ctx: ctx, m: m, item: item, total: total, r: r}
}

type meterReader struct {
	ctx         context.Context
	m           *meter
	r           io.Reader
	item        string
	total       int64
	done, told  int64
	wasFinished bool
}

func (r *meterReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.r.Read(p)
	r.done += int64(n)
	if r.done-r.told >= progressStep && (r.total < 0 || r.done < r.total) {
		r.told = r.done
		r.m.tell(r.item, r.done, r.total)
	}
	return n, err
}

// finish reports the item as done, however much of it had to be read.
func (r *meterReader) finish() {
	if r.total < 0 {
		r.total = r.done
	}
	if !r.wasFinished {
		r.wasFinished = true
		r.m.tell(r.item, r.total, r.total)
	}
}
