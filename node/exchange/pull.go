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
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/reputation"
)

// A log that is a little behind is brought up to date by one answer. One that is
// far behind comes in parts, each of them verified against the newest checkpoint
// of the peer and kept beyond the head (ledger.Approach): after a cut, a restart
// or with another peer it goes on from there.

const (
	// catchUpTimeout bounds one catch-up of one log with one peer.
	catchUpTimeout = 10 * time.Minute
	// partTimeout bounds one question and its answer.
	partTimeout = 30 * time.Second
	// firstPart is what a log of unknown length is asked for, firstPortion a part
	// of a long one; later ones are as much as portionShare of what came without
	// failure: a cut wastes no more than that share.
	firstPart    = 64 << 10
	firstPortion = 32 << 10
	portionShare = 8
)

// errElsewhere says that a peer does not have the log under a checkpoint that
// somebody else has shown.
var errElsewhere = errors.New("the peer has no such log")

// pull is a log that one peer is asked for.
type pull struct {
	x      *Exchange
	author ledger.AuthorID
	from   peer.ID
	head   ledger.Head // when it began; Size 0: unknown author
	came   int         // bytes, since nothing failed
}

// CatchUp fetches what is missing here of an author's log from a peer, verifies
// it and folds it into the index. That this node has it already is no error.
func (x *Exchange) CatchUp(ctx context.Context, author ledger.AuthorID, from peer.ID) error {
	return x.catchUp(ctx, author, from, nil)
}

// catchUp is CatchUp with an answer that has come already, or nil.
func (x *Exchange) catchUp(ctx context.Context, author ledger.AuthorID, from peer.ID, first *answered) error {
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
	wasFrozen := x.isFrozen(author)
	if head.Size == 0 && first == nil { // who gave an answer already was charged for it
		if err := x.mayBegin(author, from); err != nil {
			return fmt.Errorf("asking for the log of %s: %w", author, err)
		}
	}
	p := &pull{x: x, author: author, from: from, head: head}
	err = p.run(ctx, first)
	x.limits.noteRefused(author, err)
	if ierr := x.indexChanged(context.WithoutCancel(ctx), author, head, wasFrozen); ierr != nil {
		err = errors.Join(err, fmt.Errorf("indexing the log of %s: %w", author, ierr))
	}
	if err != nil {
		return fmt.Errorf("catching up with the log of %s: %w", author, err)
	}
	return nil
}

// indexChanged folds what is new of a log since it had a head: all of it, if it
// was replaced, or if other entries stand than before.
func (x *Exchange) indexChanged(ctx context.Context, author ledger.AuthorID, was ledger.Head, wasFrozen bool) error {
	head, err := x.Ledger.Head(author)
	if was.Size == 0 && !x.isFrozen(author) || notFound(err) || err == nil && head.Root == was.Root && head.Size == was.Size {
		return x.indexGrown(ctx, author, was.Size)
	}
	root, rerr := x.Ledger.RootAt(author, min(was.Size, head.Size))
	if err == nil && !wasFrozen && !x.isFrozen(author) && was.Size <= head.Size && rerr == nil && root == was.Root {
		return x.indexGrown(ctx, author, was.Size)
	}
	x.keepCosignedHead(author)
	return errors.Join(err, x.refold(ctx, author), x.heads.Set(reconcile.Head{Author: author, Size: head.Size, Root: head.Root}))
}

// indexGrown folds what is new of a log since it had a size.
func (x *Exchange) indexGrown(ctx context.Context, author ledger.AuthorID, from uint64) error {
	head, err := x.Ledger.Head(author)
	if notFound(err) {
		return nil
	}
	if err != nil || head.Size <= from {
		return err
	}
	x.keepCosignedHead(author)
	n, err := x.indexLog(ctx, author, from, head.Size)
	x.log.Debug("log extended", "author", author, "entries", n)
	if author == x.Me.ID {
		x.log.Warn("entries of this author's own log were missing here: it was restored from a backup, or somebody else signs with its key", "from", from, "entries", n)
	}
	return err
}

