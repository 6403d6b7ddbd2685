package store

import (
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/dockchains/dockchain/node/kv"
)

// Rooms above that keep records of their own have a bucket each; what is in it is
// specified there.
//
//	registry/…   node/registry: repositories, tags, links, uploads
//	notify/…     node/notify: events, statistics, outbox
//	upstream/…   node/exchange: answers of third-party registries, pulls
//	storage/…    node/exchange: pins, what is followed, when what was used
const (
	registryPrefix = "registry/"
	notifyPrefix   = "notify/"
	upstreamPrefix = "upstream/"
	storagePrefix  = "storage/"
)

// buckets have a lock each, under which a transaction reads before it writes.
type buckets struct{ registry, notify, upstream, storage sync.Mutex }

// Registry is the bucket of the local registry.
func (s *Store) Registry() kv.Bucket { return bucket{s, registryPrefix, &s.buckets.registry} }

// Notify is the bucket of notifications and statistics.
func (s *Store) Notify() kv.Bucket { return bucket{s, notifyPrefix, &s.buckets.notify} }

// Upstream is the bucket of what third-party registries said.
func (s *Store) Upstream() kv.Bucket { return bucket{s, upstreamPrefix, &s.buckets.upstream} }

// Storage is the bucket of what is kept on the disk, and why.
func (s *Store) Storage() kv.Bucket { return bucket{s, storagePrefix, &s.buckets.storage} }

type bucket struct {
	s       *Store
	prefix  string
	writing *sync.Mutex
}

// View implements kv.Bucket.
func (b bucket) View(fn func(kv.Txn) error) error {
	return b.s.view(func(txn *badger.Txn) error { return b.run(txn, fn) })
}

// Update implements kv.Bucket.
func (b bucket) Update(fn func(kv.Txn) error) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	return b.s.update(func(txn *badger.Txn) error { return b.run(txn, fn) })
}

func (b bucket) run(txn *badger.Txn, fn func(kv.Txn) error) error {
	t := &bucketTxn{txn: txn, prefix: b.prefix}
	return errors.Join(fn(t), t.err)
}

type bucketTxn struct {
	txn    *badger.Txn
	prefix string
	err    error
}

func (t *bucketTxn) Get(key string) ([]byte, error) {
	v, err := getBytes(t.txn, t.prefix+key)
	if errors.Is(err, ErrNotFound) {
		return nil, kv.ErrNotFound
	}
	return v, err
}

func (t *bucketTxn) Set(key string, value []byte) error {
	return t.txn.Set([]byte(t.prefix+key), value)
}

func (t *bucketTxn) Delete(key string) error { return t.txn.Delete([]byte(t.prefix + key)) }

func (t *bucketTxn) Each(prefix, from string) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for key, item := range each(t.txn, t.prefix+prefix, from, true) {
			v, err := item.ValueCopy(nil)
			if err != nil {
				t.err = errors.Join(t.err, fmt.Errorf("reading %s: %w", t.prefix+prefix+key, err))
				continue
			}
			if !yield(key, v) {
				return
			}
		}
	}
}

func (t *bucketTxn) Err() error { return t.err }
