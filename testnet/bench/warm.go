package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// A warmth makes the start of each contender the same. The disk has finished
// what the last one left to it, and the memory that the page cache will take is
// free and really there: a virtual machine gives its free memory back to the
// host after a while, in blocks of 2 MiB, and the first touch afterwards costs a
// multiple of what is to be measured, and the more the longer a contender runs.
// So a file is written, and freed again but for one page of each such block. (Memory
// of a process that is freed likewise does not help: the kernel puts its pieces at
// the end of its lists, and the file of a contender gets others.)
type warmth struct {
	dir  string
	size int64 // bytes, of one image and what else the two sides need
	kept *os.File
}

const (
	pageSize  = 4 << 10
	keepEvery = 1 << 20
)

// settle frees warm memory. It is called right before the clock starts.
func (w *warmth) settle() error { return w.settleFor(0) }

// settleFor does it for a transfer that writes so many bytes, where that is more
// than one image: if the memory were too little, a third of the CPU of eight nodes
// would be the host's.
func (w *warmth) settleFor(written int64) error {
	syscall.Sync()
	if err := w.end(); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(w.dir, "warm"))
	if err != nil {
		return fmt.Errorf("warming memory: %w", err)
	}
	w.kept = f
	size := max(w.size, min(written+written/2, quarterOfMemory()))
	b := make([]byte, keepEvery)
	for i := int64(0); i < size; i += keepEvery {
		if _, err := f.Write(b); err != nil {
			return fmt.Errorf("warming memory: %w", err)
		}
	}
	for i := int64(0); i < size; i += keepEvery {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, i+pageSize, keepEvery-pageSize)
		if err != nil {
			return fmt.Errorf("freeing warm memory: %w", err)
		}
	}
	syscall.Sync()
	return nil
}

func quarterOfMemory() int64 {
	var si syscall.Sysinfo_t
	if err := syscall.Sysinfo(&si); err != nil {
		return 0
	}
	return int64(si.Totalram) * int64(si.Unit) / 4
}

// end frees what is kept.
func (w *warmth) end() error {
	if w.kept == nil {
		return nil
	}
	f := w.kept
	w.kept = nil
	if err := f.Close(); err != nil {
		return err
	}
	return os.Remove(f.Name())
}
