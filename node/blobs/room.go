package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
)

// Limits bound what the files of a store may take.
type Limits struct {
	// Quota is how many bytes all of them together may have: blobs, downloads and
	// uploads under way. 0 is any number.
	Quota int64
	// KeepFree is how many bytes of the disk are left alone. 0 is none.
	KeepFree int64
}

// MakeRoom removes what can be done without, so that need more bytes fit if that
// can be had, and returns when it has tried.
type MakeRoom func(ctx context.Context, need int64)

// SetLimits sets the bounds, and who makes room. May be called while the store is
// in use. What is here already stays.
func (s *Store) SetLimits(l Limits, room MakeRoom) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits, s.makeRoom = l, room
}

// QuotaError says that something does not fit into the quota. It is an ErrQuota.
type QuotaError struct{ Need, Used, Quota int64 }

func (e *QuotaError) Error() string {
	return fmt.Sprintf("%v: %d more bytes are needed, and %d of %d are used", ErrQuota, e.Need, e.Used, e.Quota)
}

// Is makes errors.Is(err, ErrQuota) true.
func (e *QuotaError) Is(target error) bool { return target == ErrQuota }

// Usage is what a store takes, in bytes.
type Usage struct {
	Blobs int64 // how many
	Bytes int64 // of blobs
	// Staged are the bytes of downloads and uploads that are not whole, and what
	// is set aside for those under way.
	Staged int64
	Limits
	Free, Disk int64 // of the file system; 0 where that is not known
}

// Used is what counts against the quota.
func (u Usage) Used() int64 { return u.Bytes + u.Staged }

// Usage tells how much is taken, and how much there is.
func (s *Store) Usage() Usage {
	free, disk, _ := diskRoom(s.dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	return Usage{Blobs: s.blobs, Bytes: s.bytes, Staged: s.staged(), Limits: s.limits, Free: free, Disk: disk}
}

// staged is what is no blob yet. The caller holds mu.
func (s *Store) staged() int64 {
	n := s.putting
	for _, size := range s.left {
		n += size
	}
	for _, r := range s.reserved {
		n += r.size
	}
	if s.uploads != nil {
		n += s.uploads.bytes.Load()
	}
	return n
}

// Want is a blob that is to be brought.
type Want struct {
	Digest digest.Digest
	Size   int64
}

// reservation is room for a download.
type reservation struct {
	size int64 // 0 once it is a blob
	by   int   // how many
}

// Reserve sets room aside for downloads, without which they do not begin: for those
// that are not here. Room is made if need be; if it cannot be, the error is
// ErrQuota or ErrNoSpace. A blob that arrives takes its room over; the rest is
// given back by release, which may be called twice. While it is reserved, what is
// here of a download is not collected.
func (s *Store) Reserve(ctx context.Context, wants []Want) (release func(), err error) {
	missing := wants[:0:0]
	for _, w := range wants {
		if err := checkDigest(w.Digest); err != nil {
			return nil, err
		}
		if have, err := s.Use(w.Digest); err != nil || have != w.Size {
			missing = append(missing, w)
		}
	}
	if err := s.withRoom(ctx, func() error { return s.reserve(missing) }); err != nil {
		return nil, err
	}
	var given bool
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !given {
			given = true
			s.giveBack(missing)
		}
	}, nil
}

// withRoom tries something for which there may be no room, once more after some was
// made.
func (s *Store) withRoom(ctx context.Context, try func() error) error {
	err := try()
	var full *fullError
	if !errors.As(err, &full) {
		return err
	}
	s.mu.Lock()
	room := s.makeRoom
	s.mu.Unlock()
	if room != nil {
		room(ctx, full.short)
		err = try()
	}
	if errors.As(err, &full) {
		return full.err
	}
	return err
}

// fullError says how many bytes too few there are.
type fullError struct {
	err   error
	short int64
}

func (e *fullError) Error() string { return e.err.Error() }

// reserve sets room aside if there is enough.
func (s *Store) reserve(wants []Want) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var more, disk int64
	for _, w := range wants {
		if s.reserved[w.Digest] != nil {
			continue
		}
		more += w.Size - s.left[w.Digest]
		disk += w.Size - s.left[w.Digest]
	}
	for d, r := range s.reserved { // what is promised and not yet written
		if info, err := os.Lstat(s.Partial(d)); err == nil {
			disk += max(r.size-onDisk(info), 0)
		} else {
			disk += r.size
		}
	}
	if err := s.check(more, disk); err != nil {
		return err
	}
	if s.reserved == nil {
		s.reserved = map[digest.Digest]*reservation{}
	}
	for _, w := range wants {
		r := s.reserved[w.Digest]
		if r == nil {
			r = &reservation{size: w.Size}
			s.reserved[w.Digest] = r
			delete(s.left, w.Digest)
		}
		r.by++
	}
	return nil
}

// giveBack undoes reserve. The caller holds mu.
func (s *Store) giveBack(wants []Want) {
	for _, w := range wants {
		r := s.reserved[w.Digest]
		if r == nil {
			continue
		}
		if r.by--; r.by > 0 {
			continue
		}
		delete(s.reserved, w.Digest)
		if info, err := os.Lstat(s.Partial(w.Digest)); err == nil {
			if s.left == nil {
				s.left = map[digest.Digest]int64{}
			}
			s.left[w.Digest] = onDisk(info)
		}
	}
}

// check tells whether more bytes fit, of which the disk is yet to take some. The
// caller holds mu.
func (s *Store) check(more, disk int64) error {
	if s.limits.Quota > 0 {
		used := s.bytes + s.staged()
		if over := used + more - s.limits.Quota; over > 0 && more > 0 {
			return &fullError{&QuotaError{Need: more, Used: used, Quota: s.limits.Quota}, over}
		}
	}
	if s.limits.KeepFree > 0 && disk > 0 {
		free, _, known := diskRoom(s.dir)
		if over := disk + s.limits.KeepFree - free; known && over > 0 {
			return &fullError{fmt.Errorf("%w: %d more bytes are needed, and of %d free ones %d are kept so", ErrNoSpace, disk, free, s.limits.KeepFree), over}
		}
	}
	return nil
}

// Fits wants room for so many bytes that are to come, and makes it if need be; the
// error is ErrQuota or ErrNoSpace. Nothing is set aside.
func (s *Store) Fits(ctx context.Context, n int64) error {
	return s.withRoom(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.check(n, n)
	})
}

// take is Fits that sets the room aside, in one step with the look at what there is,
// so that many who write at once do not all have the same last bytes. What was taken
// is given back by untake: once it is counted otherwise, or is not to be.
func (s *Store) take(ctx context.Context, n int64) error {
	return s.withRoom(ctx, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		err := s.check(n, n)
		if err == nil {
			s.putting += n
		}
		return err
	})
}

func (s *Store) untake(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putting -= n
}

// putWriter takes room for what Put and Ingest write, and ends where there is none.
type putWriter struct {
	ctx context.Context
	s   *Store
	w   io.Writer
	n   int64
}

func (w *putWriter) Write(b []byte) (int, error) {
	if err := w.s.take(w.ctx, int64(len(b))); err != nil {
		return 0, err
	}
	w.n += int64(len(b))
	return w.w.Write(b)
}

// over gives back what was taken: it is a blob now, or gone.
func (w *putWriter) over() { w.s.untake(w.n) }
