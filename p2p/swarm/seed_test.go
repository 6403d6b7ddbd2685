package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Who takes a torrent back while it is being fetched does not end the fetch, and
// has nothing of it served afterwards.
func TestUnseedLeavesAFetch(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 98, 2<<20)
	more := make(chan string)
	job := bl.job(t)
	job.MorePeers = more
	done := make(chan error, 1)
	go func() {
		_, err := bob.Fetch(within(t, patience), job)
		done <- err
	}()
	await(t, "bob to fetch", func() bool { return bob.Open() == 1 })
	bob.Unseed(bl.ih)
	alice.shelf.put(bl.info, bl.source())
	more <- "alice"
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	if bob.Open() != 0 {
		t.Error("it is still served")
	}
}

func TestSeedingHashesAndCopiesNothing(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 40, 1<<20)
	var opened, closed atomic.Int64
	src := Source{Size: 1 << 20, Open: func() (io.ReaderAt, io.Closer, error) {
		opened.Add(1)
		return bl.reader().(io.ReaderAt), closerFunc(func() error { closed.Add(1); return nil }), nil
	}}
	if err := alice.Seed(t.Context(), bl.info, []Source{src}); err != nil {
		t.Fatal(err)
	}
	if opened.Load() != 0 || alice.Open() != 0 {
		t.Error("seeding opened the file before anybody asked")
	}
	job := bl.job(t, "alice")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	if opened.Load() != 1 {
		t.Errorf("opened %d times", opened.Load())
	}
	if got := bob.Stats(); got.Received-got.Wasted != 1<<20 || got.Sent != 0 {
		t.Errorf("the fetching side counted %+v", got)
	}
	if got := alice.Stats(); got.Sent < 1<<20 || got.Received != 0 {
		t.Errorf("the seeding side counted %+v", got)
	}
	alice.Unseed(bl.ih)
	if closed.Load() != 1 || alice.Open() != 0 {
		t.Errorf("closed %d times, %d open", closed.Load(), alice.Open())
	}
	bob.Unseed(bl.ih)
	if _, err := bob.Fetch(within(t, 300*time.Millisecond), bl.job(t, "alice")); !errors.Is(err, ErrNoPeers) {
		t.Errorf("after Unseed: got %v", err)
	}
}

