package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// Ledger is all logs of one network that this node has, its own and other
// authors'. Everything that reaches its store was verified, and every log in it
// only ever grew. Its methods may be called concurrently.
type Ledger struct {
	store   Store
	network string
	// witnesses judges what they have seen, in verdicts; nil: nobody asks.
	witnesses WitnessRule

	mu     sync.Mutex
	states map[AuthorID]*state // those in use and some recent ones
	items  int                 // in the idle ones

	guard atomic.Pointer[guard]
}

// guard is asked before an author signs here.
type guard struct {
	author AuthorID
	ask    func(context.Context) error
}

// Guard has ask called before anything is appended to an author's log, which
// its error prevents: whoever signs must know that the log here is all that the
// author signed. ask may extend that log.
func (l *Ledger) Guard(author AuthorID, ask func(context.Context) error) {
	l.guard.Store(&guard{author, ask})
}

// Bounds of what is kept in memory of logs that nobody writes to: logs, about
// 4 KB each, and items of their states, about 500 bytes each.
const (
	maxIdleStates = 4096
	maxIdleItems  = 1 << 17
)

// New returns the ledger of a network over a store that holds no other
// network's.
func New(s Store, network string) *Ledger {
	return &Ledger{store: s, network: network, states: map[AuthorID]*state{}}
}

// Network is the name that authors of this ledger carry in their inceptions.
func (l *Ledger) Network() string { return l.network }

// state is what writing to one log needs. Whoever has put a token into turn
// may read and change the fields below it.
type state struct {
	author AuthorID
	users  int // under Ledger.mu
	items  int // under Ledger.mu; of facts, when it was last used

	turn      chan struct{}
	loaded    bool
	inception []byte     // leaf 0; nil: unknown author
	events    []KeyEvent // key events after it
	facts     *facts     // what the entries add up to; nil: unknown author
	frozen    bool       // no more than the first stands count
	stands    uint64     // facts are those after so many entries; those of head, unless frozen
	common    uint64     // of the fault that it is frozen for
	final     bool       // frozen for good
	head      Head       // Size 0: unknown author
	edge      edge
	ahead     *state // the log with what is staged beyond it; nil: not known

	queueMu sync.Mutex
	queue   []*job
}

// acquire returns the state of an author, for release to take back.
func (l *Ledger) acquire(author AuthorID) *state {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.states[author]
	if !ok {
		s = &state{author: author, turn: make(chan struct{}, 1)}
		l.states[author] = s
	}
	if s.users == 0 {
		l.items -= s.items
	}
	s.users++
	return s
}

func (l *Ledger) release(s *state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.users--
	if s.users > 0 {
		return
	}
	if s.facts != nil {
		s.items = s.facts.tree.Len()
	}
	if s.ahead != nil && s.ahead.facts != nil {
		s.items += len(s.ahead.facts.changed)
	}
	l.items += s.items
	for author, idle := range l.states {
		if len(l.states) <= maxIdleStates && l.items <= maxIdleItems {
			return
		}
		if idle.users == 0 {
			l.items -= idle.items
			delete(l.states, author)
		}
	}
}

// locked runs fn while nobody else writes to the log.
func (l *Ledger) locked(ctx context.Context, author AuthorID, fn func(*state) error) error {
	s := l.acquire(author)
	defer l.release(s)
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.load(s); err != nil {
		return err
	}
	return fn(s)
}

