package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Replace implements ledger.Store. What fits into one transaction is replaced by
// one. More is written beside the log first; then one transaction makes the author
// unknown and says what is to be moved, so that nobody sees a mixture of two logs,
// and the last one names the new head. A crash before the first leaves the log as it
// was, one after it is made up for by the next Open.
func (l Ledgers) Replace(ctx context.Context, author ledger.AuthorID, was ledger.Head, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []ledger.Item, head ledger.Head) error {
	g, end, err := l.alone(ctx, author)
	if err != nil {
		return err
	}
	defer end()
	r := &commit{ctx: ctx, author: author, first: first, leaves: leaves, hashes: hashes, changes: changes, head: head}
	if err := g.replace(r, was); err != nil {
		return fmt.Errorf("replacing the log of %s: %w", author, err)
	}
	return nil
}

func (g *groupWrite) replace(r *commit, was ledger.Head) error {
	have, err := head(g.txn, r.author)
	if err != nil && !errors.Is(err, ledger.ErrUnknownAuthor) {
		return err
	}
	if have.Size != was.Size || have.Root != was.Root || r.first > was.Size {
		return fmt.Errorf("%w: its head is another one", ledger.ErrConflict)
	}
	if r.head.Size != r.first+uint64(len(r.leaves)) || len(r.head.Checkpoint) == 0 {
		return fmt.Errorf("%w: head does not fit the entries", ErrInvalid)
	}
	if err := g.redo(r.author); err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	changed := map[string][]byte{}
	for _, it := range r.changes {
		changed[it.Key] = it.Value
	}
	if g.isLarge(r, changed) {
		return g.swap(r, changed)
	}
	g.heads[r.author], g.changes[r.author] = r.head, changed
	if err := errors.Join(g.unstage(r.author), g.set(replacedPrefix+string(r.author), nil)); err != nil {
		return err
	}
	if err := g.records(r); err != nil {
		return err
	}
	return g.finish()
}

// isLarge tells whether a replacement is too much for one transaction.
func (g *groupWrite) isLarge(r *commit, changed map[string][]byte) bool {
	bytes := weight(changed)
	for _, leaf := range r.leaves {
		bytes += len(leaf) + len(leafPrefix) + 80
	}
	bytes += len(r.hashes) * (tlog.HashSize + len(hashPrefix) + 80)
	count := len(r.leaves) + len(r.hashes) + len(changed)
	return bytes > roomBytes || count > roomRecords || len(changed) > maxDirect || weight(changed) > maxDirectBytes
}

// swap is replace for what is too much for one transaction.
func (g *groupWrite) swap(r *commit, changed map[string][]byte) error {
	if err := g.clear(swapPrefix + string(r.author) + "/"); err != nil { // what a crash left
		return err
	}
	if err := g.spill(r.author, changed); err != nil {
		return err
	}
	if err := g.recordsUnder(r, swapPrefix+string(r.author)+"/leaf/", swapPrefix+string(r.author)+"/hash/"); err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	if err := errors.Join(g.set(swappingPrefix+string(r.author), encodeHead(r.head)), g.delete(headPrefix+string(r.author))); err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	return g.finishSwap(r.author)
}

// finishSwap moves to its place what swap wrote beside a log. A crash anywhere in
// it is made up for by doing it again.
func (g *groupWrite) finishSwap(author ledger.AuthorID) error {
	beside := swapPrefix + string(author) + "/"
	for from, to := range map[string]string{beside + "leaf/": leafPrefix + string(author) + "/", beside + "hash/": hashPrefix + string(author) + "/"} {
		keys, err := g.keys(from)
		if err != nil {
			return err
		}
		for _, key := range keys {
			value, err := getBytes(g.txn, from+key)
			if err != nil {
				return err
			}
			if err := g.set(to+key, value); err != nil {
				return err
			}
		}
	}
	if err := g.flush(); err != nil {
		return err
	}
	head, err := getBytes(g.txn, swappingPrefix+string(author))
	if err != nil {
		return err
	}
	err = errors.Join(
		g.set(headPrefix+string(author), head), g.set(replacedPrefix+string(author), nil), g.set(applyPrefix+string(author), nil),
		g.unstage(author), g.delete(swappingPrefix+string(author)),
	)
	if err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	if err := g.clear(beside); err != nil {
		return err
	}
	return g.flush()
}

// resumeSwap finishes a replacement that failed on the way, for want of room, and
// returns the size of the log then; 0 where there is none.
func (g *groupWrite) resumeSwap(author ledger.AuthorID) (uint64, error) {
	if there, err := exists(g.txn, swappingPrefix+string(author)); err != nil || !there {
		return 0, err
	}
	if err := g.finishSwap(author); err != nil {
		return 0, err
	}
	return size(g.txn, author)
}

// finishSwaps does so for every log that a crash left half replaced, and removes
// what was written beside others.
func (s *Store) finishSwaps() error {
	g := newGroupWrite(s.db)
	defer func() { g.txn.Discard() }()
	authors, err := g.keys(swappingPrefix)
	if err != nil {
		return err
	}
	for _, author := range authors {
		if err := g.finishSwap(ledger.AuthorID(author)); err != nil {
			return fmt.Errorf("replacing the log of %s: %w", author, err)
		}
	}
	if err := g.clear(swapPrefix); err != nil {
		return err
	}
	return g.flush()
}

// Refolded lists the authors whose logs did not only grow here: parts of them
// were replaced, or stand no more.
func (s *Store) Refolded() ([]ledger.AuthorID, error) {
	seen := map[ledger.AuthorID]bool{}
	var out []ledger.AuthorID
	err := s.view(func(txn *badger.Txn) error {
		for _, prefix := range []string{replacedPrefix, faultPrefix} {
			for author := range each(txn, prefix, "", false) {
				if id := ledger.AuthorID(author); !seen[id] {
					seen[id] = true
					out = append(out, id)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading which logs were replaced: %w", err)
	}
	return out, nil
}
