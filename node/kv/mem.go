package kv

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Mem is a bucket in memory. The zero value is empty and ready.
type Mem struct {
	mu   sync.RWMutex
	vals map[string][]byte // values are never changed in place
}

var errReadOnly = errors.New("transaction is for reading")

// View implements Bucket.
func (m *Mem) View(fn func(Txn) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return fn(memTxn{vals: m.vals})
}

// Update implements Bucket.
func (m *Mem) Update(fn func(Txn) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := maps.Clone(m.vals)
	if next == nil {
		next = map[string][]byte{}
	}
	if err := fn(memTxn{vals: next, writable: true}); err != nil {
		return err
	}
	m.vals = next
	return nil
}

type memTxn struct {
	vals     map[string][]byte
	writable bool
}

func (t memTxn) Get(key string) ([]byte, error) {
	v, ok := t.vals[key]
	if !ok {
		return nil, ErrNotFound
	}
	return slices.Clone(v), nil
}

func (t memTxn) Set(key string, value []byte) error {
	if !t.writable {
		return errReadOnly
	}
	t.vals[key] = slices.Clone(value)
	return nil
}

func (t memTxn) Delete(key string) error {
	if !t.writable {
		return errReadOnly
	}
	delete(t.vals, key)
	return nil
}

func (t memTxn) Each(prefix, from string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		var keys []string
		for key := range t.vals {
			if strings.HasPrefix(key, prefix) && key >= prefix+from {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			if !yield(key[len(prefix):], slices.Clone(t.vals[key])) {
				return
			}
		}
	}
}

func (t memTxn) Err() error { return nil }
