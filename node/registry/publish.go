package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/kv"
)

// pendingRecord is a push that waits to be published.
type pendingRecord struct {
	Digest digest.Digest `json:"digest"`
	Since  time.Time     `json:"since"`
	Tries  int           `json:"tries,omitempty"`
	Next   time.Time     `json:"next,omitzero"` // not before
	Error  string        `json:"error,omitempty"`
}

// Pauses between attempts to publish double from the first to the longest.
const (
	firstPause   = 2 * time.Second
	longestPause = time.Hour
)

// wake has the queue looked at.
func (r *Registry) wake() {
	select {
	case r.queued <- struct{}{}:
	default: // it will be
	}
}

// publishQueued publishes what waits, one after the other, until ctx ends.
func (r *Registry) publishQueued(ctx context.Context) {
	for ctx.Err() == nil {
		pause, err := r.publishDue(ctx)
		if err != nil {
			r.log.Warn("the queue of what is to be published cannot be read", "err", err)
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-r.queued:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// publishDue publishes everything whose time has come, and tells how long there
// is until more is.
func (r *Registry) publishDue(ctx context.Context) (time.Duration, error) {
	waiting, err := r.shelf.pending("")
	if err != nil {
		return 0, err
	}
	pause := longestPause
	for _, p := range waiting {
		if ctx.Err() != nil {
			return pause, nil
		}
		if wait := p.Next.Sub(r.Now()); wait > 0 && wait <= longestPause {
			pause = min(pause, wait)
			continue
		}
		_, err := r.Exchange.Publish(ctx, exchange.PublishRequest{Source: "blobs:" + p.Digest.String(), As: p.ref}, nil)
		if ctx.Err() != nil {
			return pause, nil // it is tried again at the next start
		}
		if err != nil {
			r.log.Warn("a push is not published yet", "ref", p.ref, "tries", p.Tries+1, "err", err)
			p.Tries++
			wait := pauseAfter(p.Tries)
			p.Next, p.Error = r.Now().Add(wait).UTC(), clip(err.Error())
			pause = min(pause, wait)
		}
		if err := r.shelf.settle(p, err == nil); err != nil {
			return 0, err
		}
	}
	return pause, nil
}

// pauseAfter is exponential, with a quarter of jitter.
func pauseAfter(tries int) time.Duration {
	pause := longestPause
	if tries < 20 {
		pause = min(firstPause<<(tries-1), longestPause)
	}
	return pause - rand.N(pause/4+1)
}

// clip bounds what is kept of an error.
func clip(s string) string {
	if len(s) > 500 {
		return strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

// waiting is a pending record with its place.
type waiting struct {
	pendingRecord
	key string
	ref string // name:tag
}

// pending lists what waits to be published, of one repository if it is named.
func (s *shelf) pending(name string) (all []waiting, err error) {
	prefix := "pending/"
	if name != "" {
		prefix = pendingKey(name, "")
	}
	err = s.bucket.View(func(tx kv.Txn) error {
		for key := range tx.Each(prefix, "") {
			w := waiting{key: prefix + key, ref: strings.TrimPrefix(prefix+key, "pending/")}
			if _, err := load(tx, w.key, &w.pendingRecord); err != nil {
				return err
			}
			all = append(all, w)
		}
		return tx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing what is to be published: %w", err)
	}
	return all, nil
}

// settle takes what was published off the queue, or notes the attempt, unless
// something else was pushed there meanwhile.
func (s *shelf) settle(w waiting, done bool) error {
	return s.writes.update(func(tx kv.Txn) error {
		var now pendingRecord
		ok, err := load(tx, w.key, &now)
		switch {
		case err != nil || !ok || now.Digest != w.Digest || !now.Since.Equal(w.Since):
			return err
		case done:
			return tx.Delete(w.key)
		}
		return save(tx, w.key, w.pendingRecord)
	})
}
