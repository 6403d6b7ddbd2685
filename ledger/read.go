package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	readChunk  = 64   // entries read from the store at a time
	headsChunk = 1000 // heads read from the store at a time
)

// Head returns the newest state of a log, or ErrUnknownAuthor.
func (l *Ledger) Head(author AuthorID) (Head, error) { return l.store.Head(author) }

// Heads returns up to limit heads of the authors after the given one ("": from
// the first), in ascending order of their ids.
func (l *Ledger) Heads(after AuthorID, limit int) ([]Head, error) { return l.store.Heads(after, limit) }

// Keys returns who speaks for an author now, or ErrUnknownAuthor.
func (l *Ledger) Keys(author AuthorID) (KeyState, error) {
	value, err := l.store.State(author, itemKeys)
	if errors.Is(err, ErrNotFound) {
		return KeyState{}, fmt.Errorf("%w: %s", ErrUnknownAuthor, author)
	}
	if err != nil {
		return KeyState{}, fmt.Errorf("reading keys of %s: %w", author, err)
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return KeyState{}, fmt.Errorf("reading keys of %s: %w", author, err)
	}
	return keys.KeyState, nil
}

// States returns the author's state, in the order of its keys.
func (l *Ledger) States(author AuthorID) ([]Item, error) { return l.store.States(author) }

// Prove returns an entry with all that a stranger needs, under the newest
// checkpoint.
func (l *Ledger) Prove(ctx context.Context, author AuthorID, index uint64) (*Proved, error) {
	p, err := l.prove(author, index)
	if err != nil {
		return nil, fmt.Errorf("proving entry %d of %s: %w", index, author, err)
	}
	return p, ctx.Err()
}

func (l *Ledger) prove(author AuthorID, index uint64) (*Proved, error) {
	head, err := l.store.Head(author)
	if err != nil {
		return nil, err
	}
	if index >= head.Size {
		return nil, fmt.Errorf("%w: it has %d", ErrNotFound, head.Size)
	}
	inception, err := l.store.Leaves(author, 0, 1)
	if err != nil {
		return nil, err
	}
	leaf, err := l.store.Leaves(author, index, index+1)
	if err != nil {
		return nil, err
	}
	value, err := l.store.State(author, itemKeys)
	if err != nil {
		return nil, err
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return nil, err
	}
	events, err := l.keyEvents(author, keys.events, head.Size)
	if err != nil {
		return nil, err
	}
	if f, err := l.Fault(author); err == nil && f.Common < head.Size {
		if events, err = l.moreKeyEvents(events, author, f.Common, head.Size); err != nil {
			return nil, err
		}
	}
	if events, err = l.proveKeyEvents(events, head.Size, l.hashReader(author)); err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(int64(head.Size), int64(index), l.hashReader(author))
	if err != nil {
		return nil, err
	}
	return &Proved{Inception: inception[0], KeyEvents: withoutEvent(events, index), Entry: leaf[0], Index: index, Checkpoint: head.Checkpoint, Proof: proof}, nil
}

// ProveConsistency returns the proof that the log of size newer begins with
// that of size older, at least 1, for CheckConsistency.
func (l *Ledger) ProveConsistency(ctx context.Context, author AuthorID, older, newer uint64) ([]tlog.Hash, error) {
	head, err := l.store.Head(author)
	if err != nil {
		return nil, fmt.Errorf("proving growth of %s: %w", author, err)
	}
	if older == 0 || older > newer || newer > head.Size {
		return nil, fmt.Errorf("proving growth of %s from %d to %d: %w: it has %d", author, older, newer, ErrNotFound, head.Size)
	}
	proof, err := tlog.ProveTree(int64(newer), int64(older), l.hashReader(author))
	if err != nil {
		return nil, fmt.Errorf("proving growth of %s: %w", author, err)
	}
	return proof, ctx.Err()
}

// RootAt returns the root that a log had at a size, at least 1.
func (l *Ledger) RootAt(author AuthorID, size uint64) (tlog.Hash, error) {
	return l.rootAt(author, size)
}

