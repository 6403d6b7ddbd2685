package store

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/ledger"
)

const cosignedPrefix = "cosigned/" // + author id -> signed note

// PutCosigned keeps the checkpoint of an author's log that enough witnesses
// cosigned last, which the log may have outgrown. It is not synced: what a crash
// takes, witnesses sign again.
func (s *Store) PutCosigned(author ledger.AuthorID, signed []byte) error {
	if _, err := ledger.ParseAuthorID(string(author)); err != nil {
		return fmt.Errorf("keeping a cosigned checkpoint: %w", err)
	}
	if len(signed) == 0 || len(signed) > ledger.MaxNote {
		return fmt.Errorf("keeping a cosigned checkpoint: %w: %d bytes", ErrInvalid, len(signed))
	}
	return s.update(func(txn *badger.Txn) error { return txn.Set([]byte(cosignedPrefix+author), signed) })
}

// Cosigned returns what PutCosigned kept, or ErrNotFound.
func (s *Store) Cosigned(author ledger.AuthorID) (signed []byte, err error) {
	err = s.view(func(txn *badger.Txn) error {
		signed, err = getBytes(txn, cosignedPrefix+string(author))
		return err
	})
	return signed, err
}
