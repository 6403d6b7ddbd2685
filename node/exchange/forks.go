package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/reputation"
)

// What proves a fault is gossiped on a topic of its own as it is kept, in one of
// two encodings that no bytes have in common: evidence.Proof, or ledger.Proved
// for a wrong state. Who missed it asks, whenever logs are compared, for the
// authors that are frozen elsewhere.

const (
	// maxFrozen bounds the authors in one answer of OpFrozen.
	maxFrozen = 1024
	// maxFrozenPages bounds how many answers one peer may give at a time.
	maxFrozenPages = 64
)

// check is Ledger.Check that remembers the contradictions it meets.
func (x *Exchange) check(ctx context.Context, p *ledger.Proved) (*ledger.Entry, error) {
	entry, err := x.Ledger.Check(p)
	if errors.Is(err, ledger.ErrFork) {
		x.convict(ctx, p.Author(), func() (*evidence.Proof, error) { return evidence.FromProved(ctx, x.Ledger, p) })
	}
	return entry, err
}

// isFrozen tells whether an author is proven to have broken the rules.
func (x *Exchange) isFrozen(author ledger.AuthorID) bool {
	_, err := x.Ledger.Fault(author)
	return err == nil
}

// convict freezes the log of an author who contradicts itself and tells others.
// That it fails changes nothing about what was refused.
func (x *Exchange) convict(ctx context.Context, author ledger.AuthorID, prove func() (*evidence.Proof, error)) {
	data, err := x.freezeBy(ctx, prove)
	if errors.Is(err, errReplaced) || errors.Is(err, errKnown) {
		return
	}
	if err != nil {
		x.log.Warn("contradiction is not kept", "author", author, "err", err)
		return
	}
	x.publishEvidence(ctx, data)
}

func (x *Exchange) freezeBy(ctx context.Context, prove func() (*evidence.Proof, error)) ([]byte, error) {
	proof, err := prove()
	if err != nil {
		return nil, err
	}
	fork, err := proof.Verify()
	if err != nil {
		return nil, err
	}
	data, err := proof.Encode()
	if err != nil {
		return nil, err
	}
	return data, x.freeze(ctx, fork, data)
}

func (x *Exchange) publishEvidence(ctx context.Context, data []byte) {
	if x.Net == nil {
		return
	}
	if err := x.Net.PublishEvidence(ctx, data); err != nil {
		x.log.Debug("evidence is not gossiped", "err", err)
	}
}

// errReplaced is a contradiction between histories of which the author's next
// keys have decided which stands: it convicts nobody.
var errReplaced = errors.New("the author's next keys have decided between these histories")

// errKnown is a contradiction that says nothing more than what is kept.
var errKnown = errors.New("as much is known of this author")

// freeze keeps a verified proof against an author whose log is here.
func (x *Exchange) freeze(ctx context.Context, fork *evidence.Fork, data []byte) error {
	f := ledger.Fault{Kind: ledger.FaultFork, Common: fork.Stand(), Evidence: data}
	if fork.Final {
		f.Kind = ledger.FaultKeys
	} else if replaced, err := x.isReplaced(ctx, fork); err != nil {
		return err
	} else if replaced || fork.Superseded {
		return errReplaced
	}
	fresh, err := x.Ledger.Freeze(ctx, fork.Author, f)
	switch {
	case errors.Is(err, ledger.ErrSuperseded):
		return errReplaced
	case err != nil:
		return err
	case !fresh:
		return errKnown
	}
	x.judgeAnew()
	x.Reputation.Observe(authorSubject(fork.Author), reputation.BadSignature, 1)
	x.log.Warn("log is frozen: its author signed two histories", "author", fork.Author, "stands", f.Common, "final", f.Final())
	return x.refold(ctx, fork.Author)
}

// isReplaced tells whether the log here decides between the sides of a fork: each
// that is not of it was given up.
func (x *Exchange) isReplaced(ctx context.Context, fork *evidence.Fork) (bool, error) {
	head, err := x.Ledger.Head(fork.Author)
	if err != nil {
		return false, err
	}
	changes, err := x.Ledger.KeyChanges(fork.Author)
	if err != nil || changes == 0 {
		return false, err
	}
	for _, side := range []evidence.Side{fork.Older, fork.Newer} {
		if x.isOurs(ctx, fork.Author, head, side.Checkpoint) {
			continue
		}
		given, err := x.Ledger.GivenUp(fork.Author, side.Size, side.Keys)
		if err != nil || !given {
			return false, err
		}
	}
	return true, nil
}

