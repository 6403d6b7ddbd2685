package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

func TestQuota(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.SetLimits(Limits{Quota: 1000}, nil)
	first := put(t, s, 1, 600)
	data := content(2, 401)
	d := digest.FromBytes(data)
	isFull := func(what string, err error) {
		t.Helper()
		var e *QuotaError
		if !errors.As(err, &e) || !errors.Is(err, ErrQuota) || e.Quota != 1000 {
			t.Errorf("%s: %v", what, err)
		}
	}
	isFull("put", s.Put(t.Context(), d, 401, bytes.NewReader(data)))
	_, _, err := s.Ingest(t.Context(), digest.SHA256, bytes.NewReader(data))
	isFull("ingest", err)
	isFull("upload", runUpload(t.Context(), s, data))
	isFull("fits", s.Fits(t.Context(), 401))
	_, err = s.Reserve(t.Context(), []Want{{d, 401}})
	isFull("reserve", err)
	if u := s.Usage(); u.Bytes != 600 || u.Used() != 600+200 { // half of the upload came before there was no room
		t.Errorf("used: %+v", u)
	}
	if err := s.Put(t.Context(), first, 600, nil); err != nil {
		t.Errorf("what is here does not fit: %v", err)
	}
	release, err := s.Reserve(t.Context(), []Want{{first, 600}, {digest.FromString("x"), 200}})
	if err != nil {
		t.Fatal(err)
	}
	isFull("beside what is set aside", s.Fits(t.Context(), 1))
	release()
	release()
	if err := s.Fits(t.Context(), 200); err != nil {
		t.Error(err)
	}
	s.SetLimits(Limits{Quota: 100}, nil) // which is used up already
	if release, err = s.Reserve(t.Context(), []Want{{first, 600}}); err != nil {
		t.Errorf("reserving nothing: %v", err)
	}
	release()
}

// A download takes its room over from what was set aside for it.
func TestReservedRoomBecomesBlobs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.SetLimits(Limits{Quota: 20_000}, nil)
	data := content(1, 9000)
	w := Want{digest.FromBytes(data), 9000}
	one, err := s.Reserve(t.Context(), []Want{w})
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Reserve(t.Context(), []Want{w, {digest.FromString("x"), 11_000}}) // the same one counts once
	if err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Used() != 20_000 {
		t.Errorf("used: %+v", u)
	}
	if err := os.WriteFile(s.Partial(w.Digest), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), w.Digest, w.Size); err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Bytes != 9000 || u.Used() != 20_000 {
		t.Errorf("used: %+v", u)
	}
	one()
	two()
	if u := s.Usage(); u.Bytes != 9000 || u.Used() != 9000 {
		t.Errorf("used: %+v", u)
	}
	checkCount(t, s)
}

// Many who want the last of the room: it is made once and again, and never more is
// taken than there is.
func TestRoomIsMade(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	const quota = 50_000
	s.SetLimits(Limits{Quota: quota}, func(_ context.Context, need int64) {
		freed := int64(0)
		err := s.Collect(time.Now(), false, func(digest.Digest) bool { return freed >= need }, func(_ digest.Digest, n int64) { freed += n })
		if err != nil {
			t.Error(err)
		}
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				data := content(i*100+j, 5000)
				err := s.Put(t.Context(), digest.FromBytes(data), 5000, bytes.NewReader(data))
				if err != nil && !errors.Is(err, ErrQuota) { // others were faster
					t.Error(err)
				}
				if u := s.Usage(); u.Bytes > quota {
					t.Errorf("%d bytes of %d are used", u.Bytes, quota)
				}
			}
		})
	}
	wg.Wait()
	checkStore(t, s)
	checkCount(t, s)
	if u := s.Usage(); u.Blobs == 0 || u.Staged != 0 {
		t.Errorf("used: %+v", u)
	}
}

// Bytes that are just being written have their room already.
func TestRoomIsTakenOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.SetLimits(Limits{Quota: 5000}, nil)
	first := &putWriter{ctx: t.Context(), s: s}
	first.w = writerFunc(func(b []byte) (int, error) {
		second := &putWriter{ctx: t.Context(), s: s, w: io.Discard}
		if n, err := second.Write(make([]byte, 1000)); n != 0 || !errors.Is(err, ErrQuota) {
			t.Errorf("wrote %d bytes beside the last that fit: %v", n, err)
		}
		second.over()
		return len(b), nil
	})
	if n, err := first.Write(make([]byte, 5000)); n != 5000 || err != nil {
		t.Errorf("wrote %d bytes: %v", n, err)
	}
	first.over()
	if u := s.Usage(); u.Used() != 0 {
		t.Errorf("used: %+v", u)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// What is to be left free of a disk is.
func TestKeepFree(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	s, err := Open(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	s.SetLimits(Limits{KeepFree: 500 << 10}, nil)
	kept := put(t, s, 1, 300<<10)
	data := content(2, 300<<10)
	if err := s.Put(t.Context(), digest.FromBytes(data), -1, bytes.NewReader(data)); !errors.Is(err, ErrNoSpace) || errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put into what is to be left free: %v", err)
	}
	s.SetLimits(Limits{KeepFree: 500 << 10}, func(context.Context, int64) {
		if err := s.Delete(kept); err != nil {
			t.Error(err)
		}
	})
	if err := s.Put(t.Context(), digest.FromBytes(data), -1, bytes.NewReader(data)); err != nil {
		t.Errorf("Put when room can be made: %v", err)
	}
	if u := s.Usage(); u.Free < 500<<10 || u.Disk != 1<<20 {
		t.Errorf("usage: %+v", u)
	}
	checkCount(t, s)
}
