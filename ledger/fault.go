package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// A log is frozen while a fault is kept against its author: its first
// Fault.Common entries stand, and none after them. Its state is then that after
// these. A key event from there on, which the keys that were committed to signed,
// decides what stands, and the log is frozen no more; the fault stays on record,
// and counts for nothing. Of a Final fault there is no way back.
//
// Of several faults the one counts that is Final, and among such the one that
// leaves least: so all who know the same faults freeze the log at the same size.

// Final says that nothing thaws the log.
func (f Fault) Final() bool { return f.Kind == FaultKeys }

// Worse says that f counts, and g does not.
func (f Fault) Worse(g Fault) bool {
	if f.Final() != g.Final() {
		return f.Final()
	}
	return f.Common < g.Common
}

// overcome says whether a log with these key events goes on although f is kept.
func (f Fault) overcome(events []uint64) bool {
	return !f.Final() && events[len(events)-1] >= f.Common
}

// Fault returns why a log is frozen, or ErrNotFound.
func (l *Ledger) Fault(author AuthorID) (Fault, error) {
	f, err := l.store.Fault(author)
	if err != nil {
		return f, err
	}
	value, err := l.store.State(author, itemKeys)
	if errors.Is(err, ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	keys, err := decodeKeyLog(value)
	if err == nil && f.overcome(keys.events) {
		err = fmt.Errorf("%w: the fault of %s is overcome", ErrNotFound, author)
	}
	return f, err
}

// loadStanding reads the facts of a log, and whether it is frozen. What a crash
// left of a freezing is made up for.
func (l *Ledger) loadStanding(s *state, head Head) (*facts, error) {
	f, err := l.loadFacts(s.author)
	if err != nil {
		return nil, err
	}
	s.stands = head.Size
	fault, err := l.store.Fault(s.author)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("reading faults of %s: %w", s.author, err)
	}
	if err == nil && !fault.overcome(f.keys.events) {
		s.frozen, s.final, s.common, s.stands = true, fault.Final(), fault.Common, min(fault.Common, head.Size)
	}
	last, err := l.entry(s.author, s.stands-1)
	if err != nil || f.tree.Root() == last.State {
		return f, err
	}
	if !s.frozen {
		return nil, fmt.Errorf("reading state of %s: %w: it is not that of entry %d", s.author, ErrWrongState, last.Index)
	}
	was, err := l.factsAt(s.author, s.stands)
	if err != nil {
		return nil, err
	}
	if err := l.store.Commit(context.Background(), s.author, head.Size, nil, nil, f.difference(was), head); err != nil {
		return nil, fmt.Errorf("freezing log of %s: %w", s.author, err)
	}
	return l.loadFacts(s.author)
}

// loadFacts reads the author's state as it is stored.
func (l *Ledger) loadFacts(author AuthorID) (*facts, error) {
	items, err := l.store.States(author)
	if err != nil {
		return nil, fmt.Errorf("reading state of %s: %w", author, err)
	}
	f, err := loadFacts(items)
	if err != nil {
		return nil, fmt.Errorf("reading state of %s: %w", author, err)
	}
	return f, nil
}

// factsAt adds the first size entries of a log up again.
func (l *Ledger) factsAt(author AuthorID, size uint64) (*facts, error) {
	var f *facts
	past := func(to uint64, fn func(*Entry) error) error { return l.entries(author, 0, to, fn) }
	err := past(size, func(e *Entry) error {
		if e.Inception != nil {
			f = inceptionFacts(e.Inception)
			return nil
		}
		return f.apply(e.Index, e.Statement, past)
	})
	if err != nil {
		return nil, fmt.Errorf("adding up the log of %s: %w", author, err)
	}
	return f, nil
}

// difference are the changes that make g of what f has committed.
func (f *facts) difference(g *facts) []Item {
	d := &facts{changed: map[string][]byte{}}
	want := g.all()
	for key := range f.items {
		if want[key] == nil {
			d.changed[key] = nil
		}
	}
	for key, value := range want {
		if have, ok := f.items[key]; !ok || string(have) != string(value) {
			d.changed[key] = value
		}
	}
	return d.changes()
}

// moreKeyEvents adds the key events among some entries, which a frozen log has
// beyond those that stand.
func (l *Ledger) moreKeyEvents(events []KeyEvent, author AuthorID, from, to uint64) ([]KeyEvent, error) {
	err := l.entries(author, from, to, func(e *Entry) error {
		if e.keySet() != nil && e.Index > 0 {
			events = append(events, KeyEvent{Index: e.Index, Entry: e.Leaf})
		}
		return nil
	})
	return events, err
}