// load reads the state from the store unless it is known. The caller has the
// turn.
func (l *Ledger) load(s *state) error {
	if s.loaded {
		return nil
	}
	s.inception, s.events, s.facts, s.head, s.edge, s.ahead = nil, nil, nil, Head{Author: s.author}, edge{}, nil
	s.frozen, s.final, s.stands = false, false, 0
	head, err := l.store.Head(s.author)
	if errors.Is(err, ErrUnknownAuthor) {
		_, err := l.store.Fault(s.author)
		s.frozen, s.loaded = err == nil, err == nil || errors.Is(err, ErrNotFound)
		if !s.loaded {
			return fmt.Errorf("reading faults of %s: %w", s.author, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading head of %s: %w", s.author, err)
	}
	in, err := l.inception(s.author)
	if err != nil {
		return err
	}
	e, err := l.edgeAt(s.author, head.Size)
	if err != nil {
		return err
	}
	if e.root() != head.Root {
		return fmt.Errorf("reading log of %s: %w: its stored hashes do not give its stored root", s.author, ErrBadRange)
	}
	f, err := l.loadStanding(s, head)
	if err != nil {
		return err
	}
	events, err := l.keyEvents(s.author, f.keys.events, head.Size)
	if err == nil && s.frozen {
		events, err = l.moreKeyEvents(events, s.author, s.stands, head.Size)
	}
	if err != nil {
		return err
	}
	s.inception, s.events, s.facts, s.head, s.edge, s.loaded = in.Leaf, events, f, head, e, true
	return nil
}

// keyEvents reads the key events after the inception, of these indexes as far
// as they are under size.
func (l *Ledger) keyEvents(author AuthorID, indexes []uint64, size uint64) ([]KeyEvent, error) {
	var out []KeyEvent
	for _, index := range indexes[1:] {
		if index >= size {
			break
		}
		leaves, err := l.store.Leaves(author, index, index+1)
		if err != nil {
			return nil, fmt.Errorf("reading key event of %s: %w", author, err)
		}
		out = append(out, KeyEvent{Index: index, Entry: leaves[0]})
	}
	return out, nil
}

// keysAt is who spoke for the author after the first size entries, as the last
// key event says.
func (l *Ledger) keysAt(s *state, size uint64) (KeyState, error) {
	leaf, index := s.inception, uint64(0)
	for _, event := range s.events {
		if event.Index < size {
			leaf, index = event.Entry, event.Index
		}
	}
	e, err := DecodeEntry(s.author, index, leaf)
	if err != nil {
		return KeyState{}, fmt.Errorf("reading key event of %s: %w", s.author, err)
	}
	return e.keySet().State(), nil
}

func (l *Ledger) entry(author AuthorID, index uint64) (*Entry, error) {
	leaves, err := l.store.Leaves(author, index, index+1)
	if err != nil {
		return nil, fmt.Errorf("reading entry %d of %s: %w", index, author, err)
	}
	e, err := DecodeEntry(author, index, leaves[0])
	if err != nil {
		return nil, fmt.Errorf("reading entry %d of %s: %w", index, author, err)
	}
	return e, nil
}

func (l *Ledger) inception(author AuthorID) (*Entry, error) { return l.entry(author, 0) }

// edgeAt returns the right edge that the log had at a size.
func (l *Ledger) edgeAt(author AuthorID, size uint64) (edge, error) {
	if size == 0 {
		return edge{}, nil
	}
	nodes, err := l.store.Hashes(author, edgeIndexes(size))
	if err != nil {
		return edge{}, fmt.Errorf("reading hashes of %s: %w", author, err)
	}
	return edge{size, nodes}, nil
}

// rootAt returns the root that the log had at a size.
func (l *Ledger) rootAt(author AuthorID, size uint64) (tlog.Hash, error) {
	e, err := l.edgeAt(author, size)
	if err != nil {
		return tlog.Hash{}, err
	}
	return e.root(), nil
}

func (l *Ledger) hashReader(author AuthorID) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		return l.store.Hashes(author, indexes)
	})
}

// commit writes what a batch adds to the log of s, and brings s up to date. The
// caller has the turn.
func (l *Ledger) commit(ctx context.Context, s *state, b *batch, signed []byte) error {
	head := Head{Author: s.author, Size: b.edge.size, Root: b.edge.root(), Checkpoint: signed}
	if err := l.store.Commit(ctx, s.author, s.head.Size, b.leaves, b.hashes, b.facts.changes(), head); err != nil {
		s.loaded = false // whether or not the store has it is for the store to say
		return fmt.Errorf("committing to log of %s: %w", s.author, err)
	}
	b.facts.settle()
	s.head, s.edge, s.facts, s.ahead, s.stands = head, b.edge, b.facts, nil, head.Size
	s.events = append(slices.Clip(s.events), b.events...)
	return nil
}

// Forget gives up everything that is kept of an author's log, and what proves that
// the author broke the rules. Whoever gets the log again begins with entry 0, and
// nothing says any more that it is the same one.
func (l *Ledger) Forget(ctx context.Context, author AuthorID) error {
	s := l.acquire(author)
	defer l.release(s)
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.loaded, s.facts = false, nil
	return l.store.Forget(ctx, author)
}
