package tiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Reader reads a log at one checkpoint. Everything that it returns was verified
// against that. Its methods may be called concurrently.
type Reader struct {
	fetcher    Fetcher
	checkpoint ledger.Checkpoint
	signed     []byte

	mu    sync.Mutex
	tiles map[tlog.Tile][]byte // verified ones
}

// maxTiles bounds the tiles that a reader keeps, 8 KiB each.
const maxTiles = 256

// Open fetches the newest checkpoint of a log.
func Open(ctx context.Context, f Fetcher, verify Verify) (*Reader, error) {
	signed, err := f.Fetch(ctx, "checkpoint", note.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	return OpenAt(f, signed, verify)
}

// OpenAt reads a log at a checkpoint that came in some other way.
func OpenAt(f Fetcher, signed []byte, verify Verify) (*Reader, error) {
	c, err := verify(signed)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	return &Reader{fetcher: f, checkpoint: c, signed: signed, tiles: map[tlog.Tile][]byte{}}, nil
}

// Checkpoint returns what everything is verified against, and its note.
func (r *Reader) Checkpoint() (c ledger.Checkpoint, signed []byte) { return r.checkpoint, r.signed }

// Entry returns one entry.
func (r *Reader) Entry(ctx context.Context, index uint64) ([]byte, error) {
	var out []byte
	err := r.Entries(ctx, index, index+1, func(_ uint64, leaf []byte) error {
		out = bytes.Clone(leaf)
		return nil
	})
	return out, err
}

// Entries calls fn with entries from to to-1 in order, and returns its first
// error. The leaf is not to be kept: it shares memory with its neighbours.
func (r *Reader) Entries(ctx context.Context, from, to uint64, fn func(index uint64, leaf []byte) error) error {
	if from > to || to > r.checkpoint.Size {
		return fmt.Errorf("reading entries %d to %d: %w: it has %d", from, to, ledger.ErrNotFound, r.checkpoint.Size)
	}
	for from < to {
		n := from / fullWidth
		end := min(to, (n+1)*fullWidth)
		leaves, err := r.bundle(ctx, n)
		if err != nil {
			return fmt.Errorf("reading entries from %d on: %w", from, err)
		}
		leaves = leaves[from-n*fullWidth : end-n*fullWidth]
		if err := r.check(ctx, from, leaves); err != nil {
			return fmt.Errorf("reading entries from %d on: %w", from, err)
		}
		for _, leaf := range leaves {
			if err := fn(from, leaf); err != nil {
				return err
			}
			from++
		}
	}
	return nil
}

// bundle fetches entries that nobody has verified.
func (r *Reader) bundle(ctx context.Context, n uint64) ([][]byte, error) {
	width := widthAt(0, n, r.checkpoint.Size)
	p := Path{Entries: true, N: n, Width: width}
	b, full, err := r.fetch(ctx, p, maxBundle)
	if err != nil {
		return nil, err
	}
	if !full {
		return ParseBundle(b, width)
	}
	leaves, err := ParseBundle(b, fullWidth)
	if err != nil {
		return nil, err
	}
	return leaves[:width], nil
}

// check wants leaves to be the entries from first on.
func (r *Reader) check(ctx context.Context, first uint64, leaves [][]byte) error {
	indexes := make([]int64, len(leaves))
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(first)+int64(i))
	}
	hashes, err := r.hashes(ctx).ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if tlog.RecordHash(leaf) != hashes[i] {
			return fmt.Errorf("%w: entry %d", ErrBadTile, first+uint64(i))
		}
	}
	return nil
}

// Prove returns the tlog-proof of an entry.
func (r *Reader) Prove(ctx context.Context, index uint64) (*Proof, error) {
	if index >= r.checkpoint.Size {
		return nil, fmt.Errorf("proving entry %d: %w: it has %d", index, ledger.ErrNotFound, r.checkpoint.Size)
	}
	hashes, err := tlog.ProveRecord(int64(r.checkpoint.Size), int64(index), r.hashes(ctx))
	if err != nil {
		return nil, fmt.Errorf("proving entry %d: %w", index, err)
	}
	return &Proof{Index: index, Hashes: hashes, Checkpoint: r.signed}, nil
}

// ProveConsistency returns the proof that the log begins with what it was at
// size older, at least 1.
func (r *Reader) ProveConsistency(ctx context.Context, older uint64) ([]tlog.Hash, error) {
	if older == 0 || older > r.checkpoint.Size {
		return nil, fmt.Errorf("proving growth from %d: %w: it has %d", older, ledger.ErrNotFound, r.checkpoint.Size)
	}
	proof, err := tlog.ProveTree(int64(r.checkpoint.Size), int64(older), r.hashes(ctx))
	if err != nil {
		return nil, fmt.Errorf("proving growth from %d: %w", older, err)
	}
	return proof, nil
}

// hashes reads hashes out of tiles that it verifies.
func (r *Reader) hashes(ctx context.Context) tlog.HashReader {
	c := r.checkpoint
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		if len(indexes) == 0 {
			return nil, nil
		}
		t := &tileReader{r: r, ctx: ctx}
		hashes, err := tlog.TileHashReader(tlog.Tree{N: int64(c.Size), Hash: c.Root}, t).ReadHashes(indexes)
		if err != nil && t.err == nil {
			return nil, fmt.Errorf("%w: %w", ErrBadTile, err)
		}
		return hashes, err
	})
}

// tileReader implements tlog.TileReader for one call.
type tileReader struct {
	r   *Reader
	ctx context.Context
	err error // of fetching
}

// Height implements tlog.TileReader.
func (t *tileReader) Height() int { return height }

// ReadTiles implements tlog.TileReader.
func (t *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if out[i], t.err = t.r.tile(t.ctx, tile); t.err != nil {
			return nil, t.err
		}
	}
	return out, nil
}

// SaveTiles implements tlog.TileReader: these are verified.
func (t *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	for i, tile := range tiles {
		if _, known := t.r.tiles[tile]; !known && len(t.r.tiles) >= maxTiles {
			for evicted := range t.r.tiles {
				delete(t.r.tiles, evicted)
				break
			}
		}
		t.r.tiles[tile] = data[i]
	}
}

// tile returns a verified tile, or fetches it.
func (r *Reader) tile(ctx context.Context, tile tlog.Tile) ([]byte, error) {
	r.mu.Lock()
	known, ok := r.tiles[tile]
	r.mu.Unlock()
	if ok {
		return known, nil
	}
	p := Path{Level: tile.L, N: uint64(tile.N), Width: tile.W}
	b, full, err := r.fetch(ctx, p, fullWidth*tlog.HashSize)
	if err != nil {
		return nil, err
	}
	want := tile.W * tlog.HashSize
	if full {
		want = fullWidth * tlog.HashSize
	}
	if len(b) != want {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrBadTile, p, len(b))
	}
	return b[:tile.W*tlog.HashSize], nil
}

// fetch gets a tile or bundle, or, where a partial one is not kept any more,
// the full one.
func (r *Reader) fetch(ctx context.Context, p Path, limit int64) (b []byte, full bool, err error) {
	b, err = r.fetcher.Fetch(ctx, p.String(), limit)
	if err == nil || p.Width == fullWidth || !errors.Is(err, fs.ErrNotExist) {
		return b, p.Width == fullWidth, err
	}
	p.Width = fullWidth
	b, err = r.fetcher.Fetch(ctx, p.String(), limit)
	return b, true, err
}
