package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Approach is the way of a log to a checkpoint that is far away. Entries come in
// parts, from anybody; each is verified by itself, that it is of the log under
// the checkpoint and all that Extend verifies, and is kept durably beyond the
// head. With the last one the log has grown, all at once. What was kept so far
// outlives the Approach, the process, and another one to another checkpoint of
// the same history.
//
// Memory is bounded by the parts and the author's state, not by the log.
type Approach struct {
	ledger *Ledger
	author AuthorID
	target []byte // encoded
	goal   Checkpoint
	note   note
}

// Approach begins or goes on with the way to the checkpoint of a proved entry.
// Its errors are those of Check, but for Behind, which is what it is for;
// ErrShrunk: the log is as long here.
func (l *Ledger) Approach(ctx context.Context, to *Proved) (*Approach, error) {
	_, err := l.Check(to)
	var behind *Behind
	if err == nil {
		return nil, fmt.Errorf("approaching a checkpoint of %s: %w", to.Author(), ErrShrunk)
	}
	if !errors.As(err, &behind) {
		return nil, err
	}
	n, c, err := openCheckpoint(to.Checkpoint, Origin(l.network, to.Author()))
	if err != nil {
		return nil, err
	}
	return &Approach{ledger: l, author: to.Author(), target: to.Encode(), goal: c, note: n}, ctx.Err()
}

// Goal is the checkpoint.
func (a *Approach) Goal() Checkpoint { return a.goal }

// Add takes entries from where the log reaches on (see Reached) and the proof of
// how it grows from there to the goal. done: it has grown to the goal.
//
// ErrBadRange means that they are not of the log under the goal: the sender's
// fault, or, where the author signed two histories, the sign of the other one.
// When they are, and yet no log may have them, the author is at fault, and
// nothing beyond the head is kept any more; ErrWrongState freezes the log.
func (a *Approach) Add(ctx context.Context, leaves [][]byte, growth []tlog.Hash) (done bool, err error) {
	err = a.ledger.locked(ctx, a.author, func(s *state) error {
		done, err = a.add(ctx, s, leaves, growth)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("approaching a checkpoint of %s: %w", a.author, err)
	}
	return done, nil
}

func (a *Approach) add(ctx context.Context, s *state, leaves [][]byte, growth []tlog.Hash) (bool, error) {
	if s.frozen {
		return false, ErrFrozen
	}
	l := a.ledger
	v, err := l.ahead(ctx, s)
	if err != nil {
		return false, err
	}
	b := &batch{first: v.edge, edge: v.edge.clone(), leaves: leaves, facts: v.facts}
	if err := a.covers(b, growth); err != nil {
		return false, err
	}
	s.ahead = nil // until what it would be is known again
	if v.head.Size == 0 {
		if err := l.checkInception(s.author, leaves); err != nil {
			return false, err
		}
	}
	wrong, err := l.staging().replayPart(ctx, v, b, true)
	if err == nil && wrong != nil {
		err = a.accuse(ctx, s, v, b, wrong, growth)
	}
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, l.unstage(ctx, s))
	}
	if err != nil {
		return false, err
	}
	if b.edge.size < a.goal.Size {
		return false, a.keep(ctx, s, v, b)
	}
	return true, a.arrive(ctx, s, v, b)
}

// covers wants the goal to commit to what b makes of the log.
func (a *Approach) covers(b *batch, growth []tlog.Hash) error {
	if len(b.leaves) == 0 || uint64(len(b.leaves)) > a.goal.Size || b.edge.size+uint64(len(b.leaves)) > a.goal.Size {
		return fmt.Errorf("%w: %d entries after %d, the checkpoint is over %d", ErrBadRange, len(b.leaves), b.edge.size, a.goal.Size)
	}
	for _, leaf := range b.leaves {
		if len(leaf) > MaxLeaf {
			return fmt.Errorf("%w: entry of %d bytes, %d are allowed", ErrTooLarge, len(leaf), MaxLeaf)
		}
		b.hashes = append(b.hashes, b.edge.push(tlog.RecordHash(leaf))...)
	}
	reached := Checkpoint{Size: b.edge.size, Root: b.edge.root()}
	if reached.Size == a.goal.Size {
		if reached.Root != a.goal.Root || len(growth) > 0 {
			return ErrBadRange
		}
		return nil
	}
	if err := CheckConsistency(growth, reached, a.goal); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRange, err)
	}
	return nil
}

// keep stages a part.
func (a *Approach) keep(ctx context.Context, s, v *state, b *batch) error {
	l := a.ledger
	st, err := l.store.Staged(s.author)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	st.Size = b.edge.size
	for _, leaf := range b.leaves {
		st.Bytes += int64(len(leaf))
	}
	if string(st.Target) == string(a.target) {
		st.Target = nil
	} else {
		st.Target = a.target
	}
	if err := l.store.Stage(ctx, s.author, v.head.Size, b.leaves, b.hashes, st); err != nil {
		return err
	}
	v.advance(b)
	s.ahead = v
	return nil
}

// arrive commits the last part, and with it all that is staged.
func (a *Approach) arrive(ctx context.Context, s, v *state, b *batch) error {
	l := a.ledger
	if err := a.note.verifyCheckpoint(a.goal.Origin, b.facts.keys.KeyState); err != nil {
		return errors.Join(err, l.unstage(ctx, s))
	}
	head := Head{Author: s.author, Size: b.edge.size, Root: b.edge.root(), Checkpoint: a.note.encode()}
	if err := l.store.Commit(ctx, s.author, v.head.Size, b.leaves, b.hashes, b.facts.changes(), head); err != nil {
		s.loaded = false
		return fmt.Errorf("committing to log of %s: %w", s.author, err)
	}
	b.facts.settle()
	v.advance(b)
	s.inception, s.events, s.facts, s.head, s.edge = v.inception, v.events, b.facts, head, b.edge
	return nil
}