// Freeze keeps what proves that an author broke the rules, unless what is kept
// already is worse: from then on its first f.Common entries count here, and
// nothing is added to the log but a key event. It reports whether that is new.
// ErrSuperseded says that a key event has decided the matter already. Whoever
// calls it has verified the evidence.
func (l *Ledger) Freeze(ctx context.Context, author AuthorID, f Fault) (fresh bool, err error) {
	err = l.locked(ctx, author, func(s *state) error {
		old, err := l.store.Fault(author)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		case s.head.Size > 0 && !f.Final() && len(s.events) > 0 && s.events[len(s.events)-1].Index >= f.Common:
			return ErrSuperseded
		case err == nil && (s.frozen || s.head.Size == 0) && !f.Worse(old):
			return nil
		}
		fresh = true
		return l.freeze(ctx, s, f)
	})
	return fresh, err
}

func (l *Ledger) freeze(ctx context.Context, s *state, f Fault) error {
	if len(f.Evidence) > MaxEvidence || f.Common == 0 || f.Kind == "" || !isText(f.Kind, maxFaultKind) {
		return fmt.Errorf("freezing log of %s: %w: evidence of %d bytes", s.author, ErrTooLarge, len(f.Evidence))
	}
	if err := l.store.SetFault(ctx, s.author, f); err != nil {
		return fmt.Errorf("freezing log of %s: %w", s.author, err)
	}
	s.loaded = false
	if err := l.unstage(ctx, s); err != nil {
		return err
	}
	return l.load(s)
}

// StandingSize is how many entries of a log count: all, unless it is frozen.
func (l *Ledger) StandingSize(author AuthorID) (uint64, error) {
	head, err := l.store.Head(author)
	if err != nil {
		return 0, err
	}
	f, err := l.Fault(author)
	switch {
	case errors.Is(err, ErrNotFound):
		return head.Size, nil
	case err != nil:
		return 0, err
	}
	return min(head.Size, f.Common), nil
}

// Accuse checks the evidence of a FaultState that somebody else found, the next
// entry of a log that is here, and freezes the log if it holds. ErrBadProof says
// that it does not, and *Behind that entries before it are missing here.
func (l *Ledger) Accuse(ctx context.Context, p *Proved) error {
	e, c, err := p.Verify()
	if err != nil {
		return err
	}
	if err := l.checkNetwork(c, e.Author); err != nil {
		return err
	}
	return l.locked(ctx, e.Author, func(s *state) error {
		switch {
		case s.frozen:
			return ErrFrozen
		case e.Index > s.head.Size || s.head.Size == 0:
			return &Behind{Author: e.Author, Have: s.head.Size, Want: e.Index}
		case e.Index < s.head.Size:
			if leaves, err := l.store.Leaves(s.author, e.Index, e.Index+1); err != nil || string(leaves[0]) != string(e.Leaf) {
				return fmt.Errorf("accusing %s: %w", e.Author, errors.Join(ErrFork, err)) // in another history
			}
			return fmt.Errorf("accusing %s: %w: entry %d is here, and right", e.Author, ErrBadProof, e.Index)
		}
		if err := l.checkKeyEvents(p, e.Author, s.head.Size); err != nil {
			return err
		}
		f := s.facts.branch()
		err := f.apply(e.Index, e.Statement, func(to uint64, fn func(*Entry) error) error { return l.entries(s.author, 0, to, fn) })
		if err != nil || f.tree.Root() == e.State {
			return fmt.Errorf("accusing %s: %w: entry %d commits to the right state", e.Author, errors.Join(ErrBadProof, err), e.Index)
		}
		return l.freeze(ctx, s, Fault{Kind: FaultState, Common: s.head.Size, Evidence: p.Encode()})
	})
}

// isHere tells whether an entry is among those of the log here that stand,
// whatever log its proof is of. Of a log that is not frozen and of which no
// history was given up, it says nothing.
func (l *Ledger) isHere(e *Entry) bool {
	_, err := l.store.Fault(e.Author)
	size, failed := l.StandingSize(e.Author)
	if err != nil || failed != nil || e.Index >= size {
		return false
	}
	leaves, err := l.store.Leaves(e.Author, e.Index, e.Index+1)
	return err == nil && string(leaves[0]) == string(e.Leaf)
}

// GivenUp tells whether a checkpoint that is not of the log here, of so many
// entries and signed by these keys, is of a history that the author gave up: the
// log here goes on under keys that it cannot have.
func (l *Ledger) GivenUp(author AuthorID, size uint64, signers KeyState) (bool, error) {
	value, err := l.store.State(author, itemKeys)
	if err != nil {
		return false, err
	}
	keys, err := decodeKeyLog(value)
	if err != nil || len(keys.events) == 1 {
		return false, err
	}
	last := keys.events[len(keys.events)-1]
	if size <= last {
		return true, nil
	}
	event, err := l.entry(author, last)
	if err != nil {
		return false, err
	}
	now := event.keySet().State()
	return now.Threshold != signers.Threshold || !slices.Equal(now.Keys, signers.Keys), nil
}
