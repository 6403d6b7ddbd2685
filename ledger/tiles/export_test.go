package tiles_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/tiles"
)

func exports(t *testing.T, l *plainLog, dir string) {
	t.Helper()
	if err := tiles.Export(t.Context(), l.log(), dir); err != nil {
		t.Fatal(err)
	}
	r, err := tiles.Open(t.Context(), tiles.Dir{FS: os.DirFS(dir)}, l.verify())
	if err != nil {
		t.Fatal(err)
	}
	readsAll(t, r, l.leaves)
}

func TestExportAgain(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 1)
	dir := filepath.Join(t.TempDir(), "new")
	for _, size := range []int{1, 1, 2, 255, 256, 300, 1100} {
		if size > len(l.leaves) {
			l.grow(t, size)
		}
		exports(t, l, dir)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && (strings.HasPrefix(d.Name(), ".") || info.Mode().Perm()&0o044 == 0) {
			t.Errorf("%s is left over or not readable for a web server: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestExportOther: a directory that holds another log, another history or
// something else stays as it is.
func TestExportOther(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 300)
	fork := newPlainLog(t, "b", 400)
	longer := newPlainLog(t, "a", 301)
	stranger := newPlainLog(t, "a", 300)
	stranger.origin = "example.com/other"
	stranger.grow(t, 302)
	for name, there := range map[string]*plainLog{"fork": fork, "longer": longer, "stranger": stranger} {
		dir := t.TempDir()
		exports(t, there, dir)
		mine := l
		if name == "fork" {
			mine = newPlainLog(t, "a", 500)
		}
		if err := tiles.Export(t.Context(), mine.log(), dir); !errors.Is(err, tiles.ErrOtherLog) {
			t.Errorf("%s: %v, want ErrOtherLog", name, err)
		}
		exports(t, there, dir)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), []byte("a diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tiles.Export(t.Context(), l.log(), dir); !errors.Is(err, tiles.ErrOtherLog) {
		t.Errorf("a diary: %v, want ErrOtherLog", err)
	}
}

// failing is a source that fails after some reads: a crash within an export.
type failing struct {
	*source
	left int
}

func (f *failing) step() error {
	if f.left--; f.left < 0 {
		return errDisk
	}
	return nil
}

func (f *failing) Leaves(author ledger.AuthorID, from, to uint64) ([][]byte, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.source.Leaves(author, from, to)
}

func (f *failing) Hashes(author ledger.AuthorID, indexes []int64) ([]tlog.Hash, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.source.Hashes(author, indexes)
}

// TestExportCrash stops an export at every read. The directory stays the log
// that it was, and the next export completes it.
func TestExportCrash(t *testing.T) {
	t.Parallel()
	for steps := 0; ; steps++ {
		l := newPlainLog(t, "a", 300)
		dir := t.TempDir()
		exports(t, l, dir)
		before := l.leaves
		l.grow(t, 600)
		err := tiles.Export(t.Context(), tiles.Of(&failing{l.source, steps}, l.author), dir)
		if err == nil {
			if steps < 6 {
				t.Errorf("an export of %d steps", steps)
			}
			return
		}
		if !errors.Is(err, errDisk) {
			t.Fatal(err)
		}
		r, err := tiles.Open(t.Context(), tiles.Dir{FS: os.DirFS(dir)}, l.verify())
		if err != nil {
			t.Fatal(err)
		}
		readsAll(t, r, before)
		exports(t, l, dir)
	}
}

func TestExportCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := tiles.Export(ctx, newPlainLog(t, "a", 10).log(), dir); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "checkpoint")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a checkpoint is there: %v", err)
	}
}
