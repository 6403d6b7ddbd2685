package exchange

import (
	"context"
	"errors"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/reputation"
)

// Judgement is the gossip validator's answer.
type Judgement int

// Reject blames the peer, Ignore drops without blame, Accept passes on.
const (
	Reject Judgement = iota
	Ignore
	Accept
)

// Judge verifies a gossiped entry before it is passed on: its author's
// signatures, its place in the author's log, and that this log is a
// continuation of the one this node has seen.
func (x *Exchange) Judge(ctx context.Context, from peer.ID, data []byte) Judgement {
	if err := x.hear(from, 1, len(data)); err != nil {
		x.log.Debug("entry refused", "peer", from, "err", err)
		return Ignore
	}
	p, err := ledger.DecodeProved(data)
	if err != nil {
		x.blame(from, reputation.BadSignature)
		return Reject
	}
	entry, err := x.check(ctx, p)
	var behind *ledger.Behind
	switch {
	case err == nil && x.isLatest(entry):
		return Accept // caught up with already; others may not have
	case err == nil:
		return Ignore
	case errors.As(err, &behind) && !behind.Keys && x.isFrozen(behind.Author):
		return Ignore
	case errors.As(err, &behind):
		if err := x.mayPublish(ctx, p); err != nil {
			x.log.Debug("entry refused", "author", behind.Author, "err", err)
			return Ignore
		}
		return Accept
	case errors.Is(err, ledger.ErrFork), errors.Is(err, ledger.ErrSuperseded):
		return Ignore // who passed it on may have seen no other history
	case !isForgery(err):
		x.log.Warn("entry could not be checked", "err", err)
		return Ignore
	default:
		x.log.Debug("entry refused", "peer", from, "err", err)
		x.blame(from, reputation.BadSignature)
		return Reject
	}
}

// Receive takes an entry that Judge accepted. The entries before it that are
// missing here are fetched from the peer that passed it on.
func (x *Exchange) Receive(ctx context.Context, from peer.ID, data []byte) {
	p, err := ledger.DecodeProved(data)
	if err != nil {
		return // Judge had it, and accepts no such thing
	}
	author := ledger.AuthorIDOf(p.Inception)
	c := catchUp{author: author, from: from, size: p.Index + 1}
	if head, err := x.Ledger.Head(author); err == nil {
		var behind *ledger.Behind
		e, err := x.Ledger.Check(p)
		if errors.As(err, &behind) && behind.Keys {
			c.keys = len(p.KeyEvents)
			if e.Type == ledger.TypeRotate || e.Type == ledger.TypeRecover || e.Type == ledger.TypeRetire {
				c.keys++
			}
		} else if p.Index < head.Size {
			x.adoptCosignatures(ctx, author, p.Checkpoint)
			return
		}
	}
	if len(x.witnesses.keys) > 0 {
		c.signed = p.Checkpoint // who passed it on may not have kept its cosignatures
	}
	x.wantLog(c)
}

// isForgery tells whether err speaks against what was sent, rather than of
// trouble on this node.
func isForgery(err error) bool {
	if errors.Is(err, ledger.ErrSuperseded) {
		return false // of who has not heard of it
	}
	for _, e := range []error{
		ledger.ErrBadAuthor, ledger.ErrBadKey, ledger.ErrBadEntry, ledger.ErrBadSignature, ledger.ErrBadCheckpoint,
		ledger.ErrBadProof, ledger.ErrBadRange, ledger.ErrWrongAuthor, ledger.ErrWrongNetwork, ledger.ErrTooLarge,
		ledger.ErrShrunk,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isLatest tells whether no later entry of its author is known here.
func (x *Exchange) isLatest(e *ledger.Entry) bool {
	head, err := x.Ledger.Head(e.Author)
	return err == nil && e.Index+1 == head.Size
}
