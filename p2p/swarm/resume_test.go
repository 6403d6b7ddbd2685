package swarm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// slow is a source that hands out the blob a few pieces at a time.
func (b blob) until(t testing.TB, stop chan struct{}, pieces int) *impostor {
	im := &impostor{blob: b}
	im.piece = func(index, begin, length int) []byte {
		if im.requests.Load()*int64(length) > int64(pieces)*256<<10 {
			<-stop
			return nil
		}
		return im.truth(index, begin, length)
	}
	t.Cleanup(func() { close(stop) })
	return im
}

func TestCancelKeepsThePartialAndResumeUsesIt(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 20, 8<<20)
	alice.shelf.put(bl.info, bl.source())
	tn.settle("dave", bl.until(t, make(chan struct{}), 12).accept)

	job := bl.job(t, "dave")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	job.Progress = func(p Progress) {
		if p.Done >= 10*256<<10 {
			cancel()
		}
	}
	go func() {
		_, err := bob.Fetch(ctx, job)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("cancelling does not end the fetch")
	}
	if bob.Open() != 0 {
		t.Error("the torrent stays loaded")
	}
	if !fileExists(job.Partial) {
		t.Fatal("the partial file is gone")
	}

	job.Peers, job.Progress = []string{"alice"}, nil
	res, err := bob.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	if res.Resumed < 10*256<<10 || res.Resumed+res.FromPeers["alice"] != 8<<20 {
		t.Errorf("%d bytes resumed, %d fetched", res.Resumed, res.FromPeers["alice"])
	}
	if string(res.Digest) != bl.digest() {
		t.Errorf("digest %s", res.Digest)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	const piece = 256 << 10
	bl := newBlob(t, 21, 8*piece+100)
	for name, test := range map[string]struct {
		have    func() []byte
		resumed int64
	}{
		"nothing":    {func() []byte { return nil }, 0},
		"all of it":  {func() []byte { return bl.data }, 8*piece + 100},
		"the start":  {func() []byte { return bl.data[:3*piece+1] }, 3 * piece},
		"too much":   {func() []byte { return append(append([]byte(nil), bl.data...), "more"...) }, 8*piece + 100},
		"only noise": {func() []byte { return randomBytes(99, len(bl.data)) }, 0},
		"a wrong byte": {func() []byte {
			b := append([]byte(nil), bl.data...)
			b[2*piece+5] ^= 1
			return b
		}, 7*piece + 100},
		"a hole": {func() []byte {
			b := append([]byte(nil), bl.data...)
			clear(b[4*piece : 6*piece])
			return b
		}, 6*piece + 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice"), tn.node("bob")
			alice.shelf.put(bl.info, bl.source())
			job := bl.job(t, "alice")
			if b := test.have(); b != nil {
				if err := os.WriteFile(job.Partial, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			res, err := bob.Fetch(within(t, patience), job)
			if err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
			if res.Resumed != test.resumed || res.FromPeers["alice"] != int64(len(bl.data))-test.resumed {
				t.Errorf("%d bytes resumed, want %d; %d fetched", res.Resumed, test.resumed, res.FromPeers["alice"])
			}
			if string(res.Digest) != bl.digest() {
				t.Errorf("digest %s", res.Digest)
			}
			if bob.seen.count("alice", BadPiece) != 0 {
				t.Error("alice was blamed for what the disk held")
			}
		})
	}
}

// With the info dict and all bytes there, nobody is needed.
func TestResumeAllWithoutPeers(t *testing.T) {
	t.Parallel()
	bob := newTown(t).node("bob")
	bl := newBlob(t, 22, 1<<20)
	job := bl.job(t)
	job.Info = bl.info
	if err := os.WriteFile(job.Partial, bl.data, 0o600); err != nil {
		t.Fatal(err)
	}
	res, err := bob.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	if string(res.Digest) != bl.digest() || res.Resumed != 1<<20 {
		t.Errorf("got %+v", res)
	}
}

func TestHolesAreNotTakenForData(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sparse")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 64 << 20
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 40<<20); err != nil {
		t.Fatal(err)
	}
	covered, total := false, int64(0)
	err = dataExtents(f, size, func(from, to int64) {
		total += to - from
		covered = covered || from <= 40<<20 && to > 40<<20
	})
	if err != nil || !covered {
		t.Errorf("covered %v, err %v", covered, err)
	}
	if total == size {
		t.Log("this file system or platform cannot tell holes from data")
	}
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("mounting a small tmpfs: %v", err)
		}
		t.Skipf("mounting a small tmpfs to fill up (root only): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 23, 3<<20)
	alice.shelf.put(bl.info, bl.source())
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	job := bl.job(t, "alice")
	job.Partial = filepath.Join(dir, "partial")
	res, err := bob.Fetch(within(t, patience), job)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want ENOSPC", err)
	}
	if len(res.FromPeers) == 0 {
		t.Error("nothing was kept of what fitted")
	}
	if bob.seen.count("alice", BadPiece) != 0 {
		t.Error("alice was blamed for the full disk")
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	res, err = bob.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	if res.Resumed == 0 || res.Resumed+res.FromPeers["alice"] != 3<<20 {
		t.Errorf("%d bytes resumed, %d fetched", res.Resumed, res.FromPeers["alice"])
	}
	bob.Unseed(bl.ih) // lets go of the file system
}

func TestPartialThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 24, 1<<20)
	alice.shelf.put(bl.info, bl.source())
	for name, path := range map[string]string{
		"no such directory": filepath.Join(t.TempDir(), "a", "b"),
		"a directory":       t.TempDir(),
	} {
		job := bl.job(t, "alice")
		job.Partial = path
		if _, err := bob.Fetch(within(t, patience), job); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestJobsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	bob := newTown(t).node("bob")
	bl := newBlob(t, 25, 1000)
	for name, change := range map[string]func(*Job){
		"no infohash": func(j *Job) { j.Infohash = Infohash{} },
		"no name":     func(j *Job) { j.Name = "" },
		"no size":     func(j *Job) { j.Size = 0 },
		"bad size":    func(j *Job) { j.Size = -1 },
		"no file":     func(j *Job) { j.Partial = "" },
		"bad peer":    func(j *Job) { j.Peers = []string{"1.2.3.4:80"} },
	} {
		job := bl.job(t)
		change(&job)
		if _, err := bob.Fetch(t.Context(), job); !errors.Is(err, ErrBadJob) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNobodyHasIt(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	tn.node("alice")
	bl := newBlob(t, 26, 1<<20)
	for name, job := range map[string]Job{
		"nobody known":         bl.job(t),
		"nobody there":         bl.job(t, "zoe"),
		"she does not have it": bl.job(t, "alice"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bob := tn.node(name)
			_, err := bob.Fetch(within(t, 300*time.Millisecond), job)
			if !errors.Is(err, ErrNoPeers) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("deadline: got %v", err)
			}
			job.Patience = 300 * time.Millisecond
			if _, err := bob.Fetch(within(t, patience), job); !errors.Is(err, ErrNoPeers) {
				t.Errorf("patience: got %v", err)
			}
			if fileExists(job.Partial) {
				t.Error("a file was made")
			}
		})
	}
}

func TestUnreachablePeer(t *testing.T) {
	t.Parallel()
	bob := newTown(t).node("bob")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	job := newBlob(t, 28, 1000).job(t, "zoe")
	go func() {
		_, err := bob.Fetch(ctx, job)
		done <- err
	}()
	await(t, "zoe to be missed", func() bool { return bob.seen.count("zoe", Unreachable) > 0 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNothingMoreArrives(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob")
	bl := newBlob(t, 27, 4<<20)
	tn.settle("dave", bl.until(t, make(chan struct{}), 3).accept)
	job := bl.job(t, "dave")
	job.Patience = 5 * time.Second // it must have begun by then
	if _, err := bob.Fetch(within(t, patience), job); !errors.Is(err, ErrStalled) {
		t.Errorf("got %v", err)
	}
}
