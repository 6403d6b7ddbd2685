package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// catchUpTimeout bounds one catch-up of one log from one peer.
	catchUpTimeout = time.Minute
	// maxCatchUpBytes bounds the entries of one catch-up, which are held in
	// memory until the checkpoint over them is verified.
	maxCatchUpBytes = 64 << 20
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
	case errors.As(err, &behind) && x.isFrozen(behind.Author):
		return Ignore
	case errors.As(err, &behind):
		if err := x.mayPublish(ctx, p); err != nil {
			x.log.Debug("entry refused", "author", behind.Author, "err", err)
			return Ignore
		}
		return Accept
	case errors.Is(err, ledger.ErrFork):
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
	if head, err := x.Ledger.Head(author); err == nil && p.Index < head.Size {
		x.adoptCosignatures(ctx, author, p.Checkpoint)
		return
	}
	c := catchUp{author: author, from: from, size: p.Index + 1}
	if len(x.witnesses.keys) > 0 {
		c.signed = p.Checkpoint // who passed it on may not have kept its cosignatures
	}
	x.wantLog(c)
}

// isForgery tells whether err speaks against what was sent, rather than of
// trouble on this node.
func isForgery(err error) bool {
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

// CatchUp fetches what is missing here of an author's log from a peer, verifies
// it and folds it into the index. That this node has it already is no error.
func (x *Exchange) CatchUp(ctx context.Context, author ledger.AuthorID, from peer.ID) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	unlock, err := x.logLock.lock(ctx, string(author))
	if err != nil {
		return err
	}
	defer unlock()
	head, err := x.Ledger.Head(author)
	if err != nil && !notFound(err) {
		return err
	}
	if x.isFrozen(author) {
		return fmt.Errorf("catching up with the log of %s: %w", author, ledger.ErrFrozen)
	}
	entries, err := x.pullAndExtend(ctx, author, head, from)
	if err != nil || len(entries) == 0 {
		return err
	}
	if err := x.apply(entries); err != nil {
		return fmt.Errorf("indexing the log of %s: %w", author, err)
	}
	x.log.Debug("log extended", "author", author, "entries", len(entries), "peer", from)
	if author == x.Me.ID {
		x.log.Warn("entries of this author's own log were missing here: it was restored from a backup, or somebody else signs with its key", "from", entries[0].Index, "entries", len(entries))
	}
	return nil
}

// pullAndExtend fetches what is missing, verifies and keeps it. The log at the
// peer may be another one than ours by the same author: then that is proven.
func (x *Exchange) pullAndExtend(ctx context.Context, author ledger.AuthorID, head ledger.Head, from peer.ID) ([]*ledger.Entry, error) {
	first := head.Size
	var inception []byte
	if first > 0 {
		begin, err := x.Ledger.Leaves(author, 0, 1)
		if err != nil {
			return nil, err
		}
		inception = begin[0]
	}
	leaves, checkpoint, err := x.pullLog(ctx, author, first, from, func(begin []byte, entries uint64, bytes int) error {
		if first == 0 {
			inception = begin
		}
		return x.fits(ctx, author, inception, entries, bytes)
	})
	if err != nil {
		return nil, fmt.Errorf("fetching the log of %s: %w", author, err)
	}
	if len(leaves) == 0 && (first == 0 || bytes.Equal(checkpoint, head.Checkpoint)) {
		return nil, nil
	}
	if err := x.mayKeep(ctx, author, inception, len(leaves), sizeOf(leaves)); err != nil {
		return nil, fmt.Errorf("keeping the log of %s: %w", author, err)
	}
	entries, err := x.Ledger.Extend(ctx, author, first, leaves, checkpoint)
	if errors.Is(err, ledger.ErrBadRange) && first > 0 { // made up, or it began otherwise
		first = 0
		if leaves, checkpoint, err = x.pullLog(ctx, author, first, from, nil); err != nil {
			return nil, fmt.Errorf("fetching the log of %s: %w", author, err)
		}
		entries, err = x.Ledger.Extend(ctx, author, first, leaves, checkpoint)
	}
	switch {
	case err == nil:
		return entries, nil
	case errors.Is(err, ledger.ErrShrunk) && len(leaves) == 0:
		return nil, nil // the peer is behind
	case errors.Is(err, ledger.ErrFork):
		x.convict(ctx, author, func() (*evidence.Proof, error) {
			return evidence.FromRange(ctx, x.Ledger, author, first, leaves, checkpoint)
		})
	case errors.Is(err, ledger.ErrWrongState):
		if f, err := x.Ledger.Fault(author); err == nil {
			x.publishEvidence(ctx, f.Evidence)
		}
	case isForgery(err):
		x.blame(from, reputation.BadSignature)
	}
	return nil, fmt.Errorf("verifying the log of %s: %w", author, err)
}

// pullLog fetches the entries from an index up to the peer's checkpoint. After
// each part of it fits, if not nil, is asked whether to go on: with the first
// entry, how many there are going to be, and the bytes so far.
func (x *Exchange) pullLog(ctx context.Context, author ledger.AuthorID, from uint64, p peer.ID,
	fits func(first []byte, entries uint64, bytes int) error) (leaves [][]byte, checkpoint []byte, err error) {
	size := 0
	for {
		next := from + uint64(len(leaves))
		b, err := x.Net.Request(ctx, p, OpLog, encode(logRequest{Author: string(author), From: next}))
		if err != nil {
			return nil, nil, err
		}
		a, err := decodeLog(b)
		if err == nil && a.First != next {
			err = fmt.Errorf("%w: entries from %d instead of %d", ErrGarbage, a.First, next)
		}
		if err != nil {
			x.blame(p, reputation.BrokenPromise)
			return nil, nil, err
		}
		if len(a.Leaves) == 0 && next < a.Size {
			x.blame(p, reputation.BrokenPromise)
			return nil, nil, fmt.Errorf("%w: no entries of the %d it has", ErrGarbage, a.Size)
		}
		leaves = append(leaves, a.Leaves...)
		size += sizeOf(a.Leaves)
		if fits != nil && len(leaves) > 0 {
			if err := fits(leaves[0], a.Size-from, size); err != nil {
				return nil, nil, err
			}
		}
		have := from + uint64(len(leaves))
		if have >= a.Size || len(a.Leaves) == 0 {
			return leaves, a.Checkpoint, nil
		}
		if size > maxCatchUpBytes {
			return nil, nil, fmt.Errorf("more than %d bytes of entries are missing", maxCatchUpBytes)
		}
	}
}