func (p *pull) run(ctx context.Context, first *answered) error {
	st, err := p.x.Ledger.Staged(p.author)
	if err == nil {
		return p.resume(ctx, st)
	}
	if !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	var part *reconcile.Part
	if first != nil && first.from == p.head.Size {
		part = &first.part
	} else if part, err = p.ask(ctx, p.head.Size, 0, firstPart); err != nil {
		return err
	}
	if part.Size == 0 {
		return fmt.Errorf("%w: the peer has no such log", ErrNotFound)
	}
	if p.head.Size+uint64(len(part.Leaves)) >= part.Size {
		return p.extend(ctx, part)
	}
	if len(part.Leaves) == 0 {
		return p.broken(part.Size)
	}
	return p.far(ctx, part)
}

// ask asks for a part of the log.
func (p *pull) ask(ctx context.Context, from, size uint64, maxBytes int) (*reconcile.Part, error) {
	parts, err := p.x.askParts(ctx, p.from, reconcile.Pull{MaxBytes: maxBytes, Wants: []reconcile.Want{{Author: p.author, From: from, Size: size}}})
	if err != nil {
		return nil, err
	}
	return &parts[0], nil
}

// askParts asks a peer for entries of logs.
func (x *Exchange) askParts(ctx context.Context, from peer.ID, q reconcile.Pull) ([]reconcile.Part, error) {
	req, err := q.Encode()
	if err != nil {
		return nil, err
	}
	b, err := x.request(ctx, from, OpLog, req)
	if err != nil {
		return nil, err
	}
	parts, err := reconcile.DecodeParts(b, len(q.Wants))
	if err != nil {
		x.blame(from, reputation.BrokenPromise)
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	return parts, nil
}

func (x *Exchange) request(ctx context.Context, to peer.ID, op string, req []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	return x.Net.Request(ctx, to, op, req)
}

// extend takes the whole of what is missing. The log at the peer may be another
// one than ours by the same author: then that is proven.
func (p *pull) extend(ctx context.Context, part *reconcile.Part) error {
	x, leaves := p.x, part.Leaves
	if len(leaves) == 0 && (p.head.Size == 0 || bytes.Equal(part.Checkpoint, p.head.Checkpoint)) {
		return nil
	}
	inception, err := p.inception(leaves)
	if err != nil {
		return err
	}
	if err := x.mayKeep(ctx, p.author, inception, len(leaves), sizeOf(leaves)); err != nil {
		return err
	}
	_, err = x.Ledger.Extend(ctx, p.author, p.head.Size, leaves, part.Checkpoint)
	switch {
	case err == nil:
		x.adoptCosignatures(ctx, p.author, part.Checkpoint)
		return nil
	case errors.Is(err, ledger.ErrShrunk) && len(leaves) == 0: // the peer is behind
		return nil
	case p.head.Size > 0 && isOtherwise(err, len(leaves)):
		return p.weigh(ctx, err, func() error { return p.contradicted(ctx, nil) })
	default:
		p.refused(ctx, err)
	}
	return err
}

// refused blames whoever is to blame for entries that are not kept.
func (p *pull) refused(ctx context.Context, err error) {
	if errors.Is(err, ledger.ErrWrongState) {
		if f, err := p.x.Ledger.Fault(p.author); err == nil {
			p.x.judgeAnew()
			p.x.publishEvidence(ctx, f.Evidence)
		}
	} else if isForgery(err) {
		p.x.blame(p.from, reputation.BadSignature)
	}
}

// inception is leaf 0 of the log, which begins with leaves if nothing is here.
func (p *pull) inception(leaves [][]byte) ([]byte, error) {
	if p.head.Size == 0 {
		if len(leaves) == 0 {
			return nil, fmt.Errorf("%w: no entries", ErrGarbage)
		}
		return leaves[0], nil
	}
	begin, err := p.x.Ledger.Leaves(p.author, 0, 1)
	if err != nil {
		return nil, err
	}
	return begin[0], nil
}

// newest asks for the newest entry of the log.
func (p *pull) newest(ctx context.Context) (*ledger.Proved, error) {
	b, err := p.x.request(ctx, p.from, OpHead, encode(headRequest{Author: string(p.author)}))
	if err != nil {
		return nil, err
	}
	proved, err := ledger.DecodeProved(b)
	if err == nil && proved.Author() != p.author {
		err = ledger.ErrWrongAuthor
	}
	if err != nil {
		p.x.blame(p.from, reputation.BrokenPromise)
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	return proved, nil
}

// resume goes on from what is kept beyond the head: to the checkpoint that it
// was verified against, or to the one that this peer has.
func (p *pull) resume(ctx context.Context, st ledger.Stage) error {
	target, err := ledger.DecodeProved(st.Target)
	if err != nil {
		return errors.Join(err, p.x.Ledger.Unstage(ctx, p.author))
	}
	a, err := p.x.Ledger.Approach(ctx, target)
	if err != nil { // it is here by another way, or contradicts what came since
		if uerr := p.x.Ledger.Unstage(ctx, p.author); uerr != nil {
			return errors.Join(err, uerr)
		}
		return p.run(ctx, nil)
	}
	if err = p.climb(ctx, a, target, nil); errors.Is(err, errElsewhere) {
		return p.far(ctx, nil)
	}
	return err
}

// far goes towards the newest checkpoint of the peer; part has come already, or
// is nil.
func (p *pull) far(ctx context.Context, part *reconcile.Part) error {
	target, err := p.newest(ctx)
	if err != nil {
		return err
	}
	a, err := p.x.Ledger.Approach(ctx, target)
	switch {
	case errors.Is(err, ledger.ErrShrunk) && part != nil:
		return p.broken(part.Size)
	case errors.Is(err, ledger.ErrShrunk):
		return nil // the peer is behind
	case errors.Is(err, ledger.ErrFork), errors.Is(err, ledger.ErrFrozen):
		return p.weigh(ctx, err, func() error {
			p.x.convict(ctx, p.author, func() (*evidence.Proof, error) { return evidence.FromProved(ctx, p.x.Ledger, target) })
			return nil
		})
	case err != nil:
		p.refused(ctx, err)
		return err
	}
	if part != nil && part.Size != a.Goal().Size {
		part = nil // it has grown meanwhile
	}
	return p.climb(ctx, a, target, part)
}

// climb fetches one part after the other. part has come already, or is nil.
func (p *pull) climb(ctx context.Context, a *ledger.Approach, target *ledger.Proved, part *reconcile.Part) error {
	size := a.Goal().Size
	for {
		reached, _, err := p.x.Ledger.Reached(ctx, p.author)
		if err != nil {
			return err
		}
		if reached >= size {
			return fmt.Errorf("%w: %d entries, %d are here", errElsewhere, size, reached)
		}
		if part == nil {
			if part, err = p.ask(ctx, reached, size, p.portion()); err != nil {
				return err
			}
		}
		if part.Size == 0 {
			return errElsewhere
		}
		if part.Size != size || len(part.Leaves) == 0 {
			return p.broken(size)
		}
		if err := p.mayGrow(ctx, target.Inception, reached, size, part.Leaves); err != nil {
			return errors.Join(err, p.x.Ledger.Unstage(ctx, p.author))
		}
		done, err := a.Add(ctx, part.Leaves, part.Growth)
		if errors.Is(err, ledger.ErrBadRange) || errors.Is(err, ledger.ErrFrozen) {
			return p.weigh(ctx, err, func() error { return p.contradicted(ctx, target) })
		}
		if err != nil {
			p.refused(ctx, err)
			return err
		}
		if done {
			return nil
		}
		p.came += sizeOf(part.Leaves)
		part = nil
	}
}

// broken blames the peer for a log that it claims to have.
func (p *pull) broken(size uint64) error {
	p.x.blame(p.from, reputation.BrokenPromise)
	return fmt.Errorf("%w: no entries of the log of %d", ErrGarbage, size)
}

// portion is how much the next part may have.
func (p *pull) portion() int {
	return min(max(firstPortion, p.came/portionShare), reconcile.MaxPull)
}

// mayGrow wants room for all of the log, and for the part that has come.
func (p *pull) mayGrow(ctx context.Context, inception []byte, reached, size uint64, leaves [][]byte) error {
	st, err := p.x.Ledger.Staged(p.author)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	bytes := int(st.Bytes) + sizeOf(leaves)
	if reached+uint64(len(leaves)) >= size {
		return p.x.mayKeep(ctx, p.author, inception, int(size-p.head.Size), bytes)
	}
	return p.x.fits(ctx, p.author, inception, size-p.head.Size, bytes)
}
