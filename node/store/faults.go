package store

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

// Frozen returns up to limit authors after the given one ("": from the first)
// against whom a fault is kept, in ascending order.
func (s *Store) Frozen(after ledger.AuthorID, limit int) ([]ledger.AuthorID, error) {
	var authors []ledger.AuthorID
	err := s.view(func(txn *badger.Txn) error {
		for author := range each(txn, faultPrefix, string(after), false) {
			if len(authors) >= limit {
				break
			}
			if author != string(after) {
				authors = append(authors, ledger.AuthorID(author))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading faults: %w", err)
	}
	return authors, nil
}
