package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// A stage stands in for a test, so that the network of the harness can be had
// outside of one.
type stage struct {
	testing.TB // nil: what the harness does not call

	ctx context.Context

	mu       sync.Mutex
	failures []error  // guarded by mu
	cleanups []func() // guarded by mu
}

// onStage runs what may fail like a test, and what it wants cleaned up.
func onStage(ctx context.Context, run func(testing.TB)) error {
	t := &stage{ctx: ctx}
	ended := make(chan struct{})
	go func() { // which Fatal ends
		defer close(ended)
		defer t.clean()
		run(t)
	}()
	<-ended
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.failures...)
}

func (t *stage) clean() {
	t.mu.Lock()
	cleanups := t.cleanups
	t.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
}

// Helper implements testing.TB, as do the methods below.
func (t *stage) Helper() {}

// Name is of no test.
func (t *stage) Name() string { return "bench" }

// Context ends with the bench.
func (t *stage) Context() context.Context { return t.ctx }

// Cleanup is called in the end, the last one first.
func (t *stage) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// Failed tells whether there was an error.
func (t *stage) Failed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failures) > 0
}

func (t *stage) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, err)
}

// Logf drops what is told: errors are what counts here.
func (t *stage) Logf(string, ...any) {}

// Error fails.
func (t *stage) Error(args ...any) { t.fail(errors.New(fmt.Sprint(args...))) }

// Errorf fails.
func (t *stage) Errorf(format string, args ...any) { t.fail(fmt.Errorf(format, args...)) }

// Fatal fails and ends what runs.
func (t *stage) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

// Fatalf fails and ends what runs.
func (t *stage) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}
