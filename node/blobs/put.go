package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// mode of whole blobs: nobody writes to them again.
const mode = 0o400

// Put stores what r yields as the blob d, if that is what it is: otherwise
// [ErrDigestMismatch], or [ErrSizeMismatch] without reading past size bytes.
// A size of -1 is unknown; then the caller bounds r. When the blob is there
// already, nothing is read.
func (s *Store) Put(ctx context.Context, d digest.Digest, size int64, r io.Reader) error {
	if err := checkDigest(d); err != nil {
		return err
	}
	if s.whole(d, size) {
		return s.settle(d)
	}
	if size >= 0 && size < math.MaxInt64 {
		r = io.LimitReader(r, size+1) // one more shows that there is more
	}
	_, _, err := s.stage(ctx, d.Algorithm(), r, func(got digest.Digest, n int64) error {
		if err := compareSize(d, n, size); err != nil {
			return err
		}
		return compare(got, d)
	})
	if err != nil {
		return fmt.Errorf("storing blob %s: %w", d, err)
	}
	return nil
}

// whole reports whether the blob is there with the size in bytes that it
// should have, for who relies on it then. One that is not was damaged, and a good
// one may replace it.
func (s *Store) whole(d digest.Digest, size int64) bool {
	have, err := s.Use(d)
	return err == nil && (size < 0 || size == have)
}

// Ingest stores what r yields, whatever it is, and returns its digest and
// size in bytes. The caller bounds r.
func (s *Store) Ingest(ctx context.Context, alg digest.Algorithm, r io.Reader) (digest.Digest, int64, error) {
	if err := checkAlgorithm(alg); err != nil {
		return "", 0, err
	}
	d, n, err := s.stage(ctx, alg, r, func(digest.Digest, int64) error { return nil })
	if err != nil {
		return "", 0, fmt.Errorf("storing blob: %w", err)
	}
	return d, n, nil
}

// stage writes a staging file while it hashes, lets check decide, and commits
// it. Whatever fails, the file is gone; a crash leaves it for Open to remove.
func (s *Store) stage(ctx context.Context, alg digest.Algorithm, r io.Reader, check func(digest.Digest, int64) error) (digest.Digest, int64, error) {
	f, err := s.files.Create(s.putDir())
	if err != nil {
		return "", 0, fmt.Errorf("making staging file: %w", noSpace(err))
	}
	w := &putWriter{ctx: ctx, s: s, w: f}
	defer w.over()
	d, n, err := fill(ctx, f, alg, io.TeeReader(r, w), check)
	if err == nil {
		err = s.commit(f.Name(), d)
	}
	if err != nil {
		return "", 0, errors.Join(err, s.discard(f.Name()))
	}
	return d, n, nil
}

// fill hashes what r yields, which writes it to f, and closes f: synced, if there is
// no error.
func fill(ctx context.Context, f file, alg digest.Algorithm, r io.Reader, check func(digest.Digest, int64) error) (d digest.Digest, n int64, err error) {
	defer func() { err = errors.Join(err, noSpace(f.Close())) }()
	d, n, err = hash(ctx, alg, r)
	if err != nil {
		return "", 0, noSpace(err)
	}
	if err := check(d, n); err != nil {
		return "", 0, err
	}
	return d, n, finish(f)
}

// finish makes a file read-only and its content durable.
func finish(f file) error {
	if err := f.Chmod(mode); err != nil {
		return fmt.Errorf("making read-only: %w", noSpace(err))
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing: %w", noSpace(err))
	}
	return nil
}

// commit moves a finished file into place. A crash before the rename leaves no
// blob, one after it a whole one.
func (s *Store) commit(path string, d digest.Digest) error {
	if err := s.moveIn(path, d); err != nil {
		return fmt.Errorf("moving into place: %w", noSpace(err))
	}
	return s.settle(d)
}

// settle makes the name of a blob durable: our own, or that of another caller
// who has renamed but not yet synced.
func (s *Store) settle(d digest.Digest) error {
	if err := s.files.SyncDir(filepath.Dir(s.Path(d))); err != nil {
		return fmt.Errorf("syncing directory: %w", noSpace(err))
	}
	return nil
}

// discard removes a staged file, which may have been renamed already.
func (s *Store) discard(path string) error {
	if err := s.files.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing staged file: %w", err)
	}
	return nil
}
