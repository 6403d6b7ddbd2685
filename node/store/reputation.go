package store

import (
	"fmt"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/reputation"
)

const reputationPrefix = "reputation/" // + kind + "/" + id -> the subject's record, as package reputation writes it

// SaveReputation stores changes and deletes what was forgotten. Not atomic: a
// crash in between loses some of the changes, each of which stands alone.
func (s *Store) SaveReputation(changes []reputation.Change) error {
	if err := room(s.dir); err != nil {
		return fmt.Errorf("storing reputation: %w", err)
	}
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for _, c := range changes {
		key := []byte(reputationPrefix + string(c.Subject.Kind) + "/" + c.Subject.ID)
		var err error
		if c.Record == nil {
			err = batch.Delete(key)
		} else {
			err = batch.Set(key, c.Record)
		}
		if err != nil {
			return fmt.Errorf("storing reputation: %w", err)
		}
	}
	if err := batch.Flush(); err != nil {
		return fmt.Errorf("storing reputation: %w", err)
	}
	return nil
}

// LoadReputation puts everything stored into book. Records that the book
// refuses are dropped from the store: they are observations, not evidence.
func (s *Store) LoadReputation(book *reputation.Book) error {
	var refused []reputation.Change
	err := s.view(func(txn *badger.Txn) error {
		for rest, item := range each(txn, reputationPrefix, "", true) {
			kind, id, _ := strings.Cut(rest, "/")
			subject := reputation.Subject{Kind: reputation.Kind(kind), ID: id}
			err := item.Value(func(b []byte) error {
				if err := book.Restore(subject, b); err != nil {
					s.log.Warn("reputation record dropped", "err", err)
					refused = append(refused, reputation.Change{Subject: subject})
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("loading reputation: %w", err)
			}
		}
		return nil
	})
	if err != nil || len(refused) == 0 {
		return err
	}
	return s.SaveReputation(refused)
}
