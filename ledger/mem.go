package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Mem is a Store in memory.
type Mem struct {
	mu      sync.RWMutex
	logs    map[AuthorID]*memLog
	authors []AuthorID // ascending, those of logs
	faults  map[AuthorID]Fault
	stages  map[AuthorID]*memStage
}

type memLog struct {
	head   Head
	leaves [][]byte
	hashes []tlog.Hash
	items  map[string][]byte
}

var _ Store = (*Mem)(nil)

// NewMem returns an empty store.
func NewMem() *Mem {
	return &Mem{logs: map[AuthorID]*memLog{}, faults: map[AuthorID]Fault{}, stages: map[AuthorID]*memStage{}}
}

// Head implements Store.
func (m *Mem) Head(author AuthorID) (Head, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	log, ok := m.logs[author]
	if !ok {
		return Head{}, fmt.Errorf("%w: %s", ErrUnknownAuthor, author)
	}
	return log.head, nil
}

// Commit implements Store.
func (m *Mem) Commit(ctx context.Context, author AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []Item, head Head) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log, ok := m.logs[author]
	if !ok {
		log = &memLog{items: map[string][]byte{}}
	}
	switch st := m.stages[author]; {
	case uint64(len(log.leaves)) == first:
	case st != nil && st.Size == first:
		log.leaves = append(log.leaves, st.leaves...)
		log.hashes = append(log.hashes, st.hashes...)
		delete(m.stages, author)
	default:
		return fmt.Errorf("%w: it has %d entries, %d were expected", ErrConflict, len(log.leaves), first)
	}
	if len(leaves) > 0 {
		delete(m.stages, author)
	}
	log.leaves = append(log.leaves, leaves...)
	log.hashes = append(log.hashes, hashes...)
	for _, it := range changes {
		if it.Value == nil {
			delete(log.items, it.Key)
		} else {
			log.items[it.Key] = it.Value
		}
	}
	log.head = head
	if !ok {
		m.logs[author] = log
		at, _ := slices.BinarySearch(m.authors, author)
		m.authors = slices.Insert(m.authors, at, author)
	}
	return nil
}

// Leaves implements Store.
func (m *Mem) Leaves(author AuthorID, from, to uint64) ([][]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	log, ok := m.logs[author]
	if !ok || from > to || to > uint64(len(log.leaves)) {
		return nil, fmt.Errorf("%w: entries %d to %d of %s", ErrNotFound, from, to, author)
	}
	return slices.Clone(log.leaves[from:to]), nil
}

// Hashes implements Store.
func (m *Mem) Hashes(author AuthorID, indexes []int64) ([]tlog.Hash, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := make([]tlog.Hash, 0, len(indexes))
	log := m.logs[author]
	for _, i := range indexes {
		if log == nil || i < 0 || i >= int64(len(log.hashes)) {
			return nil, fmt.Errorf("%w: hash %d of %s", ErrNotFound, i, author)
		}
		out = append(out, log.hashes[i])
	}
	return out, nil
}

// State implements Store.
func (m *Mem) State(author AuthorID, key string) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if log, ok := m.logs[author]; ok {
		if value, ok := log.items[key]; ok {
			return value, nil
		}
	}
	return nil, fmt.Errorf("%w: state %q of %s", ErrNotFound, clip(key), author)
}

// States implements Store.
func (m *Mem) States(author AuthorID) ([]Item, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	log, ok := m.logs[author]
	if !ok {
		return nil, nil
	}
	out := make([]Item, 0, len(log.items))
	for _, key := range slices.Sorted(maps.Keys(log.items)) {
		out = append(out, Item{key, log.items[key]})
	}
	return out, nil
}

// Replace implements Store.
func (m *Mem) Replace(ctx context.Context, author AuthorID, was Head, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []Item, head Head) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	log, ok := m.logs[author]
	if !ok || log.head.Size != was.Size || log.head.Root != was.Root || first > was.Size {
		return fmt.Errorf("%w: its head is another one", ErrConflict)
	}
	log.leaves = append(slices.Clone(log.leaves[:first]), leaves...)
	log.hashes = append(slices.Clone(log.hashes[:tlog.StoredHashCount(int64(first))]), hashes...)
	for _, it := range changes {
		if it.Value == nil {
			delete(log.items, it.Key)
		} else {
			log.items[it.Key] = it.Value
		}
	}
	log.head = head
	delete(m.stages, author)
	return nil
}

// SetFault implements Store.
func (m *Mem) SetFault(ctx context.Context, author AuthorID, f Fault) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults[author] = f
	return nil
}

// Fault implements Store.
func (m *Mem) Fault(author AuthorID) (Fault, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f, ok := m.faults[author]
	if !ok {
		return Fault{}, fmt.Errorf("%w: fault of %s", ErrNotFound, author)
	}
	return f, nil
}

// Forget implements Store.
func (m *Mem) Forget(ctx context.Context, author AuthorID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.logs, author)
	delete(m.faults, author)
	delete(m.stages, author)
	if at, found := slices.BinarySearch(m.authors, author); found {
		m.authors = slices.Delete(m.authors, at, at+1)
	}
	return nil
}

// Heads implements Store.
func (m *Mem) Heads(after AuthorID, limit int) ([]Head, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at, found := slices.BinarySearch(m.authors, after)
	if found {
		at++
	}
	var out []Head
	for _, author := range m.authors[at:] {
		if len(out) >= limit {
			break
		}
		out = append(out, m.logs[author].head)
	}
	return out, nil
}