// Not parallel: it counts goroutines, and runs before the parallel tests go on.
func TestCloseLeavesNothingBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("life", func(t *testing.T) {
		tn := newTown(t)
		alice, bob := tn.node("alice", ordinary), tn.node("bob")
		al := newAlbum(t, 160)
		if err := alice.Seed(t.Context(), al.info, al.files); err != nil {
			t.Fatal(err)
		}
		bl := newBlob(t, 61, 2<<20)
		alice.shelf.put(bl.info, bl.source())
		if _, err := bob.Fetch(within(t, patience), bl.job(t, "alice")); err != nil {
			t.Fatal(err)
		}
		job := Job{Infohash: al.ih, Name: al.name, Addrs: []string{alice.Addr()}, Public: true, Partial: filepath.Join(t.TempDir(), "partial")}
		if _, err := bob.Fetch(within(t, patience), job); err != nil {
			t.Fatal(err)
		}
		lost := newBlob(t, 62, 1000)
		if _, err := bob.Fetch(within(t, 300*time.Millisecond), lost.job(t, "alice", "zoe")); err == nil {
			t.Fatal("found what nobody has")
		}
	})
	await(t, "all goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// What Config.Resolve knows is not kept in memory as well.
func TestSeedKeepsNoSecondCopy(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 63, 1000)
	alice.shelf.put(bl.info, bl.source())
	if err := alice.Seed(t.Context(), bl.info, []Source{bl.source()}); err != nil {
		t.Fatal(err)
	}
	if alice.seeds[bl.ih].info != nil {
		t.Error("the info dict is kept")
	}
	if _, err := bob.Fetch(within(t, patience), bl.job(t, "alice")); err != nil {
		t.Fatal(err)
	}
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

func TestSeedRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	alice := newTown(t).node("alice")
	bl := newBlob(t, 41, 1000)
	for name, err := range map[string]error{
		"no dict":     alice.Seed(t.Context(), nil, []Source{bl.source()}),
		"no files":    alice.Seed(t.Context(), bl.info, nil),
		"other size":  alice.Seed(t.Context(), bl.info, []Source{{Size: 999}}),
		"other shape": alice.Seed(t.Context(), append([]byte("d7:privatei1e"), bl.info[1:]...), []Source{bl.source()}),
	} {
		if !errors.Is(err, ErrBadInfo) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The publisher goes away; whoever fetched serves it on, from the file it wrote,
// also after the file was renamed.
func TestFetchedLayersAreServedOn(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob, carol := tn.node("alice"), tn.node("bob"), tn.node("carol")
	bl := newBlob(t, 42, 2<<20)
	alice.shelf.put(bl.info, bl.source())
	job := bl.job(t, "alice")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	if err := alice.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(job.Partial, job.Partial+".adopted"); err != nil {
		t.Fatal(err)
	}
	job = bl.job(t, "alice", "bob")
	res, err := carol.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	if res.FromPeers["bob"] != 2<<20 {
		t.Errorf("from %v", res.FromPeers)
	}
}

// Fetchers serve each other while they fetch.
func TestFetchersServeEachOther(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	slow := func(c *Config) { c.UploadLimit = 8 << 20 }
	alice := tn.node("alice", slow)
	bl := newBlob(t, 43, 12<<20)
	alice.shelf.put(bl.info, bl.source())
	names := []string{"bob", "carol", "dave"}
	for _, n := range names {
		tn.node(n)
	}
	var wg sync.WaitGroup
	var fromEachOther atomic.Int64
	for _, n := range names {
		r := tn.residents()[n]
		job := bl.job(t, "alice", "bob", "carol", "dave")
		wg.Go(func() {
			res, err := r.Fetch(within(t, patience), job)
			if err != nil {
				t.Error(err)
				return
			}
			for p, n := range res.FromPeers {
				if p != "alice" {
					fromEachOther.Add(n)
				}
			}
		})
	}
	wg.Wait()
	if fromEachOther.Load() == 0 {
		t.Error("everything came from alice")
	}
}

func TestIdleTorrentsAreClosed(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice := tn.node("alice", func(c *Config) { c.Idle = 500 * time.Millisecond })
	bob := tn.node("bob", func(c *Config) { c.Idle = 500 * time.Millisecond })
	bl := newBlob(t, 44, 1<<20)
	alice.shelf.put(bl.info, bl.source())
	for range 2 { // and are opened again when somebody asks
		if _, err := bob.Fetch(within(t, patience), bl.job(t, "alice")); err != nil {
			t.Fatal(err)
		}
		await(t, "both to close it", func() bool { return alice.Open() == 0 && bob.Open() == 0 })
	}
}

func TestOnlyOneFetchOfATorrent(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob")
	bl := newBlob(t, 45, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := bob.Fetch(ctx, bl.job(t))
		done <- err
	}()
	await(t, "the first to begin", func() bool { return bob.Open() == 1 })
	if _, err := bob.Fetch(t.Context(), bl.job(t)); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsFetches(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob")
	bl := newBlob(t, 46, 1<<20)
	done := make(chan error, 1)
	go func() {
		_, err := bob.Fetch(t.Context(), bl.job(t))
		done <- err
	}()
	await(t, "it to begin", func() bool { return bob.Open() == 1 })
	if err := bob.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := bob.Fetch(t.Context(), bl.job(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	if err := bob.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// A blob that cannot be read any more is not served, and harms nobody.
func TestSourceThatFails(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, carol, bob := tn.node("alice"), tn.node("carol"), tn.node("bob")
	bl := newBlob(t, 47, 2<<20)
	alice.shelf.put(bl.info, Source{Size: 2 << 20, Open: func() (io.ReaderAt, io.Closer, error) {
		return nil, nil, os.ErrNotExist
	}})
	carol.shelf.put(bl.info, Source{Size: 2 << 20, Open: func() (io.ReaderAt, io.Closer, error) {
		return io.NewSectionReader(bl.reader().(io.ReaderAt), 0, 1<<20), io.NopCloser(nil), nil // cut short
	}})
	job := bl.job(t, "alice", "carol")
	job.Patience = time.Second
	if _, err := bob.Fetch(within(t, patience), job); err == nil {
		t.Fatal("fetched what nobody can read")
	}
	dave := tn.node("dave")
	dave.shelf.put(bl.info, bl.source())
	job.Peers = append(job.Peers, "dave")
	job.Patience = 0
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
}

func TestManyLayersAtOnce(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	var wg sync.WaitGroup
	for i := range 40 {
		bl := newBlob(t, uint64(1000+i), 100_000+i)
		alice.shelf.put(bl.info, bl.source())
		job := bl.job(t, "alice")
		wg.Go(func() {
			if _, err := bob.Fetch(within(t, patience), job); err != nil {
				t.Error(err)
				return
			}
			bl.check(t, job.Partial)
		})
	}
	wg.Wait()
}

func TestMaxOpen(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice := tn.node("alice", func(c *Config) { c.MaxOpen = 3 })
	for i := range 5 {
		bl := newBlob(t, uint64(50+i), 1000)
		alice.shelf.put(bl.info, bl.source())
		alice.load(bl.ih)
		if n := alice.Open(); n > 3 {
			t.Fatalf("%d open", n)
		}
	}
	alice.mu.Lock()
	for _, e := range alice.open {
		e.touched = e.touched.Add(-time.Hour)
	}
	alice.mu.Unlock()
	bl := newBlob(t, 60, 1000)
	alice.shelf.put(bl.info, bl.source())
	if !alice.load(bl.ih) || alice.Open() != 3 {
		t.Errorf("%d open, and the old ones did not make room", alice.Open())
	}
}

// fileSource is a blob file, as the blob store has them.
func fileSource(t testing.TB, data []byte, path ...string) Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), fmt.Sprint(len(data)))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{Path: path, Size: int64(len(data)), Open: func() (io.ReaderAt, io.Closer, error) {
		f, err := os.Open(file)
		return f, f, err
	}}
}
