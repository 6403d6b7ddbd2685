// Package index is the catalogue of releases and its full-text search.
//
// It is folded from ledger entries and owns nothing that they do not say: it
// can be thrown away and folded again at any time, and then gives the same
// answers. Of the releases of one author/repo:tag, the latest one in its author's
// log counts, unless that log takes it back.
//
// # Documents
//
// The index is a Bleve v2 scorch index (https://blevesearch.com) with two sorts
// of documents. The id of a release is its ref, so that answers whose scores
// are equal come in the order of refs:
//
//	r/bafkrei…/debian:12   {kind: release or revoked, repo, tag, author, digest, infohash,
//	                        name, title, text: words; platform, label: exact;
//	                        begins: the beginnings of the name and of its words;
//	                        rec: the Record as JSON, stored}
//	l/bafkrei…             {kind: log, rec: {"next":7,"top":9}}: how much of a
//	                        log was applied, in the same batch as its releases
//
// Words are runs of letters and digits, in lower case; every Han, Hiragana and
// Katakana character is a word.
//
// # Queries
//
// See [Parse] for what people type and [Index.Search] for the order of answers.
package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"

	"github.com/dockchains/dockchain/ledger"
)

// What can go wrong, besides the disk.
var (
	// ErrRebuild says that the index on disk cannot be used: damaged, torn, or
	// of another version. Make it anew with [Create] and apply the ledgers.
	ErrRebuild = errors.New("index must be rebuilt")
	// ErrNotFound says that no release is known by that name.
	ErrNotFound = errors.New("not in the index")
	// ErrBadQuery says that a query is too long or does not parse.
	ErrBadQuery = errors.New("bad query")
)

// version changes with the documents or their analysis.
const version = "2"

var (
	versionKey = []byte("dockchain/version")
	flushKey   = []byte("dockchain/flush") // no value of its own: its batch is what is waited for
)

// Index is an open index. Its methods may be called concurrently.
type Index struct {
	dir string // "" in memory
	log *slog.Logger

	mu     sync.RWMutex // held for writing while idx is replaced or closed
	idx    bleve.Index
	closed bool

	fold sync.Mutex                  // held while applying, so that what is newest is decided once; taken before mu
	logs map[ledger.AuthorID]logMark // guarded by fold
}

// Open opens the index in dir, making it where there is none; "" is an empty
// one in memory. ErrRebuild when what is there cannot be used.
func Open(dir string, log *slog.Logger) (*Index, error) {
	if dir == "" {
		return Create("", log)
	}
	if names, err := os.ReadDir(dir); errors.Is(err, os.ErrNotExist) || err == nil && len(names) == 0 {
		return Create(dir, log)
	} else if err != nil {
		return nil, fmt.Errorf("opening index: %w", err)
	}
	x := &Index{dir: dir, log: log}
	if err := x.open(); err != nil {
		return nil, fmt.Errorf("opening index: %w", err)
	}
	return x, nil
}

// Create makes an empty index in dir in place of whatever is there; "" makes
// one in memory. A crash on the way leaves an index that Open refuses with
// ErrRebuild.
func Create(dir string, log *slog.Logger) (*Index, error) {
	x := &Index{dir: dir, log: log}
	if err := x.create(); err != nil {
		return nil, fmt.Errorf("making index: %w", err)
	}
	return x, nil
}

// bleveConfig: the index waits a second for another process to let go of it.
// Batches are written behind: what a crash loses is folded again, and waiting
// for the disk would cost every entry heard of some milliseconds more.
func bleveConfig() map[string]any {
	return map[string]any{"bolt_timeout": "1s", "unsafe_batch": true}
}

func (x *Index) create() error {
	if x.dir != "" {
		if err := os.RemoveAll(x.dir); err != nil {
			return err
		}
	}
	idx, err := bleve.NewUsing(x.dir, newMapping(), scorch.Name, scorch.Name, bleveConfig())
	if err != nil {
		return err
	}
	if err := idx.SetInternal(versionKey, []byte(version)); err != nil {
		return errors.Join(err, idx.Close())
	}
	x.idx, x.logs = idx, map[ledger.AuthorID]logMark{}
	return nil
}

// open takes over what is on disk. Everything that is wrong with it is
// ErrRebuild, whatever its form: Bleve reports some damage, panics on some,
// and faults on a file cut short.
func (x *Index) open() error {
	if err := checkSegments(filepath.Join(x.dir, "store")); err != nil {
		return fmt.Errorf("%w: %w", ErrRebuild, err)
	}
	return guard(func() error {
		idx, err := bleve.OpenUsing(x.dir, bleveConfig())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRebuild, err)
		}
		x.idx = idx
		if err := x.check(); err != nil {
			return errors.Join(err, idx.Close())
		}
		return nil
	})
}

func (x *Index) check() error {
	v, err := x.idx.GetInternal(versionKey)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRebuild, err)
	}
	if string(v) != version {
		return fmt.Errorf("%w: version %q, this program has %q", ErrRebuild, v, version)
	}
	if x.logs, err = x.loadLogs(); err != nil {
		return fmt.Errorf("%w: %w", ErrRebuild, err)
	}
	return nil
}

// guard runs f on files that may be damaged: a panic of the library and a
// fault in its mapped files become ErrRebuild.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: reading it panicked: %v", ErrRebuild, r)
		}
	}()
	return f()
}

// Reset empties the index, for folding it again. Searches meanwhile wait.
func (x *Index) Reset() error {
	x.fold.Lock()
	defer x.fold.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return fmt.Errorf("emptying index: %w", bleve.ErrorIndexClosed)
	}
	if err := x.idx.Close(); err != nil {
		x.log.Warn("index to be replaced not closed", "err", err)
	}
	if err := x.create(); err != nil {
		return fmt.Errorf("emptying index: %w", err)
	}
	return nil
}

// Close undoes Open. What is called later fails.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	if err := errors.Join(x.flush(), x.idx.Close()); err != nil {
		return fmt.Errorf("closing index: %w", err)
	}
	return nil
}

// flushTime bounds how long Close waits for what is written behind.
const flushTime = 10 * time.Second

// flush waits until everything applied is on disk.
func (x *Index) flush() error {
	if x.dir == "" {
		return nil
	}
	batch, done := x.idx.NewBatch(), make(chan error, 1)
	batch.SetInternal(flushKey, nil)
	batch.SetPersistedCallback(func(err error) { done <- err })
	if err := x.idx.Batch(batch); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-time.After(flushTime):
		return errors.New("it could not be written to disk in time; what is missing will be applied again")
	}
}

// run does one request of Bleve.
func (x *Index) run(ctx context.Context, req *bleve.SearchRequest) (res *bleve.SearchResult, err error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	err = guard(func() error {
		res, err = x.idx.SearchInContext(ctx, req)
		return err
	})
	return res, err
}

// rec reads the stored record of a document.
func rec(fields map[string]any, v any) error {
	s, ok := fields[fieldRec].(string)
	if !ok {
		return fmt.Errorf("%w: document without record", ErrRebuild)
	}
	if err := json.Unmarshal([]byte(s), v); err != nil {
		return fmt.Errorf("%w: %w", ErrRebuild, err)
	}
	return nil
}
