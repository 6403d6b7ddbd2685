package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

// usagePrefix + author -> Usage. What a crash loses is measured again.
const usagePrefix = "usage/"

// Usage is how much of an author's log was measured, and who wants it.
type Usage struct {
	Entries  int64     `json:"entries"` // from the first on
	Bytes    int64     `json:"bytes"`   // of these
	WorkBits int       `json:"work_bits"`
	Since    time.Time `json:"since"` // when the log came
	Used     time.Time `json:"used"`  // when somebody here last asked for it; zero: never
	Fetched  bool      `json:"fetched,omitempty"`
}

func (u Usage) validate() error {
	if u.Entries < 0 || u.Bytes < 0 || u.WorkBits < 0 {
		return fmt.Errorf("%w: usage of %d entries, %d bytes, %d bits", ErrInvalid, u.Entries, u.Bytes, u.WorkBits)
	}
	return nil
}

// SaveUsage replaces these records. Not atomic: each stands alone.
func (s *Store) SaveUsage(all map[ledger.AuthorID]Usage) error {
	if err := room(s.dir); err != nil {
		return fmt.Errorf("storing usage: %w", err)
	}
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for author, u := range all {
		err := u.validate()
		if err == nil {
			var b []byte
			if b, err = json.Marshal(u); err == nil {
				err = batch.Set([]byte(usagePrefix+string(author)), b)
			}
		}
		if err != nil {
			return fmt.Errorf("storing usage of %s: %w", author, err)
		}
	}
	if err := batch.Flush(); err != nil {
		return fmt.Errorf("storing usage: %w", err)
	}
	return nil
}

// LoadUsage gives all records. Damaged ones are left out: they are measurements.
func (s *Store) LoadUsage() (map[ledger.AuthorID]Usage, error) {
	all := map[ledger.AuthorID]Usage{}
	err := s.view(func(txn *badger.Txn) error {
		for author, item := range each(txn, usagePrefix, "", true) {
			var u Usage
			err := item.Value(func(b []byte) error { return decode(usagePrefix+author, b, &u) })
			if err == nil {
				err = u.validate()
			}
			if err != nil {
				s.log.Warn("usage record left out", "err", err)
				continue
			}
			all[ledger.AuthorID(author)] = u
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("loading usage: %w", err)
	}
	return all, nil
}
