package exchange

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
)

// Where package quota is asked:
//
//	gossip          Hear before anything is verified, Publish once it is
//	direct answers  Hear before anything is verified
//	catching up     Keep before anything is stored; no rate, because this node
//	                asks, and a log is kept as a whole or not at all
//	evidence        never

// errOverQuota says that a limit of package quota refused something.
var errOverQuota = errors.New("over a limit")

// limits are the quotas with what they rest on.
type limits struct {
	*quota.Quota

	mu      sync.Mutex
	held    map[ledger.AuthorID]held                          // as far as somebody asked
	vouches map[ledger.AuthorID]map[ledger.AuthorID]time.Time // for whom, by which trusted author, until when
}

func newLimits(cfg quota.Config) (*limits, error) {
	q, err := quota.New(cfg)
	if err != nil {
		return nil, err
	}
	return &limits{
		Quota: q, held: map[ledger.AuthorID]held{},
		vouches: map[ledger.AuthorID]map[ledger.AuthorID]time.Time{},
	}, nil
}

// QuotaStats are for metrics.
func (x *Exchange) QuotaStats() quota.Stats { return x.limits.Stats() }

// refusal is nil if d is not one.
func refusal(d quota.Decision) error {
	if d.OK {
		return nil
	}
	return fmt.Errorf("%w: %s", errOverQuota, d.Reason)
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

// mayKeep wants room for entries of an author.
func (x *Exchange) mayKeep(ctx context.Context, author ledger.AuthorID, inception []byte, entries, bytes int) error {
	a, err := x.quotaOf(ctx, author, inception)
	if err != nil {
		return err
	}
	return refusal(x.limits.Keep(a, quota.Cost{Entries: int64(entries), Bytes: int64(bytes)}))
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

// trusts tells whether an author is this node's own, or its user gave it a name.
func (x *Exchange) trusts(author ledger.AuthorID) (bool, error) {
	if author == x.Me.ID {
		return true, nil
	}
	aliases, err := x.Store.Aliases()
	if err != nil {
		return false, err
	}
	for _, a := range aliases {
		if a.Author == author {
			return true, nil
		}
	}
	return false, nil
}

// held is how much of a log is stored here.
type held struct {
	entries uint64
	bytes   int64
}

// heldOf is how much of a log is stored here. It is measured when it is asked for
// and counted on from there.
func (x *Exchange) heldOf(ctx context.Context, author ledger.AuthorID) (quota.Room, error) {
	head, err := x.Ledger.Head(author)
	if errors.Is(err, ledger.ErrUnknownAuthor) {
		return quota.Room{}, nil
	}
	if err != nil {
		return quota.Room{}, err
	}
	x.limits.mu.Lock()
	h := x.limits.held[author]
	x.limits.mu.Unlock()
	for h.entries < head.Size {
		leaves, err := x.Ledger.Range(ctx, author, h.entries, head.Size, 1<<20)
		if err != nil {
			return quota.Room{}, err
		}
		h.entries += uint64(len(leaves))
		h.bytes += int64(sizeOf(leaves))
	}
	x.limits.mu.Lock()
	defer x.limits.mu.Unlock()
	x.limits.held[author] = h
	return quota.Room{Entries: int64(h.entries), Bytes: h.bytes}, nil
}

func sizeOf(leaves [][]byte) (n int) {
	for _, leaf := range leaves {
		n += len(leaf)
	}
	return n
}

// vouchesFor counts the trusted authors that vouch for one now.
func (x *Exchange) vouchesFor(author ledger.AuthorID) (n int, err error) {
	x.limits.mu.Lock()
	vouches := maps.Clone(x.limits.vouches[author])
	x.limits.mu.Unlock()
	for by, expires := range vouches {
		trusted, err := x.trusts(by) // a name may have been taken back since
		if err != nil {
			return n, err
		}
		if trusted && expires.After(time.Now()) {
			n++
		}
	}
	return n, nil
}

// noteVouches remembers for whom trusted authors vouch.
func (x *Exchange) noteVouches(entries []*ledger.Entry) error {
	for _, e := range entries {
		v, ok := e.Statement.(*ledger.Vouch)
		if !ok {
			continue
		}
		trusted, err := x.trusts(e.Author)
		if err != nil {
			return err
		}
		if trusted {
			x.limits.vouch(e.Author, v)
		}
	}
	return nil
}

func (l *limits) vouch(by ledger.AuthorID, v *ledger.Vouch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.vouches[v.For] == nil {
		l.vouches[v.For] = map[ledger.AuthorID]time.Time{}
	}
	l.vouches[v.For][by] = v.Expires
}

// learnVouches reads for whom the trusted authors vouch: all of them, or the one
// given.
func (x *Exchange) learnVouches(ctx context.Context, only ledger.AuthorID) error {
	authors := []ledger.AuthorID{only}
	if only == "" {
		aliases, err := x.Store.Aliases()
		if err != nil {
			return err
		}
		authors[0] = x.Me.ID
		for _, a := range aliases {
			authors = append(authors, a.Author)
		}
	}
	for _, by := range authors {
		err := x.Ledger.EntriesOf(ctx, by, 0, func(e *ledger.Entry) error {
			if v, ok := e.Statement.(*ledger.Vouch); ok {
				x.limits.vouch(by, v)
			}
			return nil
		})
		if err != nil && !notFound(err) {
			return fmt.Errorf("reading for whom %s vouches: %w", by, err)
		}
	}
	return nil
}
