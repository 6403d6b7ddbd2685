package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// rememberFor is how long the reason of a failure is kept for those who ask for a
// part of what failed.
const rememberFor = time.Minute

var (
	errNobodyWaits = errors.New("nobody waits for it any more")
	errStopping    = errors.New("the node is stopping")
)

// effort is work in the background for whoever waits for it. It ends a while after
// the last one left.
type effort[T any] struct {
	of   T
	all  *efforts[T]
	key  string
	stop context.CancelCauseFunc
	done chan struct{}
	err  error // of the work; set before done is closed

	joined int         // guarded by all.mu
	timer  *time.Timer // guarded by all.mu; runs while joined is 0
}

// efforts are those under way, at most one for each key.
type efforts[T any] struct {
	max    int
	linger time.Duration // how long work goes on that nobody waits for any more

	mu      sync.Mutex
	live    map[string]*effort[T] // with those that failed of late
	working int
	stopped bool
	running sync.WaitGroup
}

func newEfforts[T any](max int, linger time.Duration) *efforts[T] {
	return &efforts[T]{max: max, linger: linger, live: map[string]*effort[T]{}}
}

// join waits with others for the effort of a key. Where there is none, make gives
// what it is about and run does the work. The caller calls leave, once.
func (es *efforts[T]) join(key string, begin func() T, run func(context.Context, *effort[T]) error) (e *effort[T], leave func(), err error) {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.stopped {
		return nil, nil, fmt.Errorf("%w: %w", ErrOffline, errStopping)
	}
	if e = es.live[key]; e == nil || e.ended() {
		if es.working >= es.max {
			return nil, nil, fmt.Errorf("%w: %d are under way", ErrBusy, es.working)
		}
		e = es.begin(key, begin(), run)
	}
	return e, es.enter(e), nil
}

// begin starts the work. The caller holds mu.
func (es *efforts[T]) begin(key string, of T, run func(context.Context, *effort[T]) error) *effort[T] {
	ctx, stop := context.WithCancelCause(context.Background())
	e := &effort[T]{of: of, all: es, key: key, stop: stop, done: make(chan struct{})}
	if old := es.live[key]; old != nil {
		old.timer.Stop()
	}
	es.live[key] = e
	es.working++
	e.timer = time.AfterFunc(es.linger, func() { stop(errNobodyWaits) })
	es.running.Go(func() {
		err := run(ctx, e)
		stop(nil)
		es.mu.Lock()
		defer es.mu.Unlock()
		es.working--
		e.err = err
		close(e.done)
		e.timer.Stop()
		switch {
		case es.live[key] != e:
		case err == nil || errors.Is(err, errNobodyWaits):
			delete(es.live, key)
		default:
			e.timer = time.AfterFunc(rememberFor, func() { es.forget(e) })
		}
	})
	return e
}

func (es *efforts[T]) forget(e *effort[T]) {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.live[e.key] == e {
		delete(es.live, e.key)
	}
}

// enter counts one more who waits. The caller holds mu.
func (es *efforts[T]) enter(e *effort[T]) (leave func()) {
	if !e.ended() {
		e.joined++
		e.timer.Stop()
	}
	return sync.OnceFunc(func() {
		es.mu.Lock()
		defer es.mu.Unlock()
		if e.joined--; e.joined == 0 && !e.ended() {
			e.timer.Reset(es.linger)
		}
	})
}

// find joins the first effort, also one that failed of late, that match picks.
func (es *efforts[T]) find(match func(T) bool) (e *effort[T], leave func(), ok bool) {
	es.mu.Lock()
	defer es.mu.Unlock()
	var failed *effort[T]
	for _, e := range es.live {
		switch {
		case !match(e.of):
		case e.ended():
			failed = e
		default:
			return e, es.enter(e), true
		}
	}
	if failed != nil {
		return failed, func() {}, true
	}
	return nil, nil, false
}

func (e *effort[T]) ended() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// stopAll ends all efforts, lets none begin, and waits for them.
func (es *efforts[T]) stopAll() {
	es.mu.Lock()
	es.stopped = true
	for _, e := range es.live {
		e.timer.Stop()
		e.stop(errStopping)
	}
	es.mu.Unlock()
	es.running.Wait()
}
