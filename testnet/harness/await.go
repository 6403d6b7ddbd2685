package testnet

import (
	"context"
	"fmt"
	"testing"
	"time"
)

const (
	// Patience is how long a condition is awaited. Nothing that works takes
	// nearly as long, on any machine.
	Patience = 3 * time.Minute
	pollEach = 10 * time.Millisecond
	// Short is the timeout for a fetch that must not find anything. What must be
	// found, and refused, may take longer: see Node.Refuses.
	Short = 3 * time.Second
)

// Deadline is a context for whatever must end well before the test does.
func Deadline(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 4*Patience)
}

// Await polls until cond holds, or fails the test.
func Await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	AwaitNil(t, what, func() error {
		if !cond() {
			return fmt.Errorf("not so")
		}
		return nil
	})
}

// AwaitNil polls until try gives no error, or fails the test with the last one.
func AwaitNil(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s: %v", Patience, what, err)
		}
		time.Sleep(pollEach)
	}
}
