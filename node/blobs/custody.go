package blobs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// custody is who relies on what right now, and how much there is. A blob that
// nothing points to may still be on its way to be pointed to: a fetch has brought
// three layers of five, a client has pushed a layer and not yet the manifest.
//
// Whoever brings a blob, or finds one here and goes on with it, has relied on it at
// that moment ([Store.Use]). Whoever goes on for long takes a lease: what was relied
// on since the oldest lease began does not go. Both are forgotten when the process
// ends, and so are those who relied on it; the age of the file remains.
//
// The zero value is ready.
type custody struct {
	mu     sync.Mutex // held too while a blob is renamed into place or removed
	relied map[digest.Digest]time.Time
	leases map[*time.Time]struct{}

	blobs, bytes int64 // that are whole
	putting      int64 // bytes that Put and Ingest have staged, and an upload is about to
	left         map[digest.Digest]int64
	reserved     map[digest.Digest]*reservation
	limits       Limits
	makeRoom     MakeRoom
	uploads      *Uploads
}

// Lease keeps all blobs that are brought or found here, from now until it is
// released, from being collected. It may be released twice.
func (s *Store) Lease() (release func()) {
	began := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leases == nil {
		s.leases = map[*time.Time]struct{}{}
	}
	s.leases[&began] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.leases, &began)
	}
}

// Oldest is when the oldest lease began; now, where there is none.
func (s *Store) Oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cutoff(time.Now())
}

// Cutoff is the earlier of a time and the beginning of the oldest lease. Collect wants
// it from before what is needed was read: a lease may end after that, whose holder has
// just said what it needs.
func (s *Store) Cutoff(before time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cutoff(before)
}

// cutoff is the earlier of a time and the beginning of the oldest lease. The caller
// holds mu.
func (s *Store) cutoff(before time.Time) time.Time {
	for began := range s.leases {
		if began.Before(before) {
			before = *began
		}
	}
	return before
}

// Use is Stat for who goes on with what it finds.
func (s *Store) Use(d digest.Digest) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, err := s.Stat(d)
	if err == nil {
		s.rely(d)
	}
	return size, err
}

// rely notes that somebody relies on a blob. The caller holds mu.
func (s *Store) rely(d digest.Digest) {
	if s.relied == nil {
		s.relied = map[digest.Digest]time.Time{}
	}
	s.relied[d] = time.Now()
}

// IsIdle tells whether nobody relied on a blob since a time, or since the oldest
// lease began. A blob that is not here is idle.
func (s *Store) IsIdle(d digest.Digest, since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isIdle(d, s.cutoff(since))
}

// isIdle goes by the file too, which may be of an earlier process. The caller holds
// mu.
func (s *Store) isIdle(d digest.Digest, before time.Time) bool {
	if at, known := s.relied[d]; known && !at.Before(before) {
		return false
	}
	info, err := os.Lstat(s.Path(d))
	return err != nil || info.ModTime().Before(before)
}

// moveIn renames a file into place. From before that on it counts as relied on, so
// that nobody removes it who found nothing that needs it.
func (s *Store) moveIn(path string, d digest.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rely(d)
	return s.counting(d, func() error { return s.files.Rename(path, s.Path(d)) })
}

// moveOut removes a blob. The caller holds mu.
func (s *Store) moveOut(d digest.Digest) error {
	return s.counting(d, func() error { return s.files.Remove(s.Path(d)) })
}

// counting does a change to a blob and counts what has become of it, also where the
// change failed: it may have been done all the same. The caller holds mu.
func (s *Store) counting(d digest.Digest, change func() error) error {
	before, was := sizeOf(s.Path(d))
	err := change()
	after, is := sizeOf(s.Path(d))
	s.bytes += after - before
	if was {
		s.blobs--
	}
	if is {
		s.blobs++
		if r := s.reserved[d]; r != nil {
			r.size = 0 // it takes its room as a blob now
		}
		delete(s.left, d)
	}
	return err
}

