package blobs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// files is every change the store makes to the disk. Tests put one in its
// place that fails, fills up, or kills the process at a chosen change.
type files interface {
	Create(dir string) (file, error)              // a new file with a name of its own
	Edit(path string) (file, error)               // an existing one
	Begin(path string) error                      // a new, empty file of that name
	Extend(path string, size int64) (file, error) // an existing one of that size, to be written at its end
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
}

type file interface {
	io.Writer
	Name() string
	Sync() error
	Chmod(fs.FileMode) error
	Close() error
}

type osFiles struct{}

func (osFiles) Create(dir string) (file, error) {
	f, err := os.CreateTemp(dir, "*")
	if err != nil {
		return nil, err
	}
	return &eagerFile{File: f}, nil
}

// eagerStep is how many bytes gather before the disk begins with them.
const eagerStep = 8 << 20

// An eagerFile is written from its start to its end, and by the disk meanwhile.
type eagerFile struct {
	*os.File
	written, begun int64
}

func (f *eagerFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.written += int64(n)
	if f.written-f.begun >= eagerStep {
		startWriteback(f.File, f.begun, f.written-f.begun)
		f.begun = f.written
	}
	return n, err
}

func (osFiles) Edit(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osFiles) Begin(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (osFiles) Extend(path string, size int64) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	return &eagerFile{File: f, written: size, begun: size}, nil
}

func (osFiles) Rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) Remove(path string) error     { return os.Remove(path) }

func (osFiles) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory that survives a loss of power.
func makeDir(fsys files, parent, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	if err := fsys.SyncDir(parent); err != nil {
		return fmt.Errorf("syncing %s: %w", parent, err)
	}
	return nil
}
