package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/dockchains/dockchain/ledger"
)

// RecoverRequest asks for keys to be changed after the key that signs fell into
// other hands, or after it signed two histories.
type RecoverRequest struct {
	// VoidFrom is the first entry to take back. Nil: of a frozen log, the first
	// that its two histories do not have in common; of a log of which entries
	// are given up, none.
	VoidFrom *uint64 `json:"void_from,omitempty"`
	// WithoutMissing gives up the entries that others have seen of the log and
	// that cannot be had.
	WithoutMissing bool `json:"without_missing,omitempty"`
}

// Recovered tells who speaks for the author now, and what was taken back.
type Recovered struct {
	AuthorStatus
	VoidFrom uint64     `json:"void_from"`
	Dropped  []LogEntry `json:"dropped"` // entries that count for nothing any more, the first 1,000 of them
}

// maxDropped bounds the list in Recovered.
const maxDropped = 1000

// RecoverKeys makes the next key the one that signs, as RotateKeys does, and
// takes entries back. The log goes on here and everywhere else, also where it is
// frozen: the key that the author had committed to decides which history stands.
func (x *Exchange) RecoverKeys(ctx context.Context, req RecoverRequest) (Recovered, error) {
	if req.WithoutMissing {
		ctx = context.WithValue(ctx, withoutMissing{}, true)
	}
	out := Recovered{Dropped: []LogEntry{}}
	var err error
	out.AuthorStatus, err = x.changeKeys(ctx, true, func(next ledger.Key, to ledger.KeySet) (*ledger.Proved, error) {
		var err error
		if out.VoidFrom, err = x.voidFrom(req); err != nil {
			return nil, err
		}
		if out.Dropped, err = x.entriesFrom(ctx, out.VoidFrom); err != nil {
			return nil, err
		}
		return x.Ledger.Recover(ctx, x.Me.ID, []ledger.Key{next}, to, out.VoidFrom)
	})
	if err != nil {
		return Recovered{}, err
	}
	return out, nil
}

// voidFrom is the first entry to take back.
func (x *Exchange) voidFrom(req RecoverRequest) (uint64, error) {
	head, err := x.Ledger.Head(x.Me.ID)
	if err != nil {
		return 0, err
	}
	fault, err := x.Ledger.Fault(x.Me.ID)
	switch {
	case err != nil && !errors.Is(err, ledger.ErrNotFound):
		return 0, err
	case req.VoidFrom != nil:
		return *req.VoidFrom, nil
	case err == nil:
		return min(fault.Common, head.Size), nil
	case req.WithoutMissing:
		return head.Size, nil
	}
	return 0, fmt.Errorf("%w: the log is not frozen, so the first entry to take back must be said", ErrBadRequest)
}

// entriesFrom lists the entries of this author's log from an index on.
func (x *Exchange) entriesFrom(ctx context.Context, from uint64) ([]LogEntry, error) {
	dropped := []LogEntry{}
	err := x.Ledger.EntriesOf(ctx, x.Me.ID, from, func(e *ledger.Entry) error {
		if len(dropped) == maxDropped {
			return nil
		}
		entry, err := entryOf(e)
		entry.Statement = nil
		dropped = append(dropped, entry)
		return err
	})
	return dropped, err
}
