package store

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

// forgetPrefix + author -> empty: the log was given up, and what is left of it has
// still to go. Nothing of the author is added before that is done.
const forgetPrefix = "ledger/forget/"

// remnants are the prefixes of what is left of a log without its head.
func remnants(author ledger.AuthorID) []string {
	var out []string
	for _, p := range []string{leafPrefix, hashPrefix, itemPrefix, redoPrefix, swapPrefix} {
		out = append(out, p+string(author)+"/")
	}
	return out
}

// Forget implements ledger.Store. The head goes first, with a note of what that
// leaves behind; a crash after it is made up for by the next Open.
func (l Ledgers) Forget(ctx context.Context, author ledger.AuthorID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.s.commits.settled.forget(author)
	err := l.s.forgetHead(author)
	if err == nil {
		err = l.s.finishForgetting(author)
	}
	if err != nil {
		return fmt.Errorf("forgetting log of %s: %w", author, err)
	}
	return nil
}

// forgetHead makes a log unknown, and notes what that leaves behind.
func (s *Store) forgetHead(author ledger.AuthorID) error {
	return s.delete(func(txn *badger.Txn) error {
		there, err := exists(txn, headPrefix+string(author))
		if err != nil {
			return err
		}
		swapping, err := exists(txn, swappingPrefix+string(author))
		if err != nil {
			return err
		}
		for _, prefix := range []string{headPrefix, faultPrefix, usagePrefix, stagePrefix, targetPrefix, replacedPrefix, swappingPrefix} {
			if err := txn.Delete([]byte(prefix + string(author))); err != nil {
				return err
			}
		}
		if !there && !swapping {
			return nil
		}
		return txn.Set([]byte(forgetPrefix+string(author)), nil)
	})
}

// delete writes one transaction, whether or not there is room: it makes some.
func (s *Store) delete(fn func(*badger.Txn) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	return s.db.Update(fn)
}

// finishForgetting deletes what is left of a log, and then the note of that.
func (s *Store) finishForgetting(author ledger.AuthorID) error {
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	err := s.db.View(func(txn *badger.Txn) error {
		for _, prefix := range remnants(author) {
			for rest := range each(txn, prefix, "", false) {
				if err := batch.Delete([]byte(prefix + rest)); err != nil {
					return err
				}
			}
		}
		return batch.Delete([]byte(applyPrefix + string(author)))
	})
	if err != nil {
		return err
	}
	if err := batch.Flush(); err != nil {
		return err
	}
	return s.db.Update(func(txn *badger.Txn) error { return txn.Delete([]byte(forgetPrefix + string(author))) })
}

// finishForgetAll does so for every log that a crash left half deleted.
func (s *Store) finishForgetAll() error {
	var authors []ledger.AuthorID
	err := s.view(func(txn *badger.Txn) error {
		for author := range each(txn, forgetPrefix, "", false) {
			authors = append(authors, ledger.AuthorID(author))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, author := range authors {
		if err := s.finishForgetting(author); err != nil {
			return fmt.Errorf("forgetting log of %s: %w", author, err)
		}
	}
	return nil
}

// ForgetReleases undoes NoteReleases.
func (s *Store) ForgetReleases(entries ...*ledger.Entry) error {
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, e := range entries {
		for _, key := range releaseKeys(e) {
			if err := batch.Delete(key); err != nil {
				return fmt.Errorf("forgetting a release: %w", err)
			}
		}
	}
	return batch.Flush()
}
