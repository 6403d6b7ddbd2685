package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// What is staged lies where it will lie when the head covers it, so that taking
// it over writes nothing again. A commit that does not take it over writes over
// some of it; the rest counts for nothing, like all that a crash left there.

func encodeStage(st ledger.Stage) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, st.Size), uint64(st.Bytes))
}

// readStage returns ErrNotFound when nothing is staged.
func readStage(txn *badger.Txn, author ledger.AuthorID) (ledger.Stage, error) {
	b, err := getBytes(txn, stagePrefix+string(author))
	if err != nil {
		return ledger.Stage{}, err
	}
	if len(b) != 16 {
		return ledger.Stage{}, fmt.Errorf("reading what is staged of %s: %w: %d bytes", author, ErrCorrupt, len(b))
	}
	return ledger.Stage{Size: binary.BigEndian.Uint64(b), Bytes: int64(binary.BigEndian.Uint64(b[8:]))}, nil
}

// stagedSize is how far a log reaches with what is staged.
func stagedSize(txn *badger.Txn, author ledger.AuthorID) (uint64, error) {
	st, err := readStage(txn, author)
	if errors.Is(err, ErrNotFound) {
		return size(txn, author)
	}
	return st.Size, err
}

// alone begins a write to an author's log beside which there is no other; end ends it.
func (l Ledgers) alone(ctx context.Context, author ledger.AuthorID) (g *groupWrite, end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := room(l.s.dir); err != nil {
		return nil, nil, err
	}
	release := l.s.hold()
	if l.s.closed {
		release()
		return nil, nil, ErrClosed
	}
	l.s.commits.settled.forget(author)
	g = newGroupWrite(l.s.db)
	return g, func() { g.txn.Discard(); release() }, nil
}

// Stage implements ledger.Stager. A crash in it leaves what was staged before.
func (l Ledgers) Stage(ctx context.Context, author ledger.AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, st ledger.Stage) error {
	g, end, err := l.alone(ctx, author)
	if err != nil {
		return err
	}
	defer end()
	if err := g.stage(author, first, leaves, hashes, st); err != nil {
		return fmt.Errorf("staging entries of %s: %w", author, err)
	}
	return nil
}

func (g *groupWrite) stage(author ledger.AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, st ledger.Stage) error {
	have, err := size(g.txn, author)
	if err != nil {
		return err
	}
	staged, err := readStage(g.txn, author)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if first != have && (first != staged.Size || staged.Size == 0) {
		return conflict(have, first)
	}
	if first == have && staged.Size > 0 { // what is written over must not count meanwhile
		if err := g.unstage(author); err != nil {
			return err
		}
		if err := g.flush(); err != nil {
			return err
		}
	}
	if err := g.records(&commit{author: author, first: first, leaves: leaves, hashes: hashes}); err != nil {
		return err
	}
	if g.used+len(st.Target) > roomBytes {
		if err := g.flush(); err != nil {
			return err
		}
	}
	if st.Target != nil {
		if err := g.set(targetPrefix+string(author), st.Target); err != nil {
			return err
		}
	}
	if err := g.set(stagePrefix+string(author), encodeStage(st)); err != nil {
		return err
	}
	return g.txn.Commit()
}

func (g *groupWrite) unstage(author ledger.AuthorID) error {
	return errors.Join(g.delete(stagePrefix+string(author)), g.delete(targetPrefix+string(author)))
}

// Staged implements ledger.Stager.
func (l Ledgers) Staged(author ledger.AuthorID) (ledger.Stage, error) {
	var st ledger.Stage
	err := l.s.view(func(txn *badger.Txn) (err error) {
		if st, err = readStage(txn, author); err != nil {
			return err
		}
		st.Target, err = getBytes(txn, targetPrefix+string(author))
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return st, fmt.Errorf("%w: nothing of %s is staged", ledger.ErrNotFound, author)
	}
	return st, err
}

// StagedLeaves implements ledger.Stager.
func (l Ledgers) StagedLeaves(author ledger.AuthorID, from, to uint64) ([][]byte, error) {
	return l.leaves(author, from, to, stagedSize)
}

// StagedHashes implements ledger.Stager.
func (l Ledgers) StagedHashes(author ledger.AuthorID, indexes []int64) ([]tlog.Hash, error) {
	return l.hashes(author, indexes, stagedSize)
}

// Unstage implements ledger.Stager.
func (l Ledgers) Unstage(ctx context.Context, author ledger.AuthorID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := l.s.update(func(txn *badger.Txn) error {
		for _, prefix := range []string{stagePrefix, targetPrefix} {
			if err := txn.Delete([]byte(prefix + string(author))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("dropping what is staged of %s: %w", author, err)
	}
	return nil
}
