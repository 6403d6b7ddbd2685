package p2p

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	relayRate  = 1 << 20 // bytes a second through relays, all raw streams together
	relayBurst = 32 << 10
	relayTerm  = time.Hour
)

// relayBudget is what raw streams may move through relays, in and out: others pay
// for it.
type relayBudget struct {
	max  int64 // bytes in a term
	pace *rate.Limiter

	mu    sync.Mutex
	used  int64
	began time.Time // of the term
}

func newRelayBudget(max int64) *relayBudget {
	return &relayBudget{max: max, pace: rate.NewLimiter(relayRate, relayBurst)}
}

func (b *relayBudget) spent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.renew(time.Now())
	return b.used >= b.max
}

// renew begins a new term when the old one is over. The caller holds mu.
func (b *relayBudget) renew(now time.Time) {
	if now.Sub(b.began) >= relayTerm {
		b.began, b.used = now, 0
	}
}

// take waits until n bytes, at most relayBurst, may pass.
func (b *relayBudget) take(ctx context.Context, n int) error {
	b.mu.Lock()
	b.renew(time.Now())
	over := b.used+int64(n) > b.max
	b.used += int64(n)
	b.mu.Unlock()
	if over {
		return ErrRelayBudget
	}
	return b.pace.WaitN(ctx, n)
}
