package blobs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// old makes the files of a store as old as those of an earlier process, which
// relied on them.
func old(t *testing.T, s *Store, ds ...digest.Digest) {
	t.Helper()
	then := time.Now().Add(-100 * time.Hour)
	for _, d := range ds {
		if err := os.Chtimes(s.Path(d), then, then); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		delete(s.relied, d)
		s.mu.Unlock()
	}
}

func put(t *testing.T, s *Store, seed, size int) digest.Digest {
	t.Helper()
	data := content(seed, size)
	d := digest.FromBytes(data)
	if err := s.Put(t.Context(), d, int64(size), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return d
}

// collected runs Collect with what is needed, and gives what went.
func collected(t *testing.T, s *Store, before time.Time, dry bool, needed ...digest.Digest) map[digest.Digest]int64 {
	t.Helper()
	all := map[digest.Digest]bool{}
	for _, d := range needed {
		all[d] = true
	}
	gone := map[digest.Digest]int64{}
	if err := s.Collect(before, dry, func(d digest.Digest) bool { return all[d] }, func(d digest.Digest, size int64) { gone[d] = size }); err != nil {
		t.Fatal(err)
	}
	return gone
}

// checkCount compares what the store counts with what is there.
func checkCount(t *testing.T, s *Store) {
	t.Helper()
	var n, size int64
	if err := s.Walk(func(_ digest.Digest, b int64) error {
		n++
		size += b
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Blobs != n || u.Bytes != size {
		t.Errorf("%d blobs of %d bytes are counted, and %d of %d are there", u.Blobs, u.Bytes, n, size)
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	needed, idle, young, used := put(t, s, 1, 10), put(t, s, 2, 20), put(t, s, 3, 30), put(t, s, 4, 40)
	old(t, s, needed, idle, used)
	hourAgo := time.Now().Add(-time.Hour)
	if _, err := s.Use(used); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if gone := collected(t, s, hourAgo, dry, needed); len(gone) != 1 || gone[idle] != 20 {
			t.Errorf("dry %t: %v went", dry, gone)
		}
		checkCount(t, s)
	}
	if n := checkStore(t, s); n != 3 {
		t.Errorf("%d blobs are left", n)
	}
	release := s.Lease()
	later := put(t, s, 5, 50)
	if gone := collected(t, s, time.Now(), false, needed); len(gone) != 2 || gone[young] != 30 || gone[used] != 40 {
		t.Errorf("under a lease %v went", gone)
	}
	release()
	release()
	if gone := collected(t, s, time.Now(), false, needed); len(gone) != 1 || gone[later] != 50 {
		t.Errorf("after the lease %v went", gone)
	}
	checkCount(t, s)
}

// What is put when it is here already, adopted, committed or found is relied on.
func TestCollectSparesWhatIsFound(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, 100)
	d := digest.FromBytes(data)
	for name, find := range map[string]func() error{
		"put":   func() error { return s.Put(t.Context(), d, 100, bytes.NewReader(data)) },
		"adopt": func() error { return s.Adopt(t.Context(), d, 100) },
		"reserve": func() error {
			release, err := s.Reserve(t.Context(), []Want{{d, 100}})
			if err == nil {
				release()
			}
			return err
		},
		"upload": func() error { return runUpload(t.Context(), s, data) },
	} {
		put(t, s, 1, 100)
		old(t, s, d)
		if err := find(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if gone := collected(t, s, time.Now().Add(-time.Hour), false); len(gone) > 0 {
			t.Errorf("%s: it went", name)
		}
	}
}

// While a collector removes all that it can, those who brought or found a blob under
// a lease keep it until they let go.
func TestCollectWhileOthersStore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	stop := make(chan struct{})
	var collector, workers sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.Collect(time.Now(), false, func(digest.Digest) bool { return false }, func(digest.Digest, int64) {}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 8 {
		workers.Go(func() {
			for j := range 40 {
				release := s.Lease()
				data := content(i%3*100+j%5, 3000)
				d := digest.FromBytes(data)
				err := s.Put(t.Context(), d, 3000, bytes.NewReader(data))
				if err == nil {
					err = s.Verify(t.Context(), d)
				}
				release()
				if err != nil {
					t.Errorf("worker %d, step %d: %v", i, j, err)
					return
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	collector.Wait()
	checkStore(t, s)
	checkCount(t, s)
	collected(t, s, time.Now().Add(time.Hour), false)
	if n := checkStore(t, s); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}

func TestCollectPartials(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	going, left := content(1, 8192), content(2, 8192)
	for _, data := range [][]byte{going, left} {
		if err := os.WriteFile(s.Partial(digest.FromBytes(data)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Staged != 16384 {
		t.Errorf("%d bytes are staged, want 16384", u.Staged)
	}
	release, err := s.Reserve(t.Context(), []Want{{digest.FromBytes(going), 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.Usage(); u.Staged != 18192 {
		t.Errorf("%d bytes are staged, want 18192", u.Staged)
	}
	var gone []digest.Digest
	collect := func() {
		if err := s.CollectPartials(time.Now().Add(time.Hour), false, func(d digest.Digest, _ int64) { gone = append(gone, d) }); err != nil {
			t.Fatal(err)
		}
	}
	collect()
	if len(gone) != 1 || gone[0] != digest.FromBytes(left) {
		t.Errorf("%v went", gone)
	}
	release()
	if u := s.Usage(); u.Staged != 8192 {
		t.Errorf("%d bytes are staged, want 8192", u.Staged)
	}
	collect()
	if u := s.Usage(); u.Staged != 0 || len(gone) != 2 {
		t.Errorf("%d bytes are staged, %v went", u.Staged, gone)
	}
}

// What nobody goes on with is dropped, and counted no more.
func TestDropPartial(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, 8192)
	d := digest.FromBytes(data)
	release, err := s.Reserve(t.Context(), []Want{{d, 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Partial(d), data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{10_000, 0} {
		if err := s.DropPartial(d); err != nil {
			t.Fatal(err)
		}
		if u := s.Usage(); u.Staged != want {
			t.Errorf("%d bytes are staged, want %d", u.Staged, want)
		}
		release()
	}
	if err := s.DropPartial(d); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := os.Stat(s.Partial(d)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// The count is right after each change to the disk that fails.
func TestFaultsAreCounted(t *testing.T) {
	t.Parallel()
	data := faultData()
	for _, op := range operations {
		for _, apply := range []bool{false, true} {
			for n := 0; ; n++ {
				dir := t.TempDir()
				if err := op.setup(dir, data); err != nil {
					t.Fatal(err)
				}
				s, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				fault, ops := failAt(n, apply, errors.New("broken"))
				s.files = &faulty{fault: fault}
				_ = op.run(t.Context(), s, data)
				checkCount(t, s)
				if s.putting != 0 {
					t.Errorf("%s: %d bytes are left to be put", op.name, s.putting)
				}
				if t.Failed() {
					t.Fatalf("%s, change %d, applied %t", op.name, n, apply)
				}
				if len(*ops) <= n {
					break
				}
			}
		}
	}
}

// Who held a lease while it was looked what is needed has said meanwhile that it
// needs what it brought, and let the lease go.
func TestCollectSparesLeasesThatEnd(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	release := s.Lease()
	d := put(t, s, 9, 100)
	before := s.Cutoff(time.Now().Add(time.Hour))
	release()
	none := func(digest.Digest) bool { return false }
	if err := s.Collect(before, false, none, func(d digest.Digest, _ int64) { t.Errorf("%s went", d) }); err != nil {
		t.Fatal(err)
	}
	gone := 0
	if err := s.Collect(s.Cutoff(time.Now().Add(time.Hour)), false, none, func(digest.Digest, int64) { gone++ }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(d); gone != 1 || !errors.Is(err, ErrNotFound) {
		t.Errorf("%d went the next time: %v", gone, err)
	}
}
