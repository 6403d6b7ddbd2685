package ledgertest

import "testing"

// Harness says how to get the stores under test, which are S.
type Harness[S any] struct {
	// Open returns an empty store that is closed when the test ends.
	Open func(t *testing.T) S
	// Reopen ends s as a crash or a restart would and returns a store over
	// the same data. Nil: the store does not outlive its process.
	Reopen func(t *testing.T, s S) S
}

// Run runs each test on a store of its own, and reopen where a store outlives its
// process.
func (h Harness[S]) Run(t *testing.T, tests map[string]func(*testing.T, S), reopen func(*testing.T, Harness[S])) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h.Open(t))
		})
	}
	if h.Reopen == nil {
		return
	}
	t.Run("reopen", func(t *testing.T) {
		t.Parallel()
		reopen(t, h)
	})
}
