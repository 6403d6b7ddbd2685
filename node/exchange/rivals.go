package exchange

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dockchains/dockchain/ledger"
)

// A magnet link without an author names content, and anybody may release that:
// also somebody who promises other bytes under the link, or none at all. A fetch
// of such a link therefore goes from one release to the next until the content
// of one is here and is what its author signed.

const (
	// rivalTimeout bounds the search for another release of a link after one
	// was passed over.
	rivalTimeout = 5 * time.Second
	// rivalPatience is how long a release of a link may bring no byte before
	// others are tried.
	rivalPatience = 10 * time.Second
)

// errAbsent ends the attempt at a release whose content nobody gives.
var errAbsent = errors.New("nobody gives the content of this release")

// findAndObtain finds a release of the target whose content can be had, and
// obtains it.
func (x *Exchange) findAndObtain(ctx context.Context, t target, req FetchRequest, stall *stall, report func(Progress)) (*candidate, *obtained, error) {
	var refused *RejectedError // what was wrong with one
	var liars, absent []ledger.AuthorID
	for first := true; ; first = false {
		report(Progress{Step: "find", Item: t.text})
		t.passOver = slices.Concat(liars, absent)
		c, err := x.findRival(ctx, t)
		if further, far := x.movedOn(ctx, t, err); far {
			t = further
			continue
		}
		switch {
		case err == nil:
		case absent != nil && ctx.Err() == nil:
			absent = nil // somebody may have it by now
			continue
		case refused != nil:
			return nil, nil, refused
		default:
			return nil, nil, err
		}
		if first {
			stall.progressed()
		}
		got, err := x.tryRival(ctx, t, c, req, stall, report)
		switch {
		case !t.isOpen():
			return c, got, err
		case errors.Is(err, errAbsent) && ctx.Err() == nil:
			absent = append(absent, c.author)
		case errors.As(err, &refused):
			liars = append(liars, c.author)
		default:
			return c, got, err
		}
	}
}

// isOpen tells whether the target says nothing of whose release is meant.
func (t target) isOpen() bool { return t.magnet != nil && t.author == "" }

// findRival is find, but does not look for long when there was one already.
func (x *Exchange) findRival(ctx context.Context, t target) (*candidate, error) {
	if len(t.passOver) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rivalTimeout)
		defer cancel()
	}
	return x.find(ctx, t)
}

// tryRival obtains the content of a release, and gives up early where there may
// be another one.
func (x *Exchange) tryRival(ctx context.Context, t target, c *candidate, req FetchRequest, whole *stall, report func(Progress)) (*obtained, error) {
	done := x.transfer.begin(t.text, c.release.Size)
	defer done.end()
	own := whole
	onward := x.newHandover(ctx, req, c, report)
	if t.isOpen() {
		own, ctx = newStall(ctx, rivalPatience, errAbsent)
		defer own.cancel(nil)
	}
	own.holdWhile(x.isPaused)
	whole.holdWhile(x.isPaused)
	defer whole.holdWhile(nil)
	got, err := x.obtainFor(ctx, t, c, onward.stages(), func(p Progress) {
		whole.progressed()
		own.progressed()
		done.update(p)
		report(p)
	})
	if err != nil && errors.Is(context.Cause(ctx), errAbsent) {
		err = errors.Join(errAbsent, err)
	}
	onward.arrived(err)
	if err != nil {
		return nil, err
	}
	got.onward = onward
	return got, nil
}
