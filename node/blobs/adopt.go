package blobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// Partial returns the file of a download in progress, which the caller makes,
// fills in any order, and hands over with [Store.Adopt]; "" for a digest that
// cannot name one. It survives restarts, and nothing in it is to be trusted.
func (s *Store) Partial(d digest.Digest) string {
	if checkDigest(d) != nil {
		return ""
	}
	return filepath.Join(s.fetchDir(), d.Algorithm().String()+"-"+d.Encoded())
}

// Adopt makes the partial download of d a blob, after reading all of it. If it
// is not d, it is removed, and the error is [ErrDigestMismatch]. If it is
// shorter than size bytes, [ErrSizeMismatch], it stays to be completed. The
// caller must have stopped writing to it. A size of -1 is unknown.
func (s *Store) Adopt(ctx context.Context, d digest.Digest, size int64) error {
	return s.adopt(d, size, func(path string) (digest.Digest, error) {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		got, _, err := hash(ctx, d.Algorithm(), f)
		return got, errors.Join(err, f.Close())
	})
}

// AdoptHashed is [Store.Adopt] for a caller that has hashed every byte of the
// file while it wrote it, with the result got.
func (s *Store) AdoptHashed(d digest.Digest, size int64, got digest.Digest) error {
	return s.adopt(d, size, func(string) (digest.Digest, error) { return got, nil })
}

func (s *Store) adopt(d digest.Digest, size int64, sum func(path string) (digest.Digest, error)) error {
	if err := checkDigest(d); err != nil {
		return err
	}
	if s.whole(d, size) {
		return errors.Join(s.discard(s.Partial(d)), s.settle(d))
	}
	err := s.adoptFile(s.Partial(d), d, size, sum)
	if errors.Is(err, fs.ErrNotExist) {
		if s.whole(d, size) { // another caller was faster
			return s.settle(d)
		}
		return fmt.Errorf("download of %s: %w", d, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("adopting blob %s: %w", d, err)
	}
	return nil
}

func (s *Store) adoptFile(path string, d digest.Digest, size int64, sum func(path string) (digest.Digest, error)) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	if err := compareSize(d, info.Size(), size); err != nil {
		if info.Size() < size {
			return err
		}
		return errors.Join(err, s.discard(path))
	}
	got, err := sum(path)
	if err != nil {
		return err
	}
	if err := compare(got, d); err != nil {
		return errors.Join(err, s.discard(path))
	}
	if err := s.commitFile(path, d); err != nil {
		return err
	}
	if err := s.files.SyncDir(s.fetchDir()); err != nil {
		return fmt.Errorf("syncing directory: %w", noSpace(err))
	}
	return nil
}

// commitFile syncs a download or an upload and moves it into place. It is made
// read-only last, so that one that could not be moved can still be completed; a
// crash before that leaves a whole blob, only writable.
func (s *Store) commitFile(path string, d digest.Digest) (err error) {
	f, err := s.files.Edit(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, noSpace(f.Close())) }()
	if err := f.Sync(); err != nil {
		// What the page cache holds may never reach the disk now, and the
		// next sync would not say so.
		return errors.Join(fmt.Errorf("syncing: %w", noSpace(err)), s.discard(path))
	}
	if err := s.commit(path, d); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return fmt.Errorf("making read-only: %w", noSpace(err))
	}
	return nil
}
