package evidence

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Log is what a proof is made of: the logs that this node has. ledger.Ledger is
// one.
type Log interface {
	Head(author ledger.AuthorID) (ledger.Head, error)
	Prove(ctx context.Context, author ledger.AuthorID, index uint64) (*ledger.Proved, error)
	Hashes(author ledger.AuthorID, indexes []int64) ([]tlog.Hash, error)
}

// FromCheckpoint makes a proof of the log that is here and a checkpoint that
// contradicts it and is not longer. ErrNoFork: it does not, or it is.
func FromCheckpoint(ctx context.Context, l Log, author ledger.AuthorID, theirs []byte) (*Proof, error) {
	ours, err := l.Prove(ctx, author, 0)
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	return complete(l, author, &Proof{Proved: ours, Checkpoint: theirs})
}

// FromProved makes a proof of the log that is here and a proved entry that
// contradicts it: by its checkpoint, or by being another entry than the one
// here. ErrNoFork: it does not, or it does in a way that it does not show.
func FromProved(ctx context.Context, l Log, theirs *ledger.Proved) (*Proof, error) {
	author := theirs.Author()
	head, err := l.Head(author)
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	index := uint64(0)
	if theirs.Index < head.Size {
		index = theirs.Index
	}
	ours, err := l.Prove(ctx, author, index)
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	return complete(l, author, &Proof{Proved: ours, Other: theirs})
}

// complete adds the growth of the log here from the size of the other side, if
// that is what it takes, and wants the proof to verify.
func complete(l Log, author ledger.AuthorID, p *Proof) (*Proof, error) {
	_, ours, err := p.Proved.Verify()
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	theirs, err := p.verifyOther()
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	if _, err := p.Verify(); err == nil || !errors.Is(err, ErrNoFork) {
		return p, err
	}
	if theirs.Size == 0 || theirs.Size >= ours.Size {
		return nil, fmt.Errorf("proving fork: %w", ErrNoFork)
	}
	return p.grow(theirs.Size, ours.Size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		return l.Hashes(author, indexes)
	}))
}

// grow sets growth and prefix out of the hashes of the longer log.
func (p *Proof) grow(older, newer uint64, hashes tlog.HashReader) (*Proof, error) {
	var err error
	if p.Prefix, err = tlog.TreeHash(int64(older), hashes); err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	if p.Growth, err = tlog.ProveTree(int64(newer), int64(older), hashes); err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	if _, err := p.Verify(); err != nil {
		return nil, err
	}
	return p, nil
}

// FromRange makes a proof of the log that is here and another one, which came
// as entries from index first on, up to the size of their checkpoint; before
// first it is like the one here. The proof tells what they have in common.
// ErrNoFork: it contradicts nothing.
func FromRange(ctx context.Context, l Log, author ledger.AuthorID, first uint64, leaves [][]byte, theirs []byte) (*Proof, error) {
	ours, err := l.Prove(ctx, author, 0)
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	_, head, err := ours.Verify()
	if err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	if first > head.Size {
		return nil, fmt.Errorf("proving fork: %w", ledger.ErrBadRange)
	}
	spliced := &splice{log: l, author: author, first: tlog.StoredHashCount(int64(first))}
	for i, leaf := range leaves {
		stored, err := tlog.StoredHashes(int64(first)+int64(i), leaf, spliced)
		if err != nil {
			return nil, fmt.Errorf("proving fork: %w", err)
		}
		spliced.hashes = append(spliced.hashes, stored...)
	}
	here := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return l.Hashes(author, indexes) })
	sides := [2]history{{here, head.Size}, {spliced, first + uint64(len(leaves))}}
	p := &Proof{Proved: ours, Checkpoint: theirs}
	other, err := p.verifyOther()
	if err != nil || bringsKeys(author, first, leaves) { // by keys that are not known here
		if p, err = proveOther(ours, author, first, leaves, theirs, sides[1]); err != nil {
			return nil, fmt.Errorf("proving fork: %w", err)
		}
		if other, err = p.verifyOther(); err != nil {
			return nil, fmt.Errorf("proving fork: %w", err)
		}
	}
	if other.Size != sides[1].size {
		return nil, fmt.Errorf("proving fork: %w", ledger.ErrBadRange)
	}
	if p.Common, err = findCommon(first, sides); err != nil {
		return nil, fmt.Errorf("proving fork: %w", err)
	}
	older, newer := other.Size, sides[0]
	if other.Size > head.Size {
		older, newer = head.Size, sides[1]
	}
	if older == newer.size || other.Size == head.Size {
		_, err = p.Verify()
		return p, err
	}
	return p.grow(older, newer.size, newer)
}

func bringsKeys(author ledger.AuthorID, first uint64, leaves [][]byte) bool {
	for i, leaf := range leaves {
		if e, err := ledger.DecodeEntry(author, first+uint64(i), leaf); err == nil && isKeyEvent(e) {
			return true
		}
	}
	return false
}

// proveOther is a proof whose other side brings key events of its own.
func proveOther(ours *ledger.Proved, author ledger.AuthorID, first uint64, leaves [][]byte, theirs []byte, other history) (*Proof, error) {
	side := &ledger.Proved{Inception: ours.Inception, Entry: ours.Inception, Checkpoint: theirs}
	var err error
	if side.Proof, err = tlog.ProveRecord(int64(other.size), 0, other); err != nil {
		return nil, err
	}
	for _, event := range keyEvents(ours) {
		if event.Index >= first {
			break
		}
		side.KeyEvents = append(side.KeyEvents, event)
	}
	for i, leaf := range leaves {
		e, err := ledger.DecodeEntry(author, first+uint64(i), leaf)
		if err != nil {
			return nil, err
		}
		if isKeyEvent(e) {
			side.KeyEvents = append(side.KeyEvents, ledger.KeyEvent{Index: e.Index, Entry: leaf})
		}
	}
	for i, event := range side.KeyEvents {
		if side.KeyEvents[i].Proof, err = tlog.ProveRecord(int64(other.size), int64(event.Index), other); err != nil {
			return nil, err
		}
	}
	return &Proof{Proved: ours, Other: side}, nil
}

// splice has the hashes of a log that goes on from one that is here.
type splice struct {
	log    Log
	author ledger.AuthorID
	first  int64 // number of the first of hashes
	hashes []tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (s *splice) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= s.first {
			if index-s.first >= int64(len(s.hashes)) {
				return nil, ledger.ErrNotFound
			}
			out[i] = s.hashes[index-s.first]
			continue
		}
		stored, err := s.log.Hashes(s.author, []int64{index})
		if err != nil {
			return nil, err
		}
		out[i] = stored[0]
	}
	return out, nil
}
