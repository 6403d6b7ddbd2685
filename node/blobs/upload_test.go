package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/opencontainers/go-digest"
)

func newUploads(t *testing.T, s *Store, limits UploadLimits) *Uploads {
	t.Helper()
	u, err := s.Uploads(limits)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func begin(t *testing.T, u *Uploads, alg digest.Algorithm) string {
	t.Helper()
	id, err := u.Begin("a", alg)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func appendTo(t *testing.T, u *Uploads, id string, from int64, data []byte) (int64, error) {
	t.Helper()
	return u.Append(t.Context(), t.Context(), "a", id, from, iotest.HalfReader(bytes.NewReader(data)))
}

// checkUploads demands that what is counted is what is there.
func checkUploads(t *testing.T, u *Uploads, sessions int) {
	t.Helper()
	files, err := os.ReadDir(u.store.uploadDir())
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if n, bytes := u.Usage(); n != sessions || len(files) != sessions || bytes != size {
		t.Errorf("%d uploads of %d bytes, %d files of %d bytes, want %d", n, bytes, len(files), size, sessions)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	data := content(1, 3*chunk+5)
	for _, expected := range algorithms {
		for _, alg := range algorithms {
			for _, restart := range []bool{false, true} {
				s := newStore(t)
				u := newUploads(t, s, UploadLimits{})
				id := begin(t, u, expected)
				if n, err := appendTo(t, u, id, 0, data[:chunk+1]); err != nil || n != chunk+1 {
					t.Fatalf("%d, %v", n, err)
				}
				if restart {
					u = newUploads(t, s, UploadLimits{})
				}
				var off *OffsetError
				if _, err := appendTo(t, u, id, chunk, data); !errors.As(err, &off) || off.Size != chunk+1 || !errors.Is(err, ErrOffset) {
					t.Errorf("out of order: %v", err)
				}
				if n, err := appendTo(t, u, id, -1, data[chunk+1:]); err != nil || n != int64(len(data)) {
					t.Fatalf("%d, %v", n, err)
				}
				d := alg.FromBytes(data)
				if n, err := u.Commit(t.Context(), "a", id, d); err != nil || n != int64(len(data)) {
					t.Fatalf("%d, %v", n, err)
				}
				if !bytes.Equal(mustRead(t, s, d), data) {
					t.Error("content differs")
				}
				if info, err := os.Stat(s.Path(d)); err != nil || info.Mode() != mode {
					t.Errorf("mode %v, %v", info.Mode(), err)
				}
				checkUploads(t, u, 0)
				if _, err := u.Commit(t.Context(), "a", id, d); !errors.Is(err, ErrNoUpload) {
					t.Errorf("committed twice: %v", err)
				}
			}
		}
	}
}

func TestUploadRefusals(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	u := newUploads(t, s, UploadLimits{})
	id := begin(t, u, digest.SHA256)
	if _, err := appendTo(t, u, id, 0, []byte("content")); err != nil {
		t.Fatal(err)
	}
	for _, other := range [][2]string{{"b", id}, {"a", newID()}, {"a", "../" + id}, {"a", strings.ToUpper(id)}, {"a", ""}, {"a", id + "\x00"}} {
		_, sizeErr := u.Size(other[0], other[1])
		_, appendErr := u.Append(t.Context(), t.Context(), other[0], other[1], -1, strings.NewReader("x"))
		_, commitErr := u.Commit(t.Context(), other[0], other[1], digest.FromString("content"))
		for _, err := range []error{sizeErr, appendErr, commitErr, u.Cancel(other[0], other[1])} {
			if !errors.Is(err, ErrNoUpload) {
				t.Errorf("%q: %v", other, err)
			}
		}
	}
	if _, err := u.Commit(t.Context(), "a", id, "sha256:../../x"); !errors.Is(err, ErrBadDigest) {
		t.Errorf("commit as a path: %v", err)
	}
	if _, err := u.Begin("a", "md5"); !errors.Is(err, ErrBadDigest) {
		t.Errorf("begin with md5: %v", err)
	}
	if _, err := u.Commit(t.Context(), "a", id, digest.FromString("other")); !errors.Is(err, ErrDigestMismatch) {
		t.Errorf("commit as another: %v", err)
	}
	checkUploads(t, u, 0)
	if n := checkStore(t, s); n != 0 {
		t.Errorf("%d blobs", n)
	}
}

// What came before a connection broke stays.
func TestUploadCut(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	u := newUploads(t, s, UploadLimits{})
	data := content(1, chunk+100)
	id := begin(t, u, digest.SHA256)
	cut := errors.New("connection reset")
	n, err := u.Append(t.Context(), t.Context(), "a", id, 0, io.MultiReader(bytes.NewReader(data[:chunk+10]), iotest.ErrReader(cut)))
	if !errors.Is(err, cut) || n != chunk+10 {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := appendTo(t, u, id, n, data[n:]); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(t.Context(), "a", id, digest.FromBytes(data)); err != nil {
		t.Error(err)
	}
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := time.Now()
	limits := UploadLimits{Sessions: 2, Bytes: 100, Idle: time.Hour, Now: func() time.Time { return now }}
	u := newUploads(t, s, limits)
	first, second := begin(t, u, digest.SHA256), begin(t, u, digest.SHA256)
	if _, err := u.Begin("a", digest.SHA256); !errors.Is(err, ErrTooManyUploads) {
		t.Errorf("a third: %v", err)
	}
	if _, err := appendTo(t, u, first, 0, content(1, 60)); err != nil {
		t.Fatal(err)
	}
	if _, err := appendTo(t, u, second, 0, content(1, 60)); !errors.Is(err, ErrTooManyUploads) {
		t.Errorf("120 bytes: %v", err)
	}
	checkUploads(t, u, 2)
	u = newUploads(t, s, limits) // after a restart they count
	if _, err := appendTo(t, u, second, 0, content(1, 60)); !errors.Is(err, ErrTooManyUploads) {
		t.Errorf("120 bytes after a restart: %v", err)
	}
	now = now.Add(50 * time.Minute)
	if _, err := appendTo(t, u, first, 60, nil); err != nil {
		t.Fatal(err)
	}
	now = now.Add(50 * time.Minute)
	if n, err := u.Expire(); n != 1 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
	if _, err := u.Size("a", first); err != nil {
		t.Errorf("the one in use expired: %v", err)
	}
	checkUploads(t, u, 1)
}

// An upload is cancelled while it is being written to, and one writer at a time
// writes to it.
func TestUploadConcurrent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	u := newUploads(t, s, UploadLimits{})
	id := begin(t, u, digest.SHA256)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := u.Append(t.Context(), t.Context(), "a", id, -1, r)
		done <- err
	}()
	if _, err := w.Write(content(1, chunk)); err != nil {
		t.Fatal(err)
	}
	wait, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Append(t.Context(), wait, "a", id, -1, strings.NewReader("x")); !errors.Is(err, ErrUploadBusy) {
		t.Errorf("a second writer: %v", err)
	}
	if err := u.Cancel("a", id); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := <-done; err != nil && !errors.Is(err, ErrNoUpload) {
		t.Error(err)
	}
	checkUploads(t, u, 0)

	var wg sync.WaitGroup
	data := content(2, 2*chunk)
	for range 16 { // all upload the same
		wg.Go(func() {
			id, err := u.Begin("a", digest.SHA256)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := u.Append(t.Context(), t.Context(), "a", id, 0, bytes.NewReader(data)); err != nil {
				t.Error(err)
			}
			if _, err := u.Commit(t.Context(), "a", id, digest.FromBytes(data)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkUploads(t, u, 0)
	if n := checkStore(t, s); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

// What a full disk took in part is known, so that the upload can go on.
func TestUploadOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(3, 2*chunk)
	u := newUploads(t, s, UploadLimits{})
	id := begin(t, u, digest.SHA256)
	full := true
	s.files = &faulty{fault: func(op string) (bool, error) {
		if op == "write" && full {
			return false, syscall.ENOSPC
		}
		return true, nil
	}}
	n, err := appendTo(t, u, id, 0, data)
	if !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) || n != chunk/2 {
		t.Fatalf("%d, %v", n, err)
	}
	checkUploads(t, u, 1)
	full = false
	if _, err := appendTo(t, u, id, n, data[n:]); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Commit(t.Context(), "a", id, digest.FromBytes(data)); err != nil {
		t.Error(err)
	}
}

func BenchmarkUpload(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	u, err := s.Uploads(UploadLimits{})
	if err != nil {
		b.Fatal(err)
	}
	data := content(1, 64<<20)
	b.SetBytes(int64(len(data)))
	for i := range b.N {
		data[0], data[1], data[2] = byte(i), byte(i>>8), byte(i>>16)
		d := digest.FromBytes(data)
		id, err := u.Begin("a", digest.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := u.Append(b.Context(), b.Context(), "a", id, 0, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
		if _, err := u.Commit(b.Context(), "a", id, d); err != nil {
			b.Fatal(err)
		}
		if err := s.Delete(d); err != nil {
			b.Fatal(err)
		}
	}
}
