package main

import (
	"fmt"
	"syscall"
)

// A warmth makes the start of each contender the same. The disk has finished
// what the last one left to it, and the memory that the page cache will take is
// free and really there: a virtual machine gives its free memory back to the
// host after a while, in blocks of 2 MiB, and the first touch afterwards costs a
// multiple of what is to be measured, and the more the longer a contender runs.
// So one page of each such block is kept.
type warmth struct {
	size int64
	kept []byte
}

const (
	pageSize  = 4 << 10
	keepEvery = 1 << 20
)

// settle frees warm memory. It is called right before the clock starts.
func (w *warmth) settle() error {
	syscall.Sync()
	if err := w.end(); err != nil {
		return err
	}
	b, err := syscall.Mmap(-1, 0, int(w.size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("warming memory: %w", err)
	}
	w.kept = b
	for i := 0; i < len(b); i += pageSize {
		b[i] = 1
	}
	for i := 0; i < len(b); i += keepEvery {
		if err := syscall.Madvise(b[i+pageSize:min(i+keepEvery, len(b))], syscall.MADV_DONTNEED); err != nil {
			return fmt.Errorf("freeing warm memory: %w", err)
		}
	}
	return nil
}

// end frees what is kept.
func (w *warmth) end() error {
	if w.kept == nil {
		return nil
	}
	err := syscall.Munmap(w.kept)
	w.kept = nil
	return err
}
