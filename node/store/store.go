// Package store is the one database of a node: ledgers, petnames, torrents,
// images, peers and reputation, in Badger v4.
//
// Its directory holds
//
//	lock        held while a node (or a command that needs none) has the directory open; the pid inside is advisory
//	records/    Badger's own files
//
// Every owner has one file in this package and one key prefix, written at its
// top. Keys are readable, values are JSON unless said otherwise:
//
//	alias/alice                       -> {"author":"bafkrei…"}
//	torrent/2f72f9a2268ab316…         -> {"digest":"sha256:…","kind":"layer","size":1048576}
//
// Writes are synced before they return: what was acknowledged survives a crash
// of the machine, not only of the process. Each exported call writes one
// Badger transaction where it says "atomic". Readers of a damaged record get
// [ErrCorrupt].
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// What can go wrong, besides the disk.
var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt says that a record cannot be read back.
	ErrCorrupt = errors.New("corrupt record")
	// ErrLocked says that another process has the data directory open; the
	// error is a [*LockedError].
	ErrLocked = errors.New("data directory is in use")
	// ErrVersion says that a newer program wrote the data directory.
	ErrVersion = errors.New("data directory was written by a newer version")
	// ErrInvalid says that a value cannot be stored: it is out of bounds.
	ErrInvalid = errors.New("invalid value")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
)

// LockedError is the error of [Open] when another process has the directory.
type LockedError struct {
	Dir string
	PID int // of the process that holds it; 0 when it did not say
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%v: %s", ErrLocked, e.Dir)
	}
	return fmt.Sprintf("%v: %s is open in process %d", ErrLocked, e.Dir, e.PID)
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// Store is an open database. Its methods may be called concurrently.
type Store struct {
	dir  string
	log  *slog.Logger
	lock *dirLock
	db   *badger.DB

	commits   *committer     // of ledgers
	witnessed *grouped[swap] // what this node cosigns

	use    sync.RWMutex // read-locked by hold, so that Close takes nothing from under a reader
	closed bool         // under use

	buckets buckets
	writing sync.Mutex // held by calls that read before they write, so that two of them do not cross
}

// Open opens the database of a data directory, making it where there is none.
func Open(dir string, log *slog.Logger) (_ *Store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making data directory: %w", err)
	}
	s := &Store{dir: dir, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := room(dir); err != nil {
		return nil, fmt.Errorf("opening records: %w", err)
	}
	if s.db, err = badger.Open(badgerOptions(filepath.Join(dir, "records"), log)); err != nil {
		return nil, fmt.Errorf("opening records: %w", err)
	}
	if err := s.checkVersion(); err != nil {
		return nil, err
	}
	if err := s.finishForgetAll(); err != nil {
		return nil, err
	}
	if err := s.finishSwaps(); err != nil {
		return nil, err
	}
	s.commits = newCommitter(s.db, func() error { return room(dir) })
	s.witnessed = newGrouped(func(group []*swap) { writeSwaps(s.update, group) })
	return s, nil
}

// update writes one transaction, if there is room for it.
func (s *Store) update(fn func(*badger.Txn) error) error {
	if err := room(s.dir); err != nil {
		return err
	}
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	return s.db.Update(fn)
}

// view reads in one transaction.
func (s *Store) view(fn func(*badger.Txn) error) error {
	defer s.hold()()
	if s.closed {
		return ErrClosed
	}
	return s.db.View(fn)
}

// hold keeps the database open until the function it returns is called. It must
// not be called again meanwhile: Close waits.
func (s *Store) hold() (release func()) {
	s.use.RLock()
	return s.use.RUnlock
}

// badgerOptions keep an idle node small: Badger's own defaults reserve 64 MiB
// memtables, a 256 MiB block cache and a value log of 2 GB apparent size.
func badgerOptions(dir string, log *slog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithValueThreshold(1 << 10). // entries are written once, into the value log, and not again with every compaction
		WithDetectConflicts(false).  // Store.writing and the committer order what reads before it writes
		WithMemTableSize(16 << 20).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithValueLogFileSize(64 << 20).
		WithBlockCacheSize(32 << 20).
		WithIndexCacheSize(16 << 20).
		WithCompression(options.Snappy).
		WithMetricsEnabled(false).
		WithBypassLockGuard(locks). // its lock outlives it where a child is being forked, see dirLock.release
		WithLogger(badgerLog{log})
}

// Run reclaims the space of deleted large values until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.reclaim(ctx); err != nil {
				s.log.Warn("value log not reclaimed", "err", err)
			}
		}
	}
}

// reclaim rewrites value log files until none is worth it.
func (s *Store) reclaim(ctx context.Context) error {
	for ctx.Err() == nil {
		switch err := s.db.RunValueLogGC(0.5); {
		case errors.Is(err, badger.ErrNoRewrite), errors.Is(err, badger.ErrRejected):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// Close undoes Open. It waits for what is being read and written; whatever comes
// later gets ErrClosed.
func (s *Store) Close() error {
	var errs []error
	if s.commits != nil {
		s.commits.close()
	}
	if s.witnessed != nil {
		s.witnessed.close()
	}
	s.use.Lock() // waits for those who read
	defer s.use.Unlock()
	if s.db != nil && !s.closed {
		if err := s.db.Close(); err != nil {
			errs = append(errs, fmt.Errorf("closing records: %w", err))
		}
	}
	s.closed = true
	if s.lock != nil {
		errs = append(errs, s.lock.release())
		s.lock = nil
	}
	return errors.Join(errs...)
}

const (
	versionKey = "meta/version"
	version    = 1 // of the layout of keys and values
)

func (s *Store) checkVersion() error {
	var v struct {
		Version int `json:"version"`
	}
	switch err := s.get(versionKey, &v); {
	case errors.Is(err, ErrNotFound):
		v.Version = version
		return s.update(func(txn *badger.Txn) error { return putJSON(txn, versionKey, v) })
	case err != nil:
		return fmt.Errorf("reading version: %w", err)
	case v.Version > version:
		return fmt.Errorf("%w: layout %d, this program knows %d", ErrVersion, v.Version, version)
	}
	return nil
}

// badgerLog passes Badger's messages on. They hold nothing of peers.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any) { l.log.Error("badger", "message", fmt.Sprintf(f, a...)) }
func (l badgerLog) Warningf(f string, a ...any) {
	l.log.Warn("badger", "message", fmt.Sprintf(f, a...))
}
func (l badgerLog) Infof(f string, a ...any) { l.log.Debug("badger", "message", fmt.Sprintf(f, a...)) }
func (l badgerLog) Debugf(string, ...any)    {}
