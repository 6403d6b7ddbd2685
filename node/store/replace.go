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
// one; a larger log is dropped first and written again, so that a crash in between
// leaves an author who is unknown, and not a mixture of two logs.
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
		if changed, err = g.drop(r.author, changed); err != nil {
			return err
		}
	}
	g.heads[r.author], g.changes[r.author] = r.head, changed
	if err := errors.Join(g.unstage(r.author), g.set(replacedPrefix+string(r.author), nil)); err != nil {
		return err
	}
	if err := g.records(r); err != nil {
		return err
	}
	return g.finishReplaced(r.author)
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

// drop makes the author unknown, and gives the items to be written with the next
// head: those that stay, as changed.
func (g *groupWrite) drop(author ledger.AuthorID, changed map[string][]byte) (map[string][]byte, error) {
	items := map[string][]byte{}
	keys, err := g.keys(itemPrefix + string(author) + "/")
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if items[key], err = getBytes(g.txn, itemPrefix+string(author)+"/"+key); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(g.set(droppedPrefix+string(author), nil), g.delete(headPrefix+string(author))); err != nil {
		return nil, err
	}
	if err := g.flush(); err != nil {
		return nil, err
	}
	if err := g.clear(itemPrefix + string(author) + "/"); err != nil {
		return nil, err
	}
	for key, value := range changed {
		if value == nil {
			delete(items, key)
		} else {
			items[key] = value
		}
	}
	return items, g.flush()
}

func (g *groupWrite) finishReplaced(author ledger.AuthorID) error {
	if err := g.delete(droppedPrefix + string(author)); err != nil {
		return err
	}
	return g.finish()
}

// clearDropped removes what a crash left of the items of a log that was dropped,
// before an author who is unknown begins anew.
func (g *groupWrite) clearDropped(author ledger.AuthorID) error {
	dropped, err := exists(g.txn, droppedPrefix+string(author))
	if err != nil || !dropped {
		return err
	}
	if err := g.clear(itemPrefix + string(author) + "/"); err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	return g.delete(droppedPrefix + string(author))
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
