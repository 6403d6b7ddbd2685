package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// writeWithin bounds the wait for a reader that does not read.
const writeWithin = 30 * time.Second

// stream serves a long road: its request's body, progress lines as it goes, and
// a last line with the result or the error. An error before the first line has
// its own HTTP status.
func stream[Req, Res any](s *server, w http.ResponseWriter, r *http.Request,
	road func(context.Context, Req, func(Progress)) (Res, error)) {
	var req Req
	if err := readJSON(r, &req); err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	l := newLines(w)
	stop := l.flushing(s.flushEvery, cancel)
	res, err := road(ctx, req, l.add)
	stop()
	if err != nil && !l.begun {
		writeError(w, err)
		return
	}
	l.finish(res, err)
}

// lines writes a stream. Progress is kept until the next flush, the newest of
// each step and item only, so that a slow reader never holds the road up.
type lines struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	begun bool // by the one goroutine that writes

	mu     sync.Mutex
	queued []Progress         // guarded by mu
	at     map[progressOf]int // guarded by mu; places in queued
}

type progressOf struct{ step, item string }

func newLines(w http.ResponseWriter) *lines {
	rc := http.NewResponseController(w)
	// The body has been read; from here a read only notices that the client
	// left. Writers that cannot set deadlines (in process) need none.
	_ = rc.SetReadDeadline(time.Time{})
	return &lines{w: w, rc: rc, at: map[progressOf]int{}}
}

func (l *lines) add(p Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := progressOf{p.Step, p.Item}
	if i, ok := l.at[of]; ok {
		l.queued[i] = p
		return
	}
	l.at[of] = len(l.queued)
	l.queued = append(l.queued, p)
}

// flushing writes what is queued at every tick until stop, which waits for it
// and leaves the writer to the caller. A reader that is gone cancels the road.
func (l *lines) flushing(every time.Duration, gone context.CancelFunc) (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if err := l.flush(); err != nil {
				gone()
				return
			}
		}
	}()
	return func() { close(quit); <-ended }
}

func (l *lines) flush() error {
	l.mu.Lock()
	queued := l.queued
	l.queued, l.at = nil, map[progressOf]int{}
	l.mu.Unlock()
	if len(queued) == 0 {
		return nil
	}
	for i := range queued {
		if err := l.write(line{Progress: &queued[i]}); err != nil {
			return err
		}
	}
	return l.rc.Flush()
}

// finish writes what is queued and the last line.
func (l *lines) finish(res any, err error) {
	if l.flush() != nil {
		return
	}
	var last line
	if err == nil {
		last.Result, err = json.Marshal(res)
	}
	if err != nil {
		last.Error, _ = wireError(err)
	}
	if l.write(last) == nil {
		_ = l.rc.Flush() // a reader that is gone needs no answer
	}
}

func (l *lines) write(v line) error {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("X-Content-Type-Options", "nosniff")
		l.w.Header().Set("Cache-Control", "no-store")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = l.rc.SetWriteDeadline(time.Now().Add(writeWithin))
	_, err = l.w.Write(append(b, '\n'))
	return err
}
