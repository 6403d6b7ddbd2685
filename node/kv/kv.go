// Package kv is what the rooms that keep records of their own know of the
// database: an ordered map of their own, with transactions.
//
//	err := bucket.Update(func(tx kv.Txn) error {
//		b, err := tx.Get("tag/me/app/1.0")
//		…
//		return tx.Set("tag/me/app/1.0", b)
//	})
//
// Package node/store keeps buckets in Badger, [Mem] in memory for tests.
package kv

import (
	"errors"
	"iter"
)

// ErrNotFound says that a key has no value.
var ErrNotFound = errors.New("no such key")

// Txn is one transaction. It must not be used after the function that it was
// given to has returned. Values that it returns are the caller's.
type Txn interface {
	// Get returns the value of a key, or ErrNotFound.
	Get(key string) ([]byte, error)
	// Set and Delete are for Update alone. A transaction holds about 2 MB.
	Set(key string, value []byte) error
	Delete(key string) error
	// Each goes through the keys that begin with prefix in ascending order of
	// bytes, from the first that is not less than prefix+from. The keys it gives
	// lack the prefix. It sees what the transaction wrote before it began; do not
	// write while it runs. What it cannot read it skips, and Err tells.
	Each(prefix, from string) iter.Seq2[string, []byte]
	// Err is the first error of an Each.
	Err() error
}

// Bucket is a map with transactions, one writer at a time.
type Bucket interface {
	// View reads one state of the map.
	View(fn func(Txn) error) error
	// Update writes everything that fn wrote, durably, or nothing if it returns
	// an error, and that error.
	Update(fn func(Txn) error) error
}