// accuse is Ledger.accuse of an entry of a part.
func (a *Approach) accuse(ctx context.Context, s, v *state, b *batch, wrong *Entry, growth []tlog.Hash) error {
	if s.head.Size == 0 {
		return fmt.Errorf("%w: entry %d", ErrWrongState, wrong.Index)
	}
	r := newThrough(b.edge.size, a.goal.Size, a.ledger.staging().batchReader(v, b), growth)
	p, err := DecodeProved(a.target)
	if err != nil {
		return err
	}
	last, err := DecodeEntry(s.author, p.Index, p.Entry)
	if err != nil {
		return err
	}
	if last.Inception == nil && last.keySet() != nil {
		p.KeyEvents = append(p.KeyEvents, KeyEvent{p.Index, p.Entry, p.Proof})
	}
	if p.Proof, err = r.prove(wrong.Index); err != nil {
		return err
	}
	p.KeyEvents = withoutEvent(p.KeyEvents, wrong.Index)
	p.Entry, p.Index = wrong.Leaf, wrong.Index
	if _, _, err := p.Verify(); err != nil {
		return fmt.Errorf("proving entry %d of %s: %w", wrong.Index, s.author, err)
	}
	if err := a.ledger.freeze(ctx, s, Fault{Kind: FaultState, Common: s.head.Size, Evidence: p.Encode()}); err != nil {
		return err
	}
	return fmt.Errorf("%w: entry %d", ErrWrongState, wrong.Index)
}

// Reached is how far a log reaches here, with what is kept beyond its head, and
// its root there; 0 of an unknown author.
func (l *Ledger) Reached(ctx context.Context, author AuthorID) (size uint64, root tlog.Hash, err error) {
	err = l.locked(ctx, author, func(s *state) error {
		v, err := l.ahead(ctx, s)
		if err != nil {
			return err
		}
		size, root = v.head.Size, v.edge.root()
		return nil
	})
	return size, root, err
}

// Staged returns what is kept beyond the head of a log, or ErrNotFound.
func (l *Ledger) Staged(author AuthorID) (Stage, error) { return l.store.Staged(author) }

// Unstage drops what is kept beyond the head of a log.
func (l *Ledger) Unstage(ctx context.Context, author AuthorID) error {
	return l.locked(ctx, author, func(s *state) error { return l.unstage(ctx, s) })
}

func (l *Ledger) unstage(ctx context.Context, s *state) error {
	s.ahead = nil
	return l.store.Unstage(context.WithoutCancel(ctx), s.author)
}

// stagingStore is a store as far as its logs are staged.
type stagingStore struct{ Store }

func (s stagingStore) Leaves(author AuthorID, from, to uint64) ([][]byte, error) {
	return s.StagedLeaves(author, from, to)
}

func (s stagingStore) Hashes(author AuthorID, indexes []int64) ([]tlog.Hash, error) {
	return s.StagedHashes(author, indexes)
}

// staging reads what is staged too. It is for reading alone.
func (l *Ledger) staging() *Ledger { return &Ledger{store: stagingStore{l.store}, network: l.network} }

// ahead is the log of s as far as it is staged, read again from the store where
// it is not known. The caller has the turn.
func (l *Ledger) ahead(ctx context.Context, s *state) (*state, error) {
	if s.ahead != nil {
		return s.ahead, nil
	}
	v := &state{author: s.author, inception: s.inception, events: s.events, head: s.head, edge: s.edge.clone()}
	if s.facts != nil {
		v.facts = s.facts.branch()
	}
	st, err := l.store.Staged(s.author)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	for v.head.Size < st.Size {
		if err := l.readAhead(ctx, v, min(st.Size, v.head.Size+4*readChunk)); err != nil {
			return nil, err
		}
	}
	s.ahead = v
	return v, nil
}

// readAhead adds staged entries up to to. Their signatures were verified before
// they were staged.
func (l *Ledger) readAhead(ctx context.Context, v *state, to uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	leaves, err := l.store.StagedLeaves(v.author, v.head.Size, to)
	if err != nil {
		return fmt.Errorf("reading what is staged of %s: %w", v.author, err)
	}
	b := &batch{first: v.edge, edge: v.edge.clone(), leaves: leaves, facts: v.facts}
	for _, leaf := range leaves {
		b.edge.push(tlog.RecordHash(leaf))
	}
	if _, err := l.staging().replayPart(ctx, v, b, false); err != nil {
		return fmt.Errorf("reading what is staged of %s: %w", v.author, err)
	}
	v.advance(b)
	return nil
}

// replayPart adds a part up, whose facts are those before it, and verifies the
// signatures if they are not known to be good.
func (l *Ledger) replayPart(ctx context.Context, v *state, b *batch, signed bool) (wrong *Entry, err error) {
	entries, err := decodeEntries(ctx, v.author, v.head.Size, b.leaves)
	if err != nil {
		return nil, err
	}
	keys, wrong, err := b.replay(l, v, entries)
	if err != nil || !signed {
		return wrong, err
	}
	return wrong, verifyEntries(ctx, entries, keys)
}

// advance makes v the log with a part behind it.
func (v *state) advance(b *batch) {
	if v.head.Size == 0 && len(b.leaves) > 0 {
		v.inception = b.leaves[0]
	}
	v.head.Size, v.head.Root, v.edge, v.facts = b.edge.size, b.edge.root(), b.edge, b.facts
	v.events = append(slices.Clip(v.events), b.events...)
}
