package ledger

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// Extend takes entries of an author's log from anybody, starting at index first
// and reaching up to the size of the checkpoint. Everything is verified before
// anything is kept, and all of it is kept or nothing: form and signatures of
// every entry, and that the log with them has the root that the author signed.
// Entries that are already here may come again. An unknown author's log must
// come from entry 0. It returns the entries that were new.
//
// Where two logs contradict each other, the one stands that goes on under keys
// that a key event which they have in common committed to: it takes the place of
// the one here, of a frozen one too, and all entries from where they part are new.
// If the one here does, ErrSuperseded says so.
//
// ErrBadRange means that entries and checkpoint do not belong together, which
// is the sender's fault; ErrFork that they do, and contradict what the author
// signed before.
func (l *Ledger) Extend(ctx context.Context, author AuthorID, first uint64, leaves [][]byte, checkpoint []byte) ([]*Entry, error) {
	var added []*Entry
	err := l.locked(ctx, author, func(s *state) error {
		var err error
		added, err = l.extend(ctx, s, first, leaves, checkpoint)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("extending log of %s: %w", author, err)
	}
	return added, nil
}

func (l *Ledger) extend(ctx context.Context, s *state, first uint64, leaves [][]byte, checkpoint []byte) ([]*Entry, error) {
	if first > s.head.Size {
		return nil, fmt.Errorf("%w: %d are here, these begin at %d", ErrGap, s.head.Size, first)
	}
	if s.head.Size == 0 {
		if err := l.checkInception(s.author, leaves); err != nil {
			return nil, err
		}
	}
	n, c, err := openCheckpoint(checkpoint, Origin(l.network, s.author))
	if err != nil {
		return nil, err
	}
	if s.head.Size > 0 && first+uint64(len(leaves)) == c.Size {
		at, err := l.parting(s, first, leaves)
		if err != nil {
			return nil, err
		}
		if at < min(s.head.Size, c.Size) || s.frozen && c.Size > s.head.Size {
			return l.decide(ctx, s, at, leaves[at-first:], n, c, checkpoint)
		}
	}
	if c.Size <= s.head.Size {
		return nil, l.compareOlder(s, n, c, checkpoint)
	}
	if s.frozen && s.head.Size > 0 {
		return nil, ErrFrozen
	}
	if first+uint64(len(leaves)) != c.Size {
		return nil, fmt.Errorf("%w: entries %d to %d, the checkpoint is over %d", ErrBadRange, first, first+uint64(len(leaves)), c.Size)
	}
	b, err := l.grow(s, first, leaves, n, c, checkpoint)
	if err != nil {
		return nil, err
	}
	entries, err := l.verify(ctx, s, b, n)
	if err != nil {
		return nil, err
	}
	if err := l.commit(ctx, s, b, checkpoint); err != nil {
		return nil, err
	}
	if first == 0 {
		s.inception = leaves[0]
		s.loaded = !s.frozen // of how much stands of it
	}
	return entries, nil
}

// checkInception wants leaves to begin with an inception of this network.
func (l *Ledger) checkInception(author AuthorID, leaves [][]byte) error {
	if len(leaves) == 0 {
		return fmt.Errorf("%w: no log of this author is known, and no entries came", ErrGap)
	}
	e, err := DecodeEntry(author, 0, leaves[0])
	if err != nil {
		return err
	}
	if e.Inception.Network != l.network {
		return fmt.Errorf("%w: this is %q", ErrWrongNetwork, l.network)
	}
	return nil
}

// compareOlder judges a checkpoint that is not longer than what is here.
func (l *Ledger) compareOlder(s *state, n note, c Checkpoint, signed []byte) error {
	keys, err := l.keysAt(s, c.Size)
	if err != nil {
		return err
	}
	if err := n.verifyCheckpoint(c.Origin, keys); err != nil {
		return err
	}
	root, err := l.rootAt(s.author, c.Size)
	switch {
	case err != nil:
		return err
	case root != c.Root:
		return &ForkError{Author: s.author, Ours: s.head.Checkpoint, Theirs: signed}
	case c.Size < s.head.Size:
		return fmt.Errorf("%w: %d, and %d are known", ErrShrunk, c.Size, s.head.Size)
	default:
		return nil
	}
}

// grow computes the tree of the entries that are here up to first and of
// leaves, and wants it to be the one that the checkpoint commits to. The
// signatures of the checkpoint are not yet verified, unless it is a fork.
func (l *Ledger) grow(s *state, first uint64, leaves [][]byte, n note, c Checkpoint, signed []byte) (*batch, error) {
	start, err := l.edgeAt(s.author, first)
	if err != nil {
		return nil, err
	}
	b := &batch{first: start.clone(), edge: start}
	atHead := start.root()
	for _, leaf := range leaves {
		if len(leaf) > MaxLeaf {
			return nil, fmt.Errorf("%w: entry of %d bytes, %d are allowed", ErrTooLarge, len(leaf), MaxLeaf)
		}
		stored := b.edge.push(tlog.RecordHash(leaf))
		if b.edge.size > s.head.Size {
			b.hashes = append(b.hashes, stored...)
		}
		if b.edge.size == s.head.Size {
			atHead = b.edge.root()
		}
	}
	if b.edge.root() != c.Root {
		return nil, ErrBadRange
	}
	if s.head.Size > 0 && atHead != s.head.Root {
		if err := n.verifyCheckpoint(c.Origin, s.facts.keys.KeyState); err != nil {
			return nil, err
		}
		return nil, &ForkError{Author: s.author, Ours: s.head.Checkpoint, Theirs: signed}
	}
	b.leaves = leaves[s.head.Size-first:]
	return b, nil
}

// verify wants everything that b adds to be right, and sets its facts and key
// events. An entry that is wrong only in its state freezes the log.
func (l *Ledger) verify(ctx context.Context, s *state, b *batch, n note) ([]*Entry, error) {
	entries, err := decodeEntries(ctx, s.author, s.head.Size, b.leaves)
	if err != nil {
		return nil, err
	}
	keys, wrong, err := b.replay(l, s, entries)
	if err != nil {
		return nil, err
	}
	if err := n.verifyCheckpoint(Origin(l.network, s.author), b.facts.keys.KeyState); err != nil {
		return nil, err
	}
	if err := verifyEntries(ctx, entries, keys); err != nil {
		return nil, err
	}
	if wrong != nil {
		return nil, l.accuse(ctx, s, b, wrong, n)
	}
	return entries, nil
}

// replay adds entries up, and returns who spoke for the author before each of
// them, and the first that commits to a wrong state.
func (b *batch) replay(l *Ledger, s *state, entries []*Entry) (keys []KeyState, wrong *Entry, err error) {
	past := func(to uint64, fn func(*Entry) error) error {
		if err := l.entries(s.author, 0, min(to, s.head.Size), fn); err != nil {
			return err
		}
		for _, e := range entries[:max(to, s.head.Size)-s.head.Size] {
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	}
	if s.facts != nil && b.facts == nil {
		b.facts = s.facts.branch()
	}
	keys = make([]KeyState, len(entries))
	for i, e := range entries {
		if e.Inception != nil {
			b.facts = inceptionFacts(e.Inception)
			keys[i] = e.Inception.KeyState()
			continue
		}
		keys[i] = b.facts.keys.KeyState
		if e.keySet() != nil { // before anybody reads the log again for a recover that nobody signed
			if err := e.VerifySignatures(keys[i]); err != nil {
				return nil, nil, err
			}
		}
		if err := b.facts.apply(e.Index, e.Statement, past); err != nil {
			return nil, nil, fmt.Errorf("entry %d: %w", e.Index, err)
		}
		if e.keySet() != nil {
			b.events = append(b.events, KeyEvent{Index: e.Index, Entry: e.Leaf})
		}
		if wrong == nil && b.facts.tree.Root() != e.State {
			wrong = e
		}
	}
	return keys, wrong, nil
}

// accuse keeps the proof that the author logged an entry with a wrong state,
// and returns ErrWrongState.
func (l *Ledger) accuse(ctx context.Context, s *state, b *batch, wrong *Entry, n note) error {
	if s.head.Size > 0 {
		p, err := l.proveIn(s, b, wrong, n.encode())
		if err != nil {
			return fmt.Errorf("proving entry %d of %s: %w", wrong.Index, s.author, err)
		}
		if err := l.freeze(ctx, s, Fault{Kind: FaultState, Common: s.head.Size, Evidence: p.Encode()}); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: entry %d", ErrWrongState, wrong.Index)
}

// proveIn proves an entry in the log as b makes it.
func (l *Ledger) proveIn(s *state, b *batch, e *Entry, signed []byte) (*Proved, error) {
	r := l.batchReader(s, b)
	events, err := l.proveKeyEvents(append(slices.Clip(s.events), b.events...), b.edge.size, r)
	if err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(int64(b.edge.size), int64(e.Index), r)
	if err != nil {
		return nil, err
	}
	return &Proved{Inception: s.inception, KeyEvents: withoutEvent(events, e.Index), Entry: e.Leaf, Index: e.Index, Checkpoint: signed, Proof: proof}, nil
}

// decodeEntries decodes on all cores.
func decodeEntries(ctx context.Context, author AuthorID, first uint64, leaves [][]byte) ([]*Entry, error) {
	entries := make([]*Entry, len(leaves))
	err := parallel(ctx, len(leaves), func(i int) (err error) {
		index := first + uint64(i)
		if entries[i], err = DecodeEntry(author, index, leaves[i]); err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		return nil
	})
	return entries, err
}

// parallel calls fn with 0 to n-1 on all cores. It returns the error of one of
// the calls that failed.
func parallel(ctx context.Context, n int, fn func(i int) error) error {
	if n == 1 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		return fn(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var workers sync.WaitGroup
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1) - 1)
			if i >= n {
				return
			}
			if err := fn(i); err != nil {
				cancel(err)
				return
			}
		}
	}
	for range min(runtime.GOMAXPROCS(0), (n+7)/8) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return context.Cause(ctx)
}
