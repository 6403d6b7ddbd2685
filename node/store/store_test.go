package store

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// testLog sends what a store logs to the test.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing store: %v", err)
		}
	})
	return s
}

func open(t testing.TB) *Store { return openAt(t, t.TempDir()) }

func TestLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openAt(t, dir)
	_, err := Open(dir, testLog(t))
	var locked *LockedError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &locked) {
		t.Fatalf("second Open: %v, want ErrLocked", err)
	}
	if locked.Dir != dir || locked.PID != os.Getpid() || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	openAt(t, dir)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a newer layout", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := openAt(t, dir)
		put(t, s, versionKey, `{"version":2}`)
		s.Close()
		if _, err := Open(dir, testLog(t)); !errors.Is(err, ErrVersion) {
			t.Errorf("error %v, want ErrVersion", err)
		}
		if _, err := Open(dir, testLog(t)); !errors.Is(err, ErrVersion) {
			t.Errorf("again: error %v: a refused Open must let go of the lock", err)
		}
	})
	t.Run("a file in the way", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, testLog(t)); err == nil {
			t.Error("no error")
		}
	})
}

// put writes a raw record.
func put(t *testing.T, s *Store, key, value string) {
	t.Helper()
	if err := s.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(key), []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

func TestPrefixesDoNotOverlap(t *testing.T) {
	t.Parallel()
	prefixes := []string{versionKey, headPrefix, leafPrefix, hashPrefix, stagePrefix, targetPrefix, torrentPrefix, infoPrefix,
		torrentOfPrefix, heldPrefix, releasePrefix, aliasPrefix, peerPrefix, reputationPrefix, witnessPrefix}
	for i, p := range prefixes {
		for j, q := range prefixes {
			if i != j && strings.HasPrefix(p, q) {
				t.Errorf("%q begins with %q", p, q)
			}
		}
	}
}

func TestCorruptRecords(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, value := range []string{"", "{", `{"author":1}`, `{"x":1}`, `{} {}`, "\x00"} {
		put(t, s, aliasPrefix+"alice", value)
		if _, err := s.Alias("alice"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: error %v, want ErrCorrupt", value, err)
		}
	}
	put(t, s, peerPrefix+"x", "!")
	if _, err := s.Peers(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("peers: %v", err)
	}
	put(t, s, torrentPrefix+"x", "!")
	if _, err := s.Torrent("x"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("torrent: %v", err)
	}
	put(t, s, headPrefix+"x", "short")
	if _, err := s.Ledgers().Head("x"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("head: %v", err)
	}
	if _, err := s.Ledgers().Heads("", 10); !errors.Is(err, ErrCorrupt) {
		t.Errorf("heads: %v", err)
	}
}

func TestReclaim(t *testing.T) {
	t.Parallel()
	if err := open(t).reclaim(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClosedUnderReaders(t *testing.T) {
	t.Parallel()
	s := open(t)
	var readers sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		readers.Go(func() {
			for {
				_, err := s.Aliases()
				select {
				case started <- struct{}{}:
				default:
				}
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	<-started
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	readers.Wait()
	if err := s.NoteReleases(); !errors.Is(err, ErrClosed) {
		t.Errorf("writing after the end: %v", err)
	}
}
