package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// compareTimeout bounds the comparison with one peer and all the logs that
	// it brings.
	compareTimeout = 10 * time.Minute
	// maxFailures is how many logs in a row a peer may fail to give before the
	// comparison with it ends.
	maxFailures = 8
	// ManyParts is how many bytes of entries are asked for at once, of many logs.
	ManyParts = 256 << 10
)

// noteHeads brings the index of heads up to what entries were added to.
func (x *Exchange) noteHeads(entries []*ledger.Entry) error {
	var last ledger.AuthorID
	for _, e := range entries {
		if e.Author == last {
			continue
		}
		last = e.Author
		h, err := x.Ledger.Head(last)
		if err != nil {
			return err
		}
		if err := x.heads.Set(reconcile.Head{Author: h.Author, Size: h.Size, Root: h.Root}); err != nil {
			return err
		}
	}
	return nil
}

// answerReconcile tells which heads here differ from the asker's.
func (x *Exchange) answerReconcile(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
	b, err := x.heads.Respond(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	return b, nil
}

// compare finds out which logs a peer has that are longer than here, or other
// than here, and catches up with them; then, which of them are frozen there.
func (x *Exchange) compare(ctx context.Context, from peer.ID) error {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	if err := x.compareHeads(ctx, from); err != nil {
		return err
	}
	return x.learnFaults(ctx, from)
}

func (x *Exchange) compareHeads(ctx context.Context, from peer.ID) error {
	s := reconcile.New(x.heads)
	failures := 0
	for req, done := s.First(), false; !done; {
		answer, err := x.Net.Request(ctx, from, OpReconcile, req)
		if err != nil {
			return fmt.Errorf("comparing logs: %w", err)
		}
		var theirs []reconcile.Head
		req, theirs, done, err = s.Next(answer)
		if errors.Is(err, reconcile.ErrBadAnswer) {
			x.blame(from, reputation.BrokenPromise)
		}
		if err != nil && len(theirs) == 0 {
			return fmt.Errorf("comparing logs: %w", err)
		}
		if err := x.takeHeads(ctx, from, theirs, &failures); err != nil {
			return fmt.Errorf("comparing logs: %w", err)
		}
		if err != nil {
			return fmt.Errorf("comparing logs: %w", err)
		}
	}
	return nil
}

// answered is a part of a log that came with those of others.
type answered struct {
	from uint64 // the index that it was asked for from
	part reconcile.Part
}

// takeHeads catches up with logs that a peer has more of. Many of them come in
// one answer.
func (x *Exchange) takeHeads(ctx context.Context, from peer.ID, heads []reconcile.Head, failures *int) error {
	heads = slices.DeleteFunc(slices.Clone(heads), func(h reconcile.Head) bool { return !x.worthAsking(h) })
	// One that is on its way in parts goes on where it stopped.
	heads = slices.DeleteFunc(heads, func(h reconcile.Head) bool { return x.resumeLater(h.Author, from) })
	heads = slices.DeleteFunc(heads, func(h reconcile.Head) bool { return x.mayTake(h, from) != nil })
	for len(heads) > 0 {
		q := reconcile.Pull{MaxBytes: ManyParts}
		for _, h := range heads[:min(len(heads), reconcile.MaxWants)] {
			mine, _ := x.heads.Get(h.Author)
			q.Wants = append(q.Wants, reconcile.Want{Author: h.Author, From: mine.Size})
		}
		parts, err := x.askParts(ctx, from, q)
		if err != nil {
			return err
		}
		for i, part := range parts {
			author := q.Wants[i].Author
			err := x.catchUp(ctx, author, from, &answered{q.Wants[i].From, part})
			if err == nil {
				*failures = 0
				continue
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if isWeighed(err) {
				x.weighed.note(heads[i])
				continue
			}
			x.log.Debug("not caught up", "peer", from, "author", author, "err", err)
			if errors.Is(err, ErrOverQuota) {
				continue // no fault of the peer's, and no reason not to take the next one
			}
			x.resumeLater(author, from)
			if *failures++; *failures == maxFailures {
				return fmt.Errorf("%d in a row could not be had: %w", *failures, err)
			}
		}
		heads = heads[len(parts):]
	}
	return nil
}

// mayTake charges the peer for a log that is new here.
func (x *Exchange) mayTake(h reconcile.Head, from peer.ID) error {
	if _, known := x.heads.Get(h.Author); known {
		return nil
	}
	return x.mayBegin(h.Author, from)
}

// worthAsking tells whether a head that a peer told has something for us: more
// entries, or others in the same number.
func (x *Exchange) worthAsking(h reconcile.Head) bool {
	mine, known := x.heads.Get(h.Author)
	switch {
	case x.limits.refusedBefore(h.Author) != nil:
		return false
	case !known:
		return true
	case h.Size == mine.Size && h.Root == mine.Root || x.weighed.has(h):
		return false
	case h.Size > mine.Size:
		return true
	}
	root, err := x.Ledger.RootAt(h.Author, h.Size)
	return err == nil && root != h.Root
}

// isWeighed says of the outcome of a catch-up that a log was read and weighed, and
// changed nothing.
func isWeighed(err error) bool {
	return errors.Is(err, ledger.ErrFork) || errors.Is(err, ledger.ErrFrozen) || errors.Is(err, ledger.ErrSuperseded)
}
