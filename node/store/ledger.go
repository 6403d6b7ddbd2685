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

// A log is made of records of which only those count that its head covers:
// leaves under its size, hashes under tlog.StoredHashCount(size). Replacing
// the head is what commits; whatever a crash left beyond it is written over by
// the next commit.
const (
	headPrefix = "ledger/head/" // + author -> size (8 bytes, big-endian), root (32 bytes), checkpoint
	leafPrefix = "ledger/leaf/" // + author + "/" + index (8 bytes, big-endian) -> the leaf, raw
	hashPrefix = "ledger/hash/" // + author + "/" + number (8 bytes, big-endian) -> 32 bytes

	// The author's state is replaced in the transaction of the head. Changes
	// that are too many for that are written to redo before, and count once
	// apply, written with the head, says so; then they are moved to item.
	itemPrefix  = "ledger/item/"  // + author + "/" + key of the state -> value
	redoPrefix  = "ledger/redo/"  // + author + "/" + key of the state -> 1 and the value, or 0: gone
	applyPrefix = "ledger/apply/" // + author -> empty
	faultPrefix = "ledger/fault/" // + author -> kind, newline, entries that stand, newline, evidence

	// What was replaced at its end is noted for good, for whoever folded the log
	// into something. What is too much for one transaction is written to swap before,
	// and moved while there is no head but that in swapping.
	replacedPrefix = "ledger/replaced/" // + author -> empty
	swapPrefix     = "ledger/swap/"     // + author + "/leaf/" or "/hash/" + number -> as above
	swappingPrefix = "ledger/swapping/" // + author -> as the head

	// Leaves and hashes beyond the head, up to this size, are staged.
	stagePrefix  = "ledger/stage/"  // + author -> size, bytes (8 bytes each, big-endian)
	targetPrefix = "ledger/target/" // + author -> the proved entry that they were verified against
)

// Ledgers is the ledger.Store of a Store.
type Ledgers struct{ s *Store }

var _ ledger.Store = Ledgers{}

// Ledgers gives the logs of all authors.
func (s *Store) Ledgers() Ledgers { return Ledgers{s} }

// Head implements ledger.Store.
func (l Ledgers) Head(author ledger.AuthorID) (ledger.Head, error) {
	var h ledger.Head
	err := l.s.view(func(txn *badger.Txn) (err error) {
		h, err = head(txn, author)
		return err
	})
	return h, err
}

func head(txn *badger.Txn, author ledger.AuthorID) (ledger.Head, error) {
	b, err := getBytes(txn, headPrefix+string(author))
	if errors.Is(err, ErrNotFound) {
		return ledger.Head{}, fmt.Errorf("%w: %s", ledger.ErrUnknownAuthor, author)
	}
	if err != nil {
		return ledger.Head{}, fmt.Errorf("reading head of %s: %w", author, err)
	}
	return decodeHead(author, b)
}

func encodeHead(h ledger.Head) []byte {
	b := binary.BigEndian.AppendUint64(nil, h.Size)
	return append(append(b, h.Root[:]...), h.Checkpoint...)
}

func decodeHead(author ledger.AuthorID, b []byte) (ledger.Head, error) {
	const fixed = 8 + tlog.HashSize
	if len(b) <= fixed {
		return ledger.Head{}, fmt.Errorf("reading head of %s: %w: %d bytes", author, ErrCorrupt, len(b))
	}
	h := ledger.Head{Author: author, Size: binary.BigEndian.Uint64(b), Checkpoint: b[fixed:]}
	copy(h.Root[:], b[8:])
	return h, nil
}

// size is the number of committed entries; 0 of an unknown author.
func size(txn *badger.Txn, author ledger.AuthorID) (uint64, error) {
	h, err := head(txn, author)
	if errors.Is(err, ledger.ErrUnknownAuthor) {
		return 0, nil
	}
	return h.Size, err
}

// Leaves implements ledger.Store.
func (l Ledgers) Leaves(author ledger.AuthorID, from, to uint64) ([][]byte, error) {
	return l.leaves(author, from, to, size)
}

// extent is how many entries of a log there are, in one sense or another.
type extent func(*badger.Txn, ledger.AuthorID) (uint64, error)

func (l Ledgers) leaves(author ledger.AuthorID, from, to uint64, extent extent) ([][]byte, error) {
	var leaves [][]byte
	err := l.s.view(func(txn *badger.Txn) error {
		n, err := extent(txn, author)
		if err != nil {
			return err
		}
		if from > to || to > n || n == 0 {
			return fmt.Errorf("%w: entries %d to %d of %s", ledger.ErrNotFound, from, to, author)
		}
		next := from
		for key, item := range each(txn, leafPrefix+string(author)+"/", number(from), true) {
			if next == to {
				break
			}
			if key != number(next) {
				break
			}
			leaf, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			leaves = append(leaves, leaf)
			next++
		}
		if next != to {
			return fmt.Errorf("reading entry %d of %s: %w: it is missing", next, author, ErrCorrupt)
		}
		return nil
	})
	return leaves, err
}

// Hashes implements ledger.Store.
func (l Ledgers) Hashes(author ledger.AuthorID, indexes []int64) ([]tlog.Hash, error) {
	return l.hashes(author, indexes, size)
}

func (l Ledgers) hashes(author ledger.AuthorID, indexes []int64, extent extent) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	err := l.s.view(func(txn *badger.Txn) error {
		n, err := extent(txn, author)
		if err != nil {
			return err
		}
		for i, index := range indexes {
			if index < 0 || index >= tlog.StoredHashCount(int64(n)) {
				return fmt.Errorf("%w: hash %d of %s", ledger.ErrNotFound, index, author)
			}
			b, err := getBytes(txn, hashPrefix+string(author)+"/"+number(uint64(index)))
			if err != nil || len(b) != tlog.HashSize {
				return fmt.Errorf("reading hash %d of %s: %w", index, author, errors.Join(ErrCorrupt, err))
			}
			copy(hashes[i][:], b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return hashes, nil
}

// Heads implements ledger.Store.
func (l Ledgers) Heads(after ledger.AuthorID, limit int) ([]ledger.Head, error) {
	var heads []ledger.Head
	err := l.s.view(func(txn *badger.Txn) error {
		for author, item := range each(txn, headPrefix, string(after), true) {
			if len(heads) >= limit {
				break
			}
			if author == string(after) {
				continue
			}
			b, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			h, err := decodeHead(ledger.AuthorID(author), b)
			if err != nil {
				return err
			}
			heads = append(heads, h)
		}
		return nil
	})
	return heads, err
}

// Commit implements ledger.Store; see [committer].
func (l Ledgers) Commit(ctx context.Context, author ledger.AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []ledger.Item, head ledger.Head) error {
	err := l.s.commits.commit(ctx, &commit{
		author: author, first: first, leaves: leaves, hashes: hashes, changes: changes, head: head,
	})
	if err != nil {
		return fmt.Errorf("committing to log of %s: %w", author, err)
	}
	return nil
}

// number is the last part of a key, ordered like n.
func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