// Range returns entries from to to-1, or as many from the first of them as fit
// into maxBytes or as there are, but at least one, unless none is asked for. Where
// there is none it is ErrNotFound: a log that was replaced by a shorter one ends
// before what was seen of it.
func (l *Ledger) Range(ctx context.Context, author AuthorID, from, to uint64, maxBytes int) ([][]byte, error) {
	head, err := l.store.Head(author)
	if err != nil {
		return nil, fmt.Errorf("reading log of %s: %w", author, err)
	}
	if from > to || from > head.Size || from == head.Size && from < to {
		return nil, fmt.Errorf("reading entries %d to %d of %s: %w: it has %d", from, to, author, ErrNotFound, head.Size)
	}
	to = min(to, head.Size)
	var out [][]byte
	for size := 0; from < to; {
		leaves, err := l.store.Leaves(author, from, min(to, from+readChunk))
		if err != nil {
			return nil, fmt.Errorf("reading log of %s: %w", author, err)
		}
		for _, leaf := range leaves {
			if size += len(leaf); size > maxBytes && len(out) > 0 {
				return out, nil
			}
			out = append(out, leaf)
		}
		from += uint64(len(leaves))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Entries calls fn with every entry of every log, log by log and in order. It
// stops at the first error and returns it.
func (l *Ledger) Entries(ctx context.Context, fn func(*Entry) error) error {
	for after := AuthorID(""); ; {
		heads, err := l.store.Heads(after, headsChunk)
		if err != nil {
			return fmt.Errorf("reading heads: %w", err)
		}
		for _, head := range heads {
			if err := l.EntriesOf(ctx, head.Author, 0, fn); err != nil {
				return err
			}
			after = head.Author
		}
		if len(heads) < headsChunk {
			return nil
		}
	}
}

// EntriesOf calls fn with every entry of one log from index from on.
func (l *Ledger) EntriesOf(ctx context.Context, author AuthorID, from uint64, fn func(*Entry) error) error {
	head, err := l.store.Head(author)
	if err != nil {
		return fmt.Errorf("reading log of %s: %w", author, err)
	}
	return l.entries(author, from, head.Size, func(e *Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return fn(e)
	})
}

// entries calls fn with the entries from to to-1.
func (l *Ledger) entries(author AuthorID, from, to uint64, fn func(*Entry) error) error {
	for from < to {
		leaves, err := l.store.Leaves(author, from, min(to, from+readChunk))
		if err != nil {
			return fmt.Errorf("reading log of %s: %w", author, err)
		}
		for _, leaf := range leaves {
			e, err := DecodeEntry(author, from, leaf)
			if err != nil {
				return fmt.Errorf("reading entry %d of %s: %w", from, author, err)
			}
			if err := fn(e); err != nil {
				return err
			}
			from++
		}
	}
	return nil
}

// Check verifies a proved entry, and against what this node has seen of the
// log: no contradicting history, no other network. A proof about a longer log
// than the one here comes with *Behind beside the entry.
func (l *Ledger) Check(p *Proved) (*Entry, error) {
	e, c, err := p.Verify()
	if err != nil {
		return nil, err
	}
	if err := l.checkNetwork(c, e.Author); err != nil {
		return nil, err
	}
	err = l.checkGrown(p, e, c)
	var behind *Behind
	if err != nil && !errors.As(err, &behind) {
		return nil, err
	}
	return e, err
}

func (l *Ledger) checkNetwork(c Checkpoint, author AuthorID) error {
	if c.Origin != Origin(l.network, author) {
		return fmt.Errorf("checking entry of %s: %w: this is %q", author, ErrWrongNetwork, l.network)
	}
	return nil
}

// checkGrown compares a verified proof with the log that is here.
func (l *Ledger) checkGrown(p *Proved, e *Entry, c Checkpoint) error {
	head, err := l.store.Head(e.Author)
	if errors.Is(err, ErrUnknownAuthor) {
		return &Behind{Author: e.Author, Want: c.Size}
	}
	if err != nil {
		return fmt.Errorf("checking entry of %s: %w", e.Author, err)
	}
	fresh, err := l.hasFreshKeys(p, e)
	if err != nil {
		return fmt.Errorf("checking entry of %s: %w", e.Author, err)
	}
	err = l.checkKeyEvents(p, e.Author, min(c.Size, head.Size))
	switch {
	case fresh && err == nil:
		return &Behind{Author: e.Author, Have: head.Size, Want: c.Size, Keys: true}
	case fresh && errors.Is(err, ErrSuperseded):
		return &ForkError{Author: e.Author, Ours: head.Checkpoint, Theirs: p.Checkpoint}
	case err != nil:
		return fmt.Errorf("checking entry of %s: %w", e.Author, err)
	}
	fork := &ForkError{Author: e.Author, Ours: head.Checkpoint, Theirs: p.Checkpoint}
	if c.Size <= head.Size {
		root, err := l.rootAt(e.Author, c.Size)
		if err != nil {
			return fmt.Errorf("checking entry of %s: %w", e.Author, err)
		}
		if root != c.Root {
			return fork
		}
		return nil
	}
	for _, event := range append([]KeyEvent{{Index: e.Index, Entry: p.Entry}}, p.KeyEvents...) {
		if event.Index >= head.Size {
			continue
		}
		ours, err := l.store.Hashes(e.Author, []int64{tlog.StoredHashIndex(0, int64(event.Index))})
		if err != nil {
			return fmt.Errorf("checking entry of %s: %w", e.Author, err)
		}
		if ours[0] != tlog.RecordHash(event.Entry) {
			return fork
		}
	}
	return &Behind{Author: e.Author, Have: head.Size, Want: c.Size}
}

// checkKeyEvents misses key events, known here and under size, that a proof
// leaves out: then keys that were replaced signed it.
func (l *Ledger) checkKeyEvents(p *Proved, author AuthorID, size uint64) error {
	value, err := l.store.State(author, itemKeys)
	if err != nil {
		return err
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return err
	}
	for _, index := range keys.events[1:] {
		there := index == p.Index || slices.ContainsFunc(p.KeyEvents, func(e KeyEvent) bool { return e.Index == index })
		if index < size && !there {
			return fmt.Errorf("%w: %w: by keys that were replaced in entry %d", ErrBadSignature, ErrSuperseded, index)
		}
	}
	return nil
}

// hasFreshKeys tells whether a proof has a key event that the log here has not.
func (l *Ledger) hasFreshKeys(p *Proved, e *Entry) (bool, error) {
	value, err := l.store.State(e.Author, itemKeys)
	if err != nil {
		return false, err
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return false, err
	}
	events := p.KeyEvents
	if e.Index > 0 && e.keySet() != nil {
		events = append(slices.Clip(events), KeyEvent{Index: e.Index, Entry: e.Leaf})
	}
	for _, event := range events {
		if !slices.Contains(keys.events, event.Index) {
			return true, nil
		}
		ours, err := l.store.Leaves(e.Author, event.Index, event.Index+1)
		if err != nil || string(ours[0]) != string(event.Entry) {
			return true, err
		}
	}
	return false, nil
}

// KeyChanges is how often the keys of an author have changed.
func (l *Ledger) KeyChanges(author AuthorID) (int, error) {
	value, err := l.store.State(author, itemKeys)
	if err != nil {
		return 0, err
	}
	keys, err := decodeKeyLog(value)
	return len(keys.events) - 1, err
}

// KeySets returns what the key events of a log established, the inception first.
func (l *Ledger) KeySets(author AuthorID) ([]KeySet, error) {
	value, err := l.store.State(author, itemKeys)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrUnknownAuthor, author)
	}
	if err != nil {
		return nil, fmt.Errorf("reading keys of %s: %w", author, err)
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return nil, fmt.Errorf("reading keys of %s: %w", author, err)
	}
	var sets []KeySet
	for _, index := range keys.events {
		e, err := l.entry(author, index)
		if err != nil {
			return nil, err
		}
		if set := e.keySet(); set != nil {
			sets = append(sets, *set)
		}
	}
	return sets, nil
}
