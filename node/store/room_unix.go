//go:build linux || darwin

package store

import (
	"fmt"
	"syscall"
)

// reserve is the room in bytes that must be left on the disk for a write to be
// tried. Badger writes through mapped files, where a disk that fills up is no
// error but a SIGBUS that ends the process.
const reserve = 4 << 20

// room is an ENOSPC when the disk is as good as full.
func room(dir string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return nil // not known; the write will tell
	}
	if free := s.Bavail * uint64(s.Bsize); free < reserve {
		return fmt.Errorf("%d bytes are free, records need %d: %w", free, reserve, syscall.ENOSPC)
	}
	return nil
}
