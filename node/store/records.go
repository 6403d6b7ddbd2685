package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/dgraph-io/badger/v4"
)

// putJSON writes v under key.
func putJSON(txn *badger.Txn, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	return txn.Set([]byte(key), b)
}

// getJSON reads the value of key into v; ErrNotFound, ErrCorrupt.
func getJSON(txn *badger.Txn, key string, v any) error {
	item, err := txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	return item.Value(func(b []byte) error { return decode(key, b, v) })
}

// getBytes copies the value of key.
func getBytes(txn *badger.Txn, key string) ([]byte, error) {
	item, err := txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return item.ValueCopy(nil)
}

func decode(key string, b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("reading %s: %w: %w", key, ErrCorrupt, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("reading %s: %w: trailing data", key, ErrCorrupt)
	}
	return nil
}

// get reads one record in a transaction of its own.
func (s *Store) get(key string, v any) error {
	return s.view(func(txn *badger.Txn) error { return getJSON(txn, key, v) })
}

// each goes through the keys under prefix in order, from the first key not
// less than from; the rest is the key without prefix. The item is good until
// the next step.
func each(txn *badger.Txn, prefix, from string, values bool) iter.Seq2[string, *badger.Item] {
	return func(yield func(string, *badger.Item) bool) {
		it := txn.NewIterator(badger.IteratorOptions{
			Prefix: []byte(prefix), PrefetchValues: values, PrefetchSize: 32,
		})
		defer it.Close()
		for it.Seek([]byte(prefix + from)); it.Valid(); it.Next() {
			if !yield(string(it.Item().Key()[len(prefix):]), it.Item()) {
				return
			}
		}
	}
}

// exists says whether key has a value.
func exists(txn *badger.Txn, key string) (bool, error) {
	_, err := txn.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// plain says that s is valid text without spaces and control characters, at
// most n bytes long.
func plain(s string, n int) bool {
	if len(s) > n || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
