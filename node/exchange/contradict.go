package exchange

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/reputation"
)

// contradicted finds out why entries of the peer do not go on from those here:
// it made them up, or the author signed two histories. target is the newest
// entry of the peer, or nil where that is not known.
func (p *pull) contradicted(ctx context.Context, target *ledger.Proved) (err error) {
	x := p.x
	if target == nil {
		if target, err = p.newest(ctx); err != nil {
			return err
		}
	}
	_, err = x.check(ctx, target) // which convicts, if it sees a contradiction
	var behind *ledger.Behind
	if err != nil && !errors.As(err, &behind) {
		p.refused(ctx, err)
		return err
	}
	if err == nil {
		x.blame(p.from, reputation.BadSignature)
		return fmt.Errorf("%w: entries of no log", ErrGarbage)
	}
	reached, root, err := x.Ledger.Reached(ctx, p.author)
	if err != nil {
		return err
	}
	grown, err := p.growth(ctx, target, reached)
	if err != nil {
		return err
	}
	switch {
	case grown.prefix == root:
		x.blame(p.from, reputation.BadSignature)
		return fmt.Errorf("%w: entries of no log", ErrGarbage)
	case reached > p.head.Size:
		return p.otherStage(ctx, target)
	}
	x.convict(ctx, p.author, func() (*evidence.Proof, error) {
		return evidence.FromGrowth(ctx, x.Ledger, target, grown.prefix, grown.proof)
	})
	return ledger.ErrFork
}

// otherStage drops what is kept beyond the head, because the log of the peer is
// another one, and proves that, if the peer's is the longer of the two.
func (p *pull) otherStage(ctx context.Context, theirs *ledger.Proved) error {
	x := p.x
	st, err := x.Ledger.Staged(p.author)
	if err != nil {
		return err
	}
	if err := x.Ledger.Unstage(ctx, p.author); err != nil {
		return err
	}
	ours, err := ledger.DecodeProved(st.Target)
	if err != nil {
		return err
	}
	_, c, err := ours.Verify()
	if err != nil {
		return err
	}
	grown, err := p.growth(ctx, theirs, c.Size)
	if err != nil {
		return err
	}
	x.convict(ctx, p.author, func() (*evidence.Proof, error) {
		return evidence.Between(ours, theirs, grown.prefix, grown.proof)
	})
	return ledger.ErrFork
}

// grown is how the peer's log grew from a size.
type grown struct {
	prefix tlog.Hash
	proof  []tlog.Hash
}

// growth asks how the log under a proved entry grew from a size, and verifies
// the answer.
func (p *pull) growth(ctx context.Context, target *ledger.Proved, from uint64) (grown, error) {
	_, c, err := target.Verify()
	if err != nil {
		return grown{}, err
	}
	b, err := p.x.request(ctx, p.from, OpGrowth, encode(growthRequest{Author: string(p.author), From: from, To: c.Size}))
	if err != nil {
		return grown{}, err
	}
	prefix, proof, err := reconcile.DecodeGrowth(b)
	if err == nil {
		err = ledger.CheckConsistency(proof, ledger.Checkpoint{Size: from, Root: prefix}, c)
	}
	if err != nil {
		p.x.blame(p.from, reputation.BrokenPromise)
		return grown{}, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	return grown{prefix, proof}, nil
}
