package exchange

import (
	"context"
	"sync"
	"time"
)

// stall ends a context with a cause when progressed is not called for a while.
type stall struct {
	after  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	held  func() bool // while that is so, nothing can progress; nil: never
}

func newStall(parent context.Context, after time.Duration, cause error) (*stall, context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	s := &stall{after: after, cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held != nil && s.held() {
			s.timer.Reset(after)
			return
		}
		cancel(cause)
	})
	return s, ctx
}

func (s *stall) progressed() { s.timer.Reset(s.after) }

// stop ends the watch without ending the context.
func (s *stall) stop() { s.timer.Stop() }

// holdWhile keeps the context from ending while something is so; nil ends that.
func (s *stall) holdWhile(so func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = so
}
