package evidence

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// FromGrowth makes a proof of the log that is here and a longer one that did not
// grow out of it: at the size of the one here it had the root prefix, as growth
// proves. ErrNoFork: it did grow out of it.
func FromGrowth(ctx context.Context, l Log, theirs *ledger.Proved, prefix tlog.Hash, growth []tlog.Hash) (*Proof, error) {
	head, err := l.Head(theirs.Author())
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	ours, err := l.Prove(ctx, head.Author, head.Size-1)
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	return Between(ours, theirs, prefix, growth)
}

// Between makes a proof of two proved entries, the second one of a log that had
// the root prefix at the size of the first one's, as growth proves; without
// growth the logs have the same size.
func Between(shorter, longer *ledger.Proved, prefix tlog.Hash, growth []tlog.Hash) (*Proof, error) {
	p := &Proof{Proved: shorter, Other: longer, Growth: growth}
	if len(growth) > 0 {
		p.Prefix = prefix
	}
	if _, err := p.Verify(); err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	return p, nil
}
