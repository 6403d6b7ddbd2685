package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/ledger/reconcile"
)

// maxWeighed bounds the entries, in bytes, of a log that is read whole to be
// weighed against the one here: they are held in memory.
const maxWeighed = 64 << 20

// errHeavy is a log of more than that.
var errHeavy = errors.New("the log is too large to be weighed against the one here")

// isOtherwise says of what came beyond the log here that it takes the whole log
// of the peer to judge it.
func isOtherwise(err error, entries int) bool {
	return errors.Is(err, ledger.ErrBadRange) || errors.Is(err, ledger.ErrFork) || errors.Is(err, ledger.ErrFrozen) && entries > 0 ||
		entries == 0 && errors.Is(err, ledger.ErrBadSignature)
}

// weigh reads the whole log of a peer, which is not the one here with more behind
// it, and has the ledger decide which of them stands. Neither: that is proven,
// with what they have in common. Of a log too large for that, instead is done.
func (p *pull) weigh(ctx context.Context, why error, instead func() error) error {
	leaves, checkpoint, err := p.whole(ctx)
	if errors.Is(err, errHeavy) {
		return errors.Join(why, instead())
	}
	if err != nil {
		return err
	}
	if err := p.x.Ledger.Unstage(ctx, p.author); err != nil {
		return err
	}
	_, err = p.x.Ledger.Extend(ctx, p.author, 0, leaves, checkpoint)
	switch {
	case err == nil, errors.Is(err, ledger.ErrShrunk):
		return nil
	case errors.Is(err, ledger.ErrFork):
		p.x.convict(ctx, p.author, func() (*evidence.Proof, error) {
			return evidence.FromRange(ctx, p.x.Ledger, p.author, 0, leaves, checkpoint)
		})
	default:
		p.refused(ctx, err)
	}
	return err
}

// whole reads the log of the peer from its beginning.
func (p *pull) whole(ctx context.Context) (leaves [][]byte, checkpoint []byte, err error) {
	size, total := 0, uint64(0)
	for {
		part, err := p.ask(ctx, uint64(len(leaves)), total, reconcile.MaxPull)
		if err != nil {
			return nil, nil, err
		}
		if total == 0 {
			total, checkpoint = part.Size, part.Checkpoint
		}
		if part.Size == 0 {
			return nil, nil, fmt.Errorf("%w: the peer has no such log", ErrNotFound)
		}
		if part.Size != total || len(part.Leaves) == 0 {
			return nil, nil, p.broken(total)
		}
		leaves = append(leaves, part.Leaves...)
		if size += sizeOf(part.Leaves); size > maxWeighed {
			return nil, nil, errHeavy
		}
		if uint64(len(leaves)) >= total {
			return leaves, checkpoint, nil
		}
	}
}