// isOurs tells whether a checkpoint is of the log here.
func (x *Exchange) isOurs(ctx context.Context, author ledger.AuthorID, head ledger.Head, c ledger.Checkpoint) bool {
	if c.Size == 0 || c.Size > head.Size {
		return false
	}
	proof, err := x.Ledger.ProveConsistency(ctx, author, c.Size, head.Size)
	return err == nil && ledger.CheckConsistency(proof, c, ledger.Checkpoint{Size: head.Size, Root: head.Root}) == nil
}

// judgeEvidence verifies what is gossiped against an author, and freezes the
// author's log if it holds. About an author of whom nothing is here it is not
// passed on: anybody can make authors to convict. known tells that the author was
// found guilty before.
func (x *Exchange) judgeEvidence(ctx context.Context, from peer.ID, data []byte) (_ Judgement, known bool) {
	proof, err := evidence.Decode(data)
	if err != nil {
		return x.judgeState(ctx, from, data)
	}
	if x.knows(proof.Proved.Author(), data) {
		return Ignore, true // and has been passed on when it was new
	}
	fork, err := proof.Verify()
	if err == nil && fork.Older.Origin != ledger.Origin(x.Ledger.Network(), fork.Author) {
		err = ledger.ErrWrongNetwork
	}
	if err != nil {
		x.log.Debug("evidence refused", "peer", from, "err", err)
		x.blame(from, reputation.BadSignature)
		return Reject, false
	}
	if err := x.freeze(ctx, fork, data); err != nil {
		x.log.Debug("evidence is not kept", "author", fork.Author, "err", err)
		return Ignore, errors.Is(err, errKnown)
	}
	return Accept, false
}

// knows tells whether this evidence is kept already.
func (x *Exchange) knows(author ledger.AuthorID, data []byte) bool {
	f, err := x.Ledger.Fault(author)
	return err == nil && bytes.Equal(f.Evidence, data)
}

// judgeState judges the evidence of a wrong state.
func (x *Exchange) judgeState(ctx context.Context, from peer.ID, data []byte) (_ Judgement, known bool) {
	p, err := ledger.DecodeProved(data)
	if err == nil {
		if x.isFrozen(p.Author()) {
			return Ignore, true
		}
		err = x.Ledger.Accuse(ctx, p)
	}
	var behind *ledger.Behind
	switch {
	case err == nil:
		x.judgeAnew()
		x.Reputation.Observe(authorSubject(p.Author()), reputation.BadSignature, 1)
		x.log.Warn("log is frozen: its author committed to a wrong state", "author", p.Author())
		if err := x.refold(ctx, p.Author()); err != nil {
			x.log.Warn("log is not indexed anew", "author", p.Author(), "err", err)
		}
		return Accept, false
	case errors.As(err, &behind) || !isForgery(err):
		return Ignore, false
	default:
		x.log.Debug("evidence refused", "peer", from, "err", err)
		x.blame(from, reputation.BadSignature)
		return Reject, false
	}
}

// answerEvidence gives what proves that an author broke the rules.
func (x *Exchange) answerEvidence(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q evidenceRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	author, err := ledger.ParseAuthorID(q.Author)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	f, err := x.Ledger.Fault(author)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, ErrNotFound
	}
	return f.Evidence, err
}

// answerFrozen lists the authors whose logs are frozen here.
func (x *Exchange) answerFrozen(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
	var q frozenRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	if q.After != "" {
		if _, err := ledger.ParseAuthorID(q.After); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
		}
	}
	authors, err := x.Store.Frozen(ledger.AuthorID(q.After), maxFrozen)
	if err != nil {
		return nil, err
	}
	a := frozenAnswer{Authors: make([]string, len(authors))}
	for i, author := range authors {
		a.Authors[i] = string(author)
	}
	return encode(a), nil
}

// learnFaults asks a peer for the evidence against authors that are frozen there
// and not here.
func (x *Exchange) learnFaults(ctx context.Context, from peer.ID) error {
	after := ""
	for range maxFrozenPages {
		b, err := x.Net.Request(ctx, from, OpFrozen, encode(frozenRequest{After: after}))
		if err != nil {
			return fmt.Errorf("asking for frozen logs: %w", err)
		}
		authors, err := decodeFrozen(b, after)
		if err != nil {
			x.blame(from, reputation.BrokenPromise)
			return fmt.Errorf("asking for frozen logs: %w", err)
		}
		for _, author := range authors {
			after = string(author)
			if _, known := x.heads.Get(author); !known || x.isFrozen(author) {
				continue
			}
			b, err := x.Net.Request(ctx, from, OpEvidence, encode(evidenceRequest{Author: after}))
			if err != nil {
				return fmt.Errorf("asking for evidence: %w", err)
			}
			if judged, _ := x.judgeEvidence(ctx, from, b); judged == Reject {
				return fmt.Errorf("asking for evidence: %w", ErrGarbage)
			}
		}
		if len(authors) < maxFrozen {
			return nil
		}
	}
	return nil
}
