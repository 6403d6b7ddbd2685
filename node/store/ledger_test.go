package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// ledgers is how the suites open and reopen the logs of a store.
var ledgers = ledgertest.Harness[ledger.Store]{
	Open: func(t *testing.T) ledger.Store { return open(t).Ledgers() },
	Reopen: func(t *testing.T, s ledger.Store) ledger.Store {
		old := s.(Ledgers).s
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}
		return openAt(t, old.dir).Ledgers()
	},
}

func TestLedgersConform(t *testing.T) {
	t.Parallel()
	ledgertest.TestStore(t, ledgers)
}

func TestLedgersSweep(t *testing.T) {
	t.Parallel()
	ledgertest.TestSweep(t, ledgers)
}

func TestCommitAfterClose(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context(), author("a"), 0, nil, nil, nil, ledger.Head{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestCommitRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	l := open(t).Ledgers()
	for name, h := range map[string]ledger.Head{
		"size":          {Size: 2, Checkpoint: []byte("x")},
		"no checkpoint": {Size: 1},
	} {
		err := l.Commit(t.Context(), author("a"), 0, [][]byte{[]byte("leaf")}, make([]tlog.Hash, 1), nil, h)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", name, err)
		}
	}
}

// Commits of many authors at once are all applied, and while the disk is busy
// they share transactions; closing meanwhile loses none that was acknowledged.
func TestCloseWhileCommitting(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	var acknowledged atomic.Int64
	var started, done sync.WaitGroup
	for w := range 16 {
		started.Add(1)
		done.Go(func() {
			started.Done()
			for i := range 10_000 {
				err := commitOne(t.Context(), l, author(fmt.Sprint(w, "/", i)))
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	started.Wait()
	for acknowledged.Load() < 100 {
		if err := commitOne(t.Context(), l, author(fmt.Sprint("main", acknowledged.Add(1)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	done.Wait()
	heads, err := openAt(t, s.dir).Ledgers().Heads("", 1<<20)
	if err != nil || int64(len(heads)) != acknowledged.Load() {
		t.Errorf("%d heads, %d acknowledged, %v", len(heads), acknowledged.Load(), err)
	}
}

func commitOne(ctx context.Context, l ledger.Store, author ledger.AuthorID) error {
	leaf := []byte(author)
	return l.Commit(ctx, author, 0, [][]byte{leaf}, []tlog.Hash{tlog.RecordHash(leaf)}, nil,
		ledger.Head{Author: author, Size: 1, Root: tlog.RecordHash(leaf), Checkpoint: []byte("note")})
}

// A commit far bigger than one transaction of Badger is applied whole, beside
// others of its group.
func TestCommitBiggerThanATransaction(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	leaves := make([][]byte, 200)
	for i := range leaves {
		leaves[i] = make([]byte, ledger.MaxLeaf)
	}
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		wg.Go(func() {
			err := l.Commit(t.Context(), author(name), 0, leaves, make([]tlog.Hash, tlog.StoredHashCount(200)), nil,
				ledger.Head{Author: author(name), Size: 200, Checkpoint: []byte("note")})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, name := range []string{"a", "b", "c"} {
		got, err := l.Leaves(author(name), 0, 200)
		if err != nil || len(got) != 200 || len(got[199]) != ledger.MaxLeaf {
			t.Errorf("%s: %d leaves, %v", name, len(got), err)
		}
	}
}

// What a crash left beyond the head does not count and is written over.
func TestRemainsOfACrash(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := s.Ledgers()
	a := author("a")
	for n := range 5 {
		put(t, s, leafPrefix+string(a)+"/"+number(uint64(n)), "remains")
		put(t, s, hashPrefix+string(a)+"/"+number(uint64(n)), "remains")
	}
	if _, err := l.Head(a); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("head: %v", err)
	}
	if err := commitOne(t.Context(), l, a); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Leaves(a, 0, 1); err != nil || string(got[0]) != string(a) {
		t.Errorf("leaves %q, %v", got, err)
	}
	if _, err := l.Leaves(a, 0, 2); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("leaf beyond the head: %v", err)
	}
	if _, err := l.Hashes(a, []int64{1}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("hash beyond the head: %v", err)
	}
}

const (
	killDir     = "DOCKCHAIN_STORE_KILL_DIR"
	killWriters = 8
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" && len(os.Args) == 1 {
		writeUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// writeUntilKilled appends releases to several logs at once and prints
// "author size" after each one that was acknowledged.
func writeUntilKilled(dir string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	must(err)
	l := ledger.New(s.Ledgers(), "test")
	var out sync.Mutex
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			key := ledgertest.Key(uint64(w))
			in := ledger.Inception{Network: "test", Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}
			author, err := l.Incept(context.Background(), in, key)
			must(err)
			for n := 0; ; n++ {
				p, err := l.AppendRelease(context.Background(), author, key, ledgertest.Release("app", "latest", n))
				must(err)
				out.Lock()
				fmt.Printf("%s %d\n", author, p.Index+1)
				out.Unlock()
			}
		})
	}
	wg.Wait()
}

// After kill -9 nothing acknowledged is lost, no log has half an entry, and it
// can be written on.
func TestKilled(t *testing.T) {
	t.Parallel()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	for round := range rounds {
		acknowledged := runAndKill(t, dir, 40+60*round)
		s := openAt(t, dir)
		l := ledger.New(s.Ledgers(), "test")
		for author, size := range acknowledged {
			head, err := l.Head(author)
			if err != nil || head.Size < size {
				t.Fatalf("round %d: %s has %d entries, %d were acknowledged: %v", round, author, head.Size, size, err)
			}
		}
		checkLogs(t, l)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runAndKill gives the sizes that were acknowledged before the process was
// killed, after at least n acknowledgements.
func runAndKill(t *testing.T, dir string, n int) map[ledger.AuthorID]uint64 {
	t.Helper()
	return killAfter(t, exec.CommandContext(t.Context(), os.Args[0]), dir, n)
}

func killAfter(t *testing.T, cmd *exec.Cmd, dir string, n int, env ...string) map[ledger.AuthorID]uint64 {
	t.Helper()
	cmd.Env = slices.Concat(os.Environ(), []string{killDir + "=" + dir}, env)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged, lines := map[ledger.AuthorID]uint64{}, 0
	for sc := bufio.NewScanner(out); sc.Scan(); { // to the end: what was printed before the kill counts
		author, size, _ := strings.Cut(sc.Text(), " ")
		v, err := strconv.ParseUint(size, 10, 64)
		if err != nil {
			break // a line cut short by the kill
		}
		id := ledger.AuthorID(author)
		acknowledged[id] = max(acknowledged[id], v)
		if lines++; lines == n {
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || lines < n {
		t.Fatalf("the process ended by itself after %d acknowledgements: %v", lines, err)
	}
	return acknowledged
}

// checkLogs computes each root again from the leaves, and proves every entry.
func checkLogs(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	heads, err := l.Heads("", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heads {
		var hashes []tlog.Hash
		read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			var out []tlog.Hash
			for _, i := range indexes {
				out = append(out, hashes[i])
			}
			return out, nil
		})
		err := l.EntriesOf(t.Context(), h.Author, 0, func(e *ledger.Entry) error {
			more, err := tlog.StoredHashes(int64(e.Index), e.Leaf, read)
			hashes = append(hashes, more...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if root, err := tlog.TreeHash(int64(h.Size), read); err != nil || root != h.Root {
			t.Fatalf("log of %s: root of the leaves is %v, of the head %v: %v", h.Author, root, h.Root, err)
		}
		p, err := l.Prove(t.Context(), h.Author, h.Size-1)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Verify(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkCommit measures synced appends, alone and many at once.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l := open(b).Ledgers()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for {
						n := next.Add(1)
						if n > int64(b.N) {
							return
						}
						if err := commitOne(b.Context(), l, author(strconv.FormatInt(n, 10))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
