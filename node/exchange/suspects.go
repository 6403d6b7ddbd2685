package exchange

import (
	"bytes"
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
)

// Records of the DHT are judged while a look-up waits. What contradicts the log
// here, or another record, is proven and gossiped behind it.

// maxSuspects bounds the contradictions that wait; one beyond it is met again
// with the next look-up.
const maxSuspects = 64

// suspect is a record that contradicts the log here, or another record.
type suspect struct {
	record *ledger.Proved
	other  *ledger.Proved // nil: the log here
}

// CheckRecord verifies a record, and that it agrees with what is known here of its
// author's log. That it is longer than that is no contradiction.
func (x *Exchange) CheckRecord(p *ledger.Proved) (*ledger.Entry, error) {
	e, err := x.Ledger.Check(p)
	var behind *ledger.Behind
	if errors.As(err, &behind) {
		return e, nil
	}
	if errors.Is(err, ledger.ErrFork) {
		x.suspect(suspect{record: p})
	}
	return e, err
}

// CompareRecords looks for a contradiction between two records of one author.
func (x *Exchange) CompareRecords(a, b *ledger.Proved) {
	if a.Author() == b.Author() && !bytes.Equal(a.Checkpoint, b.Checkpoint) {
		x.suspect(suspect{a, b})
	}
}

func (x *Exchange) suspect(s suspect) {
	select {
	case x.suspects <- s:
	default:
	}
}

func (x *Exchange) convictSuspects(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-x.suspects:
			x.convictSuspect(ctx, s)
		}
	}
}

func (x *Exchange) convictSuspect(ctx context.Context, s suspect) {
	if s.other == nil {
		if _, err := x.check(ctx, s.record); err == nil {
			x.log.Debug("record does not contradict the log any more", "author", s.record.Author())
		}
		return
	}
	proof, err := evidence.Between(s.record, s.other, tlog.Hash{}, nil)
	if err != nil {
		return // they can both be true, as far as they show
	}
	x.convict(ctx, s.record.Author(), func() (*evidence.Proof, error) { return proof, nil })
}
