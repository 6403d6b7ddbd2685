package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/reconcile"
)

// answerLog gives entries of logs, from where the asker has them on, as many as
// it wants. Of a log that another one follows there may be none, when there is no
// room for it any more; the asker asks again.
func (x *Exchange) answerLog(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	q, err := reconcile.DecodePull(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	var parts []reconcile.Part
	left, spare := q.MaxBytes, reconcile.MaxPullAnswer-reconcile.MaxPull-2*ledger.MaxLeaf
	for _, w := range q.Wants {
		if len(parts) > 0 && (left <= 0 || spare <= note.MaxSize) {
			break
		}
		part, err := x.partOf(ctx, w, max(left, 1))
		if err != nil {
			return nil, err
		}
		size := sizeOf(part.Leaves)
		if size > left && len(parts) > 0 {
			break // one entry that is larger than what is left
		}
		left -= size
		spare -= 2*len(part.Leaves) + len(part.Checkpoint) + 32*len(part.Growth) + 64
		parts = append(parts, part)
	}
	return reconcile.EncodeParts(parts)
}

// maxEntriesPart bounds the entries in one part, which may be very short.
const maxEntriesPart = 8192

func (x *Exchange) partOf(ctx context.Context, w reconcile.Want, maxBytes int) (reconcile.Part, error) {
	head, err := x.Ledger.Head(w.Author)
	if notFound(err) || err == nil && (w.Size > head.Size || w.From > head.Size) {
		if err == nil && w.Size == 0 { // the asker has more; it may want to know what is here
			return reconcile.Part{Size: head.Size, Checkpoint: head.Checkpoint}, nil
		}
		return reconcile.Part{}, nil
	}
	if err != nil {
		return reconcile.Part{}, err
	}
	part := reconcile.Part{Size: w.Size}
	if w.Size == 0 {
		part.Size, part.Checkpoint = head.Size, head.Checkpoint
	}
	if w.From == part.Size {
		return part, nil
	}
	part.Leaves, err = x.Ledger.Range(ctx, w.Author, w.From, min(part.Size, w.From+maxEntriesPart), maxBytes)
	if err != nil {
		return reconcile.Part{}, err
	}
	if to := w.From + uint64(len(part.Leaves)); to < part.Size {
		part.Growth, err = x.Ledger.ProveConsistency(ctx, w.Author, to, part.Size)
	}
	return part, err
}

// answerHead gives the newest entry of a log, proven.
func (x *Exchange) answerHead(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q headRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	author, err := ledger.ParseAuthorID(q.Author)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	head, err := x.Ledger.Head(author)
	if notFound(err) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	p, err := x.Ledger.Prove(ctx, author, head.Size-1)
	if err != nil {
		return nil, err
	}
	return p.Encode(), nil
}

// answerGrowth proves how a log grew.
func (x *Exchange) answerGrowth(ctx context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q growthRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	author, err := ledger.ParseAuthorID(q.Author)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	growth, err := x.Ledger.ProveConsistency(ctx, author, q.From, q.To)
	if notFound(err) || errors.Is(err, ledger.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	prefix, err := x.Ledger.RootAt(author, q.From)
	if err != nil {
		return nil, err
	}
	return reconcile.EncodeGrowth(prefix, growth), nil
}
