package exchange

import (
	"context"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/quota"
)

// LimitStatus is what this node lets others store here, what they do, and what
// was refused since it started.
type LimitStatus struct {
	Limits  map[string]float64 `json:"limits"`
	Authors int64              `json:"authors"` // whose logs are here, without this node's own
	Entries int64              `json:"entries"`
	Bytes   int64              `json:"bytes"`   // of all these logs
	Largest int64              `json:"largest"` // bytes of the largest one
	GivenUp uint64             `json:"given_up"`
	Refused map[string]uint64  `json:"refused"` // by the limit that refused
}

// QuotaStats are for metrics.
func (x *Exchange) QuotaStats() quota.Stats { return x.limits.Stats() }

// Limits tells of the limits and of what they bound.
func (x *Exchange) Limits() LimitStatus {
	t := x.limits.stock.Totals()
	s := LimitStatus{
		Limits: map[string]float64{}, Refused: map[string]uint64{},
		Authors: t.Authors, Entries: t.Entries, Bytes: t.Bytes, Largest: t.Largest, GivenUp: x.limits.givenUp.Load(),
	}
	for _, l := range x.limits.Config().Limits() {
		s.Limits[l.Name] = l.Value
	}
	for rule, n := range x.limits.Stats().Refused {
		s.Refused[string(rule)] = n
	}
	return s
}

// describeRoom tells how much an author may keep here, and why.
func (x *Exchange) describeRoom(ctx context.Context, author ledger.AuthorID, s *AuthorStatus) error {
	begin, err := x.Ledger.Leaves(author, 0, 1)
	if err != nil {
		return err
	}
	e, err := ledger.DecodeEntry(author, 0, begin[0])
	if err != nil {
		return err
	}
	s.Work = e.Inception.Work.Bits
	if s.Vouches, err = x.vouchesFor(author); err != nil {
		return err
	}
	trusted, err := x.trusts(author)
	if err != nil {
		return err
	}
	if !trusted {
		s.Room = x.limits.Allowance(quota.Author{WorkBits: s.Work, Vouches: s.Vouches}).Bytes
	}
	if author != x.Me.ID {
		held, err := x.heldOf(ctx, author)
		s.Used = held.Bytes
		return err
	}
	return nil
}