// sizeOf is the size of a file, in bytes.
func sizeOf(path string) (int64, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// takeStock counts what is here.
func (s *Store) takeStock() error {
	s.blobs, s.bytes = 0, 0
	if err := s.Walk(func(_ digest.Digest, size int64) error {
		s.blobs++
		s.bytes += size
		return nil
	}); err != nil {
		return err
	}
	s.left = map[digest.Digest]int64{}
	return s.eachPartial(func(d digest.Digest, info fs.FileInfo) error {
		s.left[d] = onDisk(info)
		return nil
	})
}

// Collect removes the blobs that are not needed, as long as nobody relied on them
// since before (see Cutoff), or since the oldest lease began, and tells each to gone. With dry it
// removes nothing. What cannot be removed stays for the next time, and is in the
// error.
//
// A crash at any point leaves whole blobs only. After a loss of power some of what
// was removed may be there again.
func (s *Store) Collect(before time.Time, dry bool, needed func(digest.Digest) bool, gone func(d digest.Digest, size int64)) error {
	var errs []error
	changed := map[string]bool{}
	err := s.Walk(func(d digest.Digest, size int64) error {
		if needed(d) {
			return nil
		}
		removed, err := s.collect(d, before, dry)
		if err != nil {
			errs = append(errs, fmt.Errorf("collecting blob %s: %w", d, err))
		}
		if removed {
			changed[filepath.Dir(s.Path(d))] = !dry
			gone(d, size)
		}
		return nil
	})
	errs = append(errs, err)
	for dir, ok := range changed {
		if !ok {
			continue
		}
		if err := s.files.SyncDir(dir); err != nil {
			errs = append(errs, fmt.Errorf("syncing directory: %w", noSpace(err)))
		}
	}
	if !dry {
		s.forget(before)
	}
	return errors.Join(errs...)
}

// collect removes one blob, unless somebody relies on it.
func (s *Store) collect(d digest.Digest, before time.Time, dry bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isIdle(d, s.cutoff(before)) {
		return false, nil
	}
	if dry {
		return true, nil
	}
	err := s.moveOut(d)
	if errors.Is(err, fs.ErrNotExist) { // somebody deleted it
		return false, nil
	}
	_, still := sizeOf(s.Path(d))
	return !still, noSpace(err)
}

// memory is how long it is remembered who relied on what, at least.
const memory = 7 * 24 * time.Hour

// forget bounds what is remembered.
func (s *Store) forget(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.cutoff(before).Add(-memory)
	for d, at := range s.relied {
		if at.Before(before) {
			delete(s.relied, d)
		}
	}
}

// CollectPartials removes downloads that nobody goes on with and that nothing was
// written to since before.
func (s *Store) CollectPartials(before time.Time, dry bool, gone func(d digest.Digest, size int64)) error {
	var errs []error
	changed := false
	err := s.eachPartial(func(d digest.Digest, info fs.FileInfo) error {
		removed, err := s.collectPartial(d, info, before, dry)
		if err != nil {
			errs = append(errs, err)
		}
		if removed {
			changed = changed || !dry
			gone(d, onDisk(info))
		}
		return nil
	})
	errs = append(errs, err)
	if changed {
		if err := s.files.SyncDir(s.fetchDir()); err != nil {
			errs = append(errs, fmt.Errorf("syncing directory: %w", noSpace(err)))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) collectPartial(d digest.Digest, info fs.FileInfo, before time.Time, dry bool) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved[d] != nil || !info.ModTime().Before(before) {
		return false, nil
	}
	if dry {
		return true, nil
	}
	if err := s.discard(s.Partial(d)); err != nil {
		return false, err
	}
	delete(s.left, d)
	return true, nil
}

// DropPartial removes what is here of a download that nobody goes on with: for which
// no room is set aside.
func (s *Store) DropPartial(d digest.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved[d] != nil || checkDigest(d) != nil {
		return nil
	}
	delete(s.left, d)
	return s.discard(s.Partial(d))
}

// eachPartial goes through the downloads that are here in part.
func (s *Store) eachPartial(fn func(d digest.Digest, info fs.FileInfo) error) error {
	entries, err := os.ReadDir(s.fetchDir())
	if err != nil {
		return fmt.Errorf("listing downloads: %w", err)
	}
	for _, entry := range entries {
		d := partialDigest(entry.Name())
		info, err := entry.Info()
		if err != nil || checkDigest(d) != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := fn(d, info); err != nil {
			return err
		}
	}
	return nil
}
