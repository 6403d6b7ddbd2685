package blobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
)

var algorithms = []digest.Algorithm{digest.SHA256, digest.SHA512}

// Store is a directory of blobs. Its methods are safe for concurrent use.
type Store struct {
	dir   string
	files files
	custody
}

// Open opens the store in dir, making what is missing, and removes torn
// writes; partial downloads stay. The caller must hold the lock of the data
// directory: what another process is still writing is torn, too.
func Open(dir string) (*Store, error) {
	return open(dir, osFiles{})
}

func open(dir string, fsys files) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening blobs: %w", err)
	}
	s := &Store{dir: dir, files: fsys}
	for _, sub := range []string{"", "blobs", "blobs/sha256", "blobs/sha512", "staging", "staging/put", "staging/fetch", "staging/upload"} {
		path := filepath.Join(dir, filepath.FromSlash(sub))
		if err := makeDir(fsys, filepath.Dir(path), path); err != nil {
			return nil, fmt.Errorf("opening blobs: %w", noSpace(err))
		}
	}
	if err := s.clean(); err != nil {
		return nil, fmt.Errorf("opening blobs: removing torn writes: %w", err)
	}
	if err := s.takeStock(); err != nil {
		return nil, fmt.Errorf("opening blobs: %w", err)
	}
	return s, nil
}

// clean removes what Put and Ingest left behind when they were cut short, and
// downloads of blobs that are here.
func (s *Store) clean() error {
	torn, err := os.ReadDir(s.putDir())
	if err != nil {
		return err
	}
	for _, entry := range torn {
		if err := s.discard(filepath.Join(s.putDir(), entry.Name())); err != nil {
			return err
		}
	}
	downloads, err := os.ReadDir(s.fetchDir())
	if err != nil {
		return err
	}
	for _, entry := range downloads {
		d := partialDigest(entry.Name())
		if _, err := s.Stat(d); err != nil {
			continue
		}
		if err := s.discard(s.Partial(d)); err != nil {
			return err
		}
	}
	return nil
}

// partialDigest is of what a file is a download.
func partialDigest(name string) digest.Digest {
	return digest.Digest(strings.Replace(name, "-", ":", 1))
}

func (s *Store) putDir() string    { return filepath.Join(s.dir, "staging", "put") }
func (s *Store) fetchDir() string  { return filepath.Join(s.dir, "staging", "fetch") }
func (s *Store) uploadDir() string { return filepath.Join(s.dir, "staging", "upload") }

// Path returns where a blob is, or would be; "" for a digest that cannot name
// one. The file is read-only: its content was verified and is being served.
func (s *Store) Path(d digest.Digest) string {
	if checkDigest(d) != nil {
		return ""
	}
	return filepath.Join(s.dir, "blobs", d.Algorithm().String(), d.Encoded())
}

// Stat returns the size of a blob in bytes, or [ErrNotFound].
func (s *Store) Stat(d digest.Digest) (int64, error) {
	if err := checkDigest(d); err != nil {
		return 0, err
	}
	info, err := os.Lstat(s.Path(d))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s: %w", d, ErrNotFound)
	case err != nil:
		return 0, fmt.Errorf("finding blob %s: %w", d, err)
	}
	return info.Size(), nil
}

// Open opens a blob for reading, or returns [ErrNotFound]. What is open stays
// readable when the blob is deleted.
func (s *Store) Open(d digest.Digest) (*os.File, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	f, err := os.Open(s.Path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", d, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("opening blob %s: %w", d, err)
	}
	return f, nil
}

// Delete removes a blob, whoever relies on it, or returns [ErrNotFound].
func (s *Store) Delete(d digest.Digest) error {
	if err := checkDigest(d); err != nil {
		return err
	}
	path := s.Path(d)
	s.mu.Lock()
	err := s.moveOut(d)
	s.mu.Unlock()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", d, ErrNotFound)
	}
	if err == nil {
		err = s.files.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("deleting blob %s: %w", d, noSpace(err))
	}
	return nil
}

// Walk calls fn for each blob, by algorithm and digest, until it returns an
// error, which Walk returns as it is. Blobs that come or go meanwhile may or
// may not be seen; files that are not blobs are passed over.
func (s *Store) Walk(fn func(d digest.Digest, size int64) error) error {
	for _, alg := range algorithms {
		entries, err := os.ReadDir(filepath.Join(s.dir, "blobs", alg.String()))
		if err != nil {
			return fmt.Errorf("listing blobs: %w", err)
		}
		for _, entry := range entries {
			d := digest.NewDigestFromEncoded(alg, entry.Name())
			size, err := s.Stat(d)
			if errors.Is(err, ErrNotFound) || errors.Is(err, ErrBadDigest) {
				continue
			}
			if err != nil {
				return err
			}
			if err := fn(d, size); err != nil {
				return err
			}
		}
	}
	return nil
}

// Verify reads a whole blob and compares its digest. A blob that does not
// match any more, [ErrDigestMismatch], is left for the caller to delete.
func (s *Store) Verify(ctx context.Context, d digest.Digest) error {
	f, err := s.Open(d)
	if err != nil {
		return err
	}
	got, _, err := hash(ctx, d.Algorithm(), f)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("verifying blob %s: %w", d, err)
	}
	return compare(got, d)
}
