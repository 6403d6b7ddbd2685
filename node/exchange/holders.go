package exchange

import (
	"context"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// holders is the growing set of peers that have an image.
type holders struct {
	mu        sync.Mutex
	known     []peer.ID
	followers map[chan struct{}]struct{}
}

func newHolders() *holders { return &holders{followers: map[chan struct{}]struct{}{}} }

func (h *holders) add(p peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.Contains(h.known, p) {
		return
	}
	h.known = append(h.known, p)
	for f := range h.followers {
		select {
		case f <- struct{}{}:
		default:
		}
	}
}

func (h *holders) list() []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.known)
}

// follow gives a channel that says when the set has grown.
func (h *holders) follow() (grown <-chan struct{}, cancel func()) {
	f := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers[f] = struct{}{}
	return f, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.followers, f)
	}
}

// feed sends each holder, known or to come, once, until it is cancelled.
func (h *holders) feed(ctx context.Context) (<-chan string, func()) {
	ctx, stop := context.WithCancel(ctx)
	grown, unfollow := h.follow()
	out := make(chan string)
	go func() {
		defer close(out)
		defer unfollow()
		for sent := 0; ; {
			for _, p := range h.list()[sent:] {
				select {
				case out <- p.String():
					sent++
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, stop
}
