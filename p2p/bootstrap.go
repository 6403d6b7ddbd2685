package p2p

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	enoughMembers = 4 // with fewer the node dials those it knows
	maxCandidates = 64
	maxDials      = 8 // at once
	firstBackoff  = time.Second
	lastBackoff   = 5 * time.Minute
	dialTimeout   = 20 * time.Second
)

// backoff is the time of the next attempt at one address.
type backoff struct {
	delay time.Duration
	next  time.Time
}

// failed doubles the delay, up to a limit, and shortens it by up to a quarter
// at random, so that nodes which lost the same peer do not return in step.
func (b *backoff) failed(now time.Time) {
	b.delay = min(max(2*b.delay, firstBackoff), lastBackoff)
	b.next = now.Add(b.delay - rand.N(b.delay/4))
}

// bootstrap dials the configured and the known peers while the node has few.
func (h *Host) bootstrap(ctx context.Context) error {
	history := map[peer.ID]*backoff{}
	for {
		lost := h.seen.lost.wait()
		wait := lastBackoff
		if h.members() < enoughMembers {
			wait = h.dialCandidates(ctx, history)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-lost:
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (h *Host) members() int {
	n := 0
	for _, id := range h.lib.Network().Peers() {
		if h.isMember(id) {
			n++
		}
	}
	return n
}

// dialCandidates dials those whose time has come, and returns the time until
// the next one's comes.
func (h *Host) dialCandidates(ctx context.Context, history map[peer.ID]*backoff) time.Duration {
	candidates := h.candidates()
	for id := range history {
		if _, ok := candidates[id]; !ok {
			delete(history, id)
		}
	}
	var mu sync.Mutex // guards the backoffs of this round
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxDials)
	for id, info := range candidates {
		b := history[id]
		if b == nil {
			b = &backoff{}
			history[id] = b
		}
		if time.Now().Before(b.next) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			err := h.connect(dialCtx, info)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				*b = backoff{}
				return
			}
			b.failed(time.Now())
			h.log.Debug("bootstrap peer not reached", "peer", info.ID, "err", err, "retry_in", b.delay)
		})
	}
	wg.Wait()
	wait := lastBackoff
	for _, b := range history {
		if !b.next.IsZero() {
			wait = min(wait, max(time.Until(b.next), 100*time.Millisecond))
		}
	}
	return wait
}

// candidates lists the unconnected peers of the bootstrap list and of earlier
// runs, with all their addresses.
func (h *Host) candidates() map[peer.ID]peer.AddrInfo {
	addrs := h.cfg.Bootstrap
	if h.cfg.Known != nil {
		known := h.cfg.Known()
		addrs = append(addrs[:len(addrs):len(addrs)], known[:min(len(known), maxCandidates)]...)
	}
	out := map[peer.ID]peer.AddrInfo{}
	for _, s := range addrs {
		info, err := ParseAddr(s)
		if err != nil || info.ID == h.ID() || h.bans.has(info.ID) ||
			h.lib.Network().Connectedness(info.ID) == network.Connected {
			continue
		}
		info.Addrs = append(info.Addrs, out[info.ID].Addrs...)
		out[info.ID] = info
	}
	return out
}
