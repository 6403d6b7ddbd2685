package blobs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	stdhash "hash"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
)

// UploadLimits bound what unfinished uploads may take.
type UploadLimits struct {
	// Sessions is how many uploads may be under way at once. Default 1024.
	Sessions int
	// Bytes is how many bytes all of them together may have. Default 256 GiB.
	Bytes int64
	// Idle is how long nothing may come before an upload is given up. Default a
	// day.
	Idle time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (l UploadLimits) filled() UploadLimits {
	if l.Sessions <= 0 {
		l.Sessions = 1024
	}
	if l.Bytes <= 0 {
		l.Bytes = 256 << 30
	}
	if l.Idle <= 0 {
		l.Idle = 24 * time.Hour
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	return l
}

// Uploads are blobs that come in pieces, of which the digest is told last. The
// bytes are hashed as they come, so that none is read again; only those of an
// upload that is older than this process are, once.
//
// An upload belongs to a scope, whatever its caller means by that: under another
// one it does not exist. Its file says by its size how far it has come, after a
// crash too. After a loss of power less may be there, or other bytes: then the
// digest does not match.
type Uploads struct {
	store  *Store
	limits UploadLimits

	mu    sync.Mutex
	open  map[string]*upload // by file name
	bytes atomic.Int64       // of all that are open
}

// upload is one of them.
type upload struct {
	path string
	turn chan struct{} // holds a token while somebody works on it

	size atomic.Int64
	used atomic.Int64 // when something came last, in nanoseconds since 1970
	gone atomic.Bool  // cancelled or committed

	// These belong to whoever holds the token.
	alg digest.Algorithm
	sum stdhash.Hash // of all bytes; nil when it is not known
}

// OffsetError says where an upload goes on. It is an ErrOffset.
type OffsetError struct{ Size int64 }

func (e *OffsetError) Error() string {
	return fmt.Sprintf("%v: it has %d bytes", ErrOffset, e.Size)
}

// Is makes errors.Is(err, ErrOffset) true.
func (e *OffsetError) Is(target error) bool { return target == ErrOffset }

// Uploads takes over the uploads that are there. There may be one Uploads of a
// store at a time.
func (s *Store) Uploads(limits UploadLimits) (*Uploads, error) {
	u := &Uploads{store: s, limits: limits.filled(), open: map[string]*upload{}}
	entries, err := os.ReadDir(s.uploadDir())
	if err != nil {
		return nil, fmt.Errorf("listing uploads: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		up := u.newUpload(entry.Name())
		up.size.Store(info.Size())
		up.used.Store(info.ModTime().UnixNano())
		u.bytes.Add(info.Size())
		u.open[entry.Name()] = up
	}
	_, err = u.Expire()
	s.mu.Lock()
	s.uploads = u
	s.mu.Unlock()
	return u, err
}

func (u *Uploads) newUpload(name string) *upload {
	up := &upload{path: filepath.Join(u.store.uploadDir(), name), turn: make(chan struct{}, 1), alg: digest.SHA256}
	up.used.Store(u.limits.Now().UnixNano())
	return up
}

// Begin makes an empty upload and returns its id, a random UUID. The algorithm is
// that of the digest which is expected; another one costs a second reading.
func (u *Uploads) Begin(scope string, alg digest.Algorithm) (id string, err error) {
	if err := checkAlgorithm(alg); err != nil {
		return "", err
	}
	id = newID()
	name := uploadName(scope, id)
	up := u.newUpload(name)
	up.alg = alg
	if err := u.admit(name, up); err != nil {
		return "", err
	}
	if err := u.store.files.Begin(up.path); err != nil {
		u.forget(up)
		return "", errors.Join(fmt.Errorf("beginning an upload: %w", noSpace(err)), u.store.discard(up.path))
	}
	return id, nil
}

// admit takes a place among the uploads, if need be that of an expired one.
func (u *Uploads) admit(name string, up *upload) error {
	full := func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		if len(u.open) >= u.limits.Sessions {
			return true
		}
		u.open[name] = up
		return false
	}
	if !full() {
		return nil
	}
	if _, err := u.Expire(); err != nil {
		return err
	}
	if full() {
		return fmt.Errorf("%w: %d", ErrTooManyUploads, u.limits.Sessions)
	}
	return nil
}

// Size tells how many bytes of an upload are here, or [ErrNoUpload].
func (u *Uploads) Size(scope, id string) (int64, error) {
	up, err := u.find(scope, id)
	if err != nil {
		return 0, err
	}
	return up.size.Load(), nil
}

func (u *Uploads) find(scope, id string) (*upload, error) {
	if !idGrammar.MatchString(id) {
		return nil, fmt.Errorf("%w: not the id of one", ErrNoUpload)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	up, ok := u.open[uploadName(scope, id)]
	if !ok || up.gone.Load() {
		return nil, fmt.Errorf("%w: %s", ErrNoUpload, id)
	}
	return up, nil
}

// take finds an upload and waits for its turn until ctx ends.
func (u *Uploads) take(ctx context.Context, scope, id string) (*upload, error) {
	up, err := u.find(scope, id)
	if err != nil {
		return nil, err
	}
	select {
	case up.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %s: %w", ErrUploadBusy, id, ctx.Err())
	}
	if up.gone.Load() {
		<-up.turn
		return nil, fmt.Errorf("%w: %s", ErrNoUpload, id)
	}
	return up, nil
}

func (u *Uploads) release(up *upload) {
	up.used.Store(u.limits.Now().UnixNano())
	<-up.turn
}

// Cancel drops an upload, even one that is being written to.
func (u *Uploads) Cancel(scope, id string) error {
	up, err := u.find(scope, id)
	if err != nil {
		return err
	}
	if err := u.drop(up); err != nil {
		return fmt.Errorf("cancelling an upload: %w", err)
	}
	return nil
}

// drop removes an upload. What is still being written goes to a file without a
// name.
func (u *Uploads) drop(up *upload) error {
	u.forget(up)
	return u.store.discard(up.path)
}

// forget takes an upload off the list, once.
func (u *Uploads) forget(up *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up.gone.Swap(true) {
		return
	}
	delete(u.open, filepath.Base(up.path))
	u.bytes.Add(-up.size.Load())
}

// Expire drops uploads to which nothing has come for too long, and tells how
// many.
func (u *Uploads) Expire() (int, error) {
	before := u.limits.Now().Add(-u.limits.Idle).UnixNano()
	var old []*upload
	u.mu.Lock()
	for _, up := range u.open {
		if up.used.Load() < before && len(up.turn) == 0 {
			old = append(old, up)
		}
	}
	u.mu.Unlock()
	var errs []error
	for _, up := range old {
		if err := u.drop(up); err != nil {
			errs = append(errs, fmt.Errorf("dropping an expired upload: %w", err))
		}
	}
	return len(old), errors.Join(errs...)
}

// Usage tells how many uploads are under way, and their bytes.
func (u *Uploads) Usage() (sessions int, bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.open), u.bytes.Load()
}

var idGrammar = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// newID is a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// uploadName is what the file of an upload is called: a digest of its scope, and
// its id.
func uploadName(scope, id string) string {
	sum := sha256.Sum256([]byte(scope))
	return hex.EncodeToString(sum[:8]) + "-" + id
}

// exists tells whether a file is there that can be an upload.
func exists(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeType == 0
}
