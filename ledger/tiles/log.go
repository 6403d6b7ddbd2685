package tiles

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Source has logs by their authors; ledger.Ledger is one, and every
// ledger.Store. What it does not have is ledger.ErrUnknownAuthor or
// ledger.ErrNotFound.
type Source interface {
	Head(author ledger.AuthorID) (ledger.Head, error)
	Leaves(author ledger.AuthorID, from, to uint64) ([][]byte, error)
	Hashes(author ledger.AuthorID, indexes []int64) ([]tlog.Hash, error)
}

// Log is one log as resources.
type Log struct {
	source Source
	author ledger.AuthorID
}

// Of returns the log of an author.
func Of(s Source, author ledger.AuthorID) Log { return Log{s, author} }

// Checkpoint returns the newest signed note.
func (l Log) Checkpoint() ([]byte, error) {
	head, err := l.source.Head(l.author)
	if err != nil {
		return nil, fmt.Errorf("reading checkpoint: %w", err)
	}
	return head.Checkpoint, nil
}

// Tile returns a tile or bundle, or ledger.ErrNotFound when the log is not as
// long.
func (l Log) Tile(ctx context.Context, p Path) ([]byte, error) {
	head, err := l.source.Head(l.author)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p, err)
	}
	if p.Width < 1 || p.Width > widthAt(p.Level, p.N, head.Size) {
		return nil, fmt.Errorf("reading %s: %w: it has %d", p, ledger.ErrNotFound, head.Size)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.Entries {
		return l.bundle(p)
	}
	return l.hashes(p)
}

func (l Log) bundle(p Path) ([]byte, error) {
	from := p.N * fullWidth
	leaves, err := l.source.Leaves(l.author, from, from+uint64(p.Width))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p, err)
	}
	return EncodeBundle(leaves)
}

func (l Log) hashes(p Path) ([]byte, error) {
	indexes := make([]int64, p.Width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(p.Level*height, int64(p.N)*fullWidth+int64(i))
	}
	hashes, err := l.source.Hashes(l.author, indexes)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", p, err)
	}
	b := make([]byte, 0, p.Width*tlog.HashSize)
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b, nil
}

// rootAt is the root that the log had at a size, at least 1.
func (l Log) rootAt(size uint64) (tlog.Hash, error) {
	return tlog.TreeHash(int64(size), tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		return l.source.Hashes(l.author, indexes)
	}))
}

// Prove returns the tlog-proof of an entry under the newest checkpoint.
func (l Log) Prove(index uint64) (*Proof, error) {
	head, err := l.source.Head(l.author)
	if err != nil {
		return nil, fmt.Errorf("proving entry %d: %w", index, err)
	}
	if index >= head.Size {
		return nil, fmt.Errorf("proving entry %d: %w: it has %d", index, ledger.ErrNotFound, head.Size)
	}
	hashes, err := tlog.ProveRecord(int64(head.Size), int64(index), tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		return l.source.Hashes(l.author, indexes)
	}))
	if err != nil {
		return nil, fmt.Errorf("proving entry %d: %w", index, err)
	}
	return &Proof{Index: index, Hashes: hashes, Checkpoint: head.Checkpoint}, nil
}
