package exchange

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
)

// Where package quota is asked:
//
//	gossip          Hear before anything is verified, Publish once it is
//	direct answers  Hear before anything is verified
//	catching up     Begin before a log that is new here is asked for, Keep and
//	                Admit before anything is stored; no rate for the rest, because
//	                this node asks, and a log is kept as a whole or not at all
//	evidence        Accuse before it is verified, given back if it proves anything:
//	                nobody's quota silences a proof
//
// A log that somebody here waits for, as in a fetch, is asked for at no rate, and
// no log that came unasked keeps it out.

// limits are the quotas with what they rest on.
type limits struct {
	*quota.Quota
	stock   *quota.Stock
	givenUp atomic.Uint64 // logs

	mu      sync.Mutex
	trusted map[ledger.AuthorID]bool                          // that this node's user gave a name
	vouches map[ledger.AuthorID]map[ledger.AuthorID]time.Time // for whom, by which author, until when
	asked   map[ledger.AuthorID]int                           // who somebody here waits for
	refused map[ledger.AuthorID]refusedLog
	changed map[ledger.AuthorID]bool // logs whose usage is not stored yet
}

func newLimits(cfg quota.Config) (*limits, error) {
	q, err := quota.New(cfg)
	if err != nil {
		return nil, err
	}
	return &limits{
		Quota: q, stock: quota.NewStock(cfg),
		trusted: map[ledger.AuthorID]bool{},
		vouches: map[ledger.AuthorID]map[ledger.AuthorID]time.Time{},
		asked:   map[ledger.AuthorID]int{},
		refused: map[ledger.AuthorID]refusedLog{},
		changed: map[ledger.AuthorID]bool{},
	}, nil
}

// OverQuotaError is a limit that refused something.
type OverQuotaError struct {
	quota.Decision
	Again bool // it did so before, and was not asked anew
}

func (e *OverQuotaError) Error() string { return ErrOverQuota.Error() + ": " + e.Reason }

func (e *OverQuotaError) Unwrap() error { return ErrOverQuota }

// refusal is nil if d is not one.
func refusal(d quota.Decision) error {
	if d.OK {
		return nil
	}
	return &OverQuotaError{Decision: d}
}

// hear charges a peer for what it sent.
func (x *Exchange) hear(from peer.ID, entries, bytes int) error {
	return refusal(x.limits.Hear(from.String(), quota.Cost{Entries: int64(entries), Bytes: int64(bytes)}))
}

// mayPublish charges an author for a verified entry that is new here.
func (x *Exchange) mayPublish(ctx context.Context, p *ledger.Proved) error {
	a, err := x.quotaOf(ctx, p.Author(), p.Inception)
	if err != nil {
		return err
	}
	return refusal(x.limits.Publish(a, quota.Cost{Entries: 1, Bytes: int64(len(p.Entry))}))
}

// fits tells whether there is room for so much more of an author's log, before
// all of it has come; inception is leaf 0.
func (x *Exchange) fits(ctx context.Context, author ledger.AuthorID, inception []byte, entries uint64, bytes int) error {
	a, err := x.quotaOf(ctx, author, inception)
	if err != nil || a.Exempt {
		return err
	}
	may := x.limits.Allowance(a)
	if entries > uint64(max(0, may.Entries-a.Held.Entries)) || int64(bytes) > may.Bytes-a.Held.Bytes {
		return x.mayKeep(ctx, author, inception, int(min(entries, math.MaxInt32)), bytes)
	}
	return nil
}

// mayKeep wants room for entries of an author, and makes it where that means to
// give up logs that are worth less.
func (x *Exchange) mayKeep(ctx context.Context, author ledger.AuthorID, inception []byte, entries, bytes int) error {
	a, err := x.quotaOf(ctx, author, inception)
	if err != nil {
		return err
	}
	cost := quota.Cost{Entries: int64(entries), Bytes: int64(bytes)}
	if err := refusal(x.limits.Keep(a, cost)); err != nil {
		return err
	}
	return x.makeRoom(ctx, a, cost)
}

// mayBegin charges a peer for a log that is new here, unless somebody waits for
// it, and refuses one again that was refused a short while ago.
func (x *Exchange) mayBegin(author ledger.AuthorID, from peer.ID) error {
	trusted, err := x.trusts(author)
	if err != nil || trusted || x.limits.isAsked(author) {
		return err
	}
	if err := x.limits.refusedBefore(author); err != nil {
		return err
	}
	return refusal(x.limits.Begin(from.String()))
}

// quotaOf is what decisions on an author rest on; inception is leaf 0 of its log.
func (x *Exchange) quotaOf(ctx context.Context, author ledger.AuthorID, inception []byte) (quota.Author, error) {
	a := quota.Author{ID: string(author)}
	trusted, err := x.trusts(author)
	if err != nil || trusted {
		a.Exempt = trusted
		return a, err
	}
	e, err := ledger.DecodeEntry(author, 0, inception) // which checks the work
	if err != nil {
		return a, err
	}
	a.WorkBits = e.Inception.Work.Bits
	if a.Vouches, err = x.vouchesFor(author); err != nil {
		return a, err
	}
	if a.Held, err = x.heldOf(ctx, author); err != nil {
		return a, fmt.Errorf("measuring the log of %s: %w", author, err)
	}
	return a, nil
}
