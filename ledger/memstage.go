package ledger

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// memStage is what lies beyond a memLog.
type memStage struct {
	Stage
	leaves [][]byte
	hashes []tlog.Hash
}

// Stage implements Stager.
func (m *Mem) Stage(ctx context.Context, author AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, st Stage) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	size := uint64(0)
	if log := m.logs[author]; log != nil {
		size = uint64(len(log.leaves))
	}
	staged := m.stages[author]
	switch {
	case staged != nil && staged.Size == first:
	case size == first:
		staged = &memStage{}
	default:
		return fmt.Errorf("%w: it has %d entries, %d were expected", ErrConflict, size, first)
	}
	if st.Target == nil {
		st.Target = staged.Target
	}
	m.stages[author] = &memStage{st, append(slices.Clip(staged.leaves), leaves...), append(slices.Clip(staged.hashes), hashes...)}
	return nil
}

// Staged implements Stager.
func (m *Mem) Staged(author AuthorID) (Stage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if st := m.stages[author]; st != nil {
		return st.Stage, nil
	}
	return Stage{}, fmt.Errorf("%w: nothing of %s is staged", ErrNotFound, author)
}

// ahead is the log of an author with what is staged. The caller has the lock.
func (m *Mem) ahead(author AuthorID) (leaves [][]byte, hashes []tlog.Hash) {
	if log := m.logs[author]; log != nil {
		leaves, hashes = slices.Clip(log.leaves), slices.Clip(log.hashes)
	}
	if st := m.stages[author]; st != nil {
		leaves, hashes = append(leaves, st.leaves...), append(hashes, st.hashes...)
	}
	return leaves, hashes
}

// StagedLeaves implements Stager.
func (m *Mem) StagedLeaves(author AuthorID, from, to uint64) ([][]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	leaves, _ := m.ahead(author)
	if from > to || to > uint64(len(leaves)) || len(leaves) == 0 {
		return nil, fmt.Errorf("%w: staged entries %d to %d of %s", ErrNotFound, from, to, author)
	}
	return slices.Clone(leaves[from:to]), nil
}

// StagedHashes implements Stager.
func (m *Mem) StagedHashes(author AuthorID, indexes []int64) ([]tlog.Hash, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, hashes := m.ahead(author)
	out := make([]tlog.Hash, 0, len(indexes))
	for _, i := range indexes {
		if i < 0 || i >= int64(len(hashes)) {
			return nil, fmt.Errorf("%w: staged hash %d of %s", ErrNotFound, i, author)
		}
		out = append(out, hashes[i])
	}
	return out, nil
}

// Unstage implements Stager.
func (m *Mem) Unstage(ctx context.Context, author AuthorID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stages, author)
	return nil
}
