package ledger

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// parting is the index of the first entry among leaves, which begin at first,
// that is not the one that is here; beyond the last one, if all are.
func (l *Ledger) parting(s *state, first uint64, leaves [][]byte) (uint64, error) {
	for i, leaf := range leaves[:min(uint64(len(leaves)), s.head.Size-first)] {
		at := first + uint64(i)
		ours, err := l.store.Hashes(s.author, []int64{tlog.StoredHashIndex(0, int64(at))})
		if err != nil {
			return 0, err
		}
		if ours[0] != tlog.RecordHash(leaf) {
			return at, nil
		}
	}
	return first + min(uint64(len(leaves)), s.head.Size-first), nil
}

// decide judges a log that parts from the one here at an index, from where leaves
// go on, or that extends a frozen one.
func (l *Ledger) decide(ctx context.Context, s *state, at uint64, leaves [][]byte, n note, c Checkpoint, signed []byte) ([]*Entry, error) {
	ours := len(s.events) > 0 && s.events[len(s.events)-1].Index >= at
	theirs := firstKeyEvent(s.author, at, leaves)
	switch {
	case ours && theirs == nil:
		return nil, ErrSuperseded
	case s.final, theirs == nil && at == s.head.Size && s.head.Size >= s.common:
		return nil, ErrFrozen
	}
	base, err := l.cutAt(s, at)
	if err != nil {
		return nil, err
	}
	b, err := l.grow(base, at, leaves, n, c, signed)
	if err != nil {
		return nil, err
	}
	fork := &ForkError{Author: s.author, Ours: s.head.Checkpoint, Theirs: signed}
	if theirs == nil && at < s.head.Size {
		if err := n.verifyCheckpoint(c.Origin, base.facts.keys.KeyState); err != nil {
			return nil, err
		}
		return nil, fork
	}
	entries, err := l.verify(ctx, base, b, n)
	s.loaded = false // a wrong state freezes
	switch {
	case err != nil:
		return nil, err
	case ours:
		return nil, fork
	}
	if theirs != nil {
		if err := l.lowerFault(ctx, s, theirs.Index); err != nil {
			return nil, err
		}
	}
	return entries, l.rewrite(ctx, s, at, b, signed)
}

// firstKeyEvent is the first among leaves, which begin at an index.
func firstKeyEvent(author AuthorID, at uint64, leaves [][]byte) *Entry {
	for i, leaf := range leaves {
		if len(leaf) > MaxLeaf {
			return nil
		}
		e, err := DecodeEntry(author, at+uint64(i), leaf)
		if err != nil {
			return nil
		}
		if e.Index > 0 && e.keySet() != nil {
			return e
		}
	}
	return nil
}

// cutAt is the log of s as it was at a size, to try entries on.
func (l *Ledger) cutAt(s *state, size uint64) (*state, error) {
	cut := &state{author: s.author, inception: s.inception, stands: size, loaded: true, head: Head{Author: s.author, Size: size}}
	var err error
	if cut.facts, err = l.factsAt(s.author, size); err != nil {
		return nil, err
	}
	for _, event := range s.events {
		if event.Index < size {
			cut.events = append(cut.events, event)
		}
	}
	if cut.edge, err = l.edgeAt(s.author, size); err != nil {
		return nil, err
	}
	cut.head.Root = cut.edge.root()
	cut.head.Checkpoint = s.head.Checkpoint
	return cut, nil
}

// lowerFault lets a key event at an index overcome what is kept against its
// author.
func (l *Ledger) lowerFault(ctx context.Context, s *state, index uint64) error {
	f, err := l.store.Fault(s.author)
	if errors.Is(err, ErrNotFound) || err == nil && f.Common <= index {
		return nil
	}
	if err != nil {
		return err
	}
	f.Common = index
	return l.store.SetFault(ctx, s.author, f)
}

// rewrite makes the log of s that of its first at entries with b behind them.
func (l *Ledger) rewrite(ctx context.Context, s *state, at uint64, b *batch, signed []byte) error {
	s.loaded = false
	stored, err := l.loadFacts(s.author)
	if err != nil {
		return err
	}
	head := Head{Author: s.author, Size: b.edge.size, Root: b.edge.root(), Checkpoint: signed}
	changes := stored.difference(b.facts)
	if at == s.head.Size {
		err = l.store.Commit(ctx, s.author, at, b.leaves, b.hashes, changes, head)
	} else {
		err = l.store.Replace(ctx, s.author, s.head, at, b.leaves, b.hashes, changes, head)
	}
	if err != nil {
		return err
	}
	return l.load(s)
}
