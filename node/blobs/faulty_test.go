package blobs

import (
	"io/fs"
	"os"
	"syscall"
)

// faulty is a disk on which one change goes wrong. Before each, fault says
// whether it is applied (a write: in half, if not) and what error it returns.
type faulty struct {
	disk  osFiles
	fault func(op string) (apply bool, err error)
	kill  bool // the process dies in place of an error
}

// do performs a change as fault decides.
func (f *faulty) do(op string, apply func() error) error {
	applied, err := f.fault(op)
	if applied || err == nil {
		if failed := apply(); failed != nil {
			return failed
		}
	}
	if err != nil && f.kill {
		die()
	}
	return err
}

func die() {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		panic(err)
	}
	select {}
}

func (f *faulty) Create(dir string) (made file, err error) {
	err = f.do("create", func() (err error) {
		made, err = f.disk.Create(dir)
		return err
	})
	if err != nil {
		if made != nil {
			made.Close()
		}
		return nil, err
	}
	return &faultyFile{made, f}, nil
}

func (f *faulty) Edit(path string) (file, error) {
	opened, err := f.disk.Edit(path)
	if err != nil {
		return nil, err
	}
	return &faultyFile{opened, f}, nil
}

func (f *faulty) Begin(path string) error {
	return f.do("begin", func() error { return f.disk.Begin(path) })
}

func (f *faulty) Extend(path string, size int64) (file, error) {
	opened, err := f.disk.Extend(path, size)
	if err != nil {
		return nil, err
	}
	return &faultyFile{opened, f}, nil
}

func (f *faulty) Rename(from, to string) error {
	return f.do("rename", func() error { return f.disk.Rename(from, to) })
}

func (f *faulty) Remove(path string) error {
	return f.do("remove", func() error { return f.disk.Remove(path) })
}

func (f *faulty) SyncDir(dir string) error {
	return f.do("syncdir", func() error { return f.disk.SyncDir(dir) })
}

type faultyFile struct {
	file
	faulty *faulty
}

func (f *faultyFile) Write(p []byte) (int, error) {
	applied, err := f.faulty.fault("write")
	n := len(p)
	if err != nil && !applied {
		n /= 2
	}
	n, failed := f.file.Write(p[:n])
	if failed != nil {
		return n, failed
	}
	if err != nil && f.faulty.kill {
		die()
	}
	return n, err
}

func (f *faultyFile) Chmod(mode fs.FileMode) error {
	return f.faulty.do("chmod", func() error { return f.file.Chmod(mode) })
}

func (f *faultyFile) Sync() error { return f.faulty.do("sync", f.file.Sync) }

func (f *faultyFile) Close() error {
	err := f.faulty.do("close", f.file.Close)
	f.file.Close() // a close that fails closes all the same
	return err
}

// failAt makes the nth change (from 0) go wrong with err.
func failAt(n int, apply bool, err error) (fault func(string) (bool, error), ops *[]string) {
	ops = new([]string)
	return func(op string) (bool, error) {
		*ops = append(*ops, op)
		if len(*ops)-1 == n {
			return apply, err
		}
		return true, nil
	}, ops
}
