package tiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Export writes a log into a directory that any web server can host, or brings
// one up to date that an earlier export wrote. The checkpoint comes last: after
// a crash the directory is what it was before, and some tiles more. Into the
// directory of another log it writes nothing.
func Export(ctx context.Context, l Log, dir string) error {
	head, err := l.source.Head(l.author)
	if err != nil {
		return fmt.Errorf("exporting log: %w", err)
	}
	done, err := l.exported(head, dir)
	if err != nil {
		return fmt.Errorf("exporting log: %w", err)
	}
	for level := 0; head.Size>>(level*height) > 0; level++ {
		if err := l.exportLevel(ctx, dir, Path{Level: level}, done, head.Size); err != nil {
			return fmt.Errorf("exporting log: %w", err)
		}
	}
	if err := l.exportLevel(ctx, dir, Path{Entries: true}, done, head.Size); err != nil {
		return fmt.Errorf("exporting log: %w", err)
	}
	if err := writeFile(filepath.Join(dir, "checkpoint"), head.Checkpoint); err != nil {
		return fmt.Errorf("exporting log: %w", err)
	}
	return nil
}

// exported returns the size of the log that the directory has.
func (l Log) exported(head ledger.Head, dir string) (uint64, error) {
	signed, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	theirs, err := readCheckpoint(signed)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrOtherLog, err)
	}
	ours, err := readCheckpoint(head.Checkpoint)
	if err != nil {
		return 0, err
	}
	if theirs.Origin != ours.Origin || theirs.Size > ours.Size {
		return 0, fmt.Errorf("%w: %d entries of %s", ErrOtherLog, theirs.Size, theirs.Origin)
	}
	if theirs.Size == 0 {
		return 0, nil
	}
	root, err := l.rootAt(theirs.Size)
	if err != nil {
		return 0, err
	}
	if root != theirs.Root {
		return 0, fmt.Errorf("%w: its first %d entries differ", ErrOtherLog, theirs.Size)
	}
	return theirs.Size, nil
}

func readCheckpoint(signed []byte) (ledger.Checkpoint, error) {
	n, err := note.Parse(signed)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	return ledger.ParseCheckpointText(n.Text)
}

// exportLevel writes the tiles of a level, or the bundles, that a log of done
// entries has not all of.
func (l Log) exportLevel(ctx context.Context, dir string, p Path, done, size uint64) error {
	for p.N = done >> ((p.Level + 1) * height); ; p.N++ {
		if p.Width = widthAt(p.Level, p.N, size); p.Width == 0 {
			return nil
		}
		b, err := l.Tile(ctx, p)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(p.String())), b); err != nil {
			return err
		}
	}
}

// writeFile puts a file into its place, whole and durable, unless it is there
// already.
func writeFile(name string, b []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, b) {
		return nil
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".export-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
