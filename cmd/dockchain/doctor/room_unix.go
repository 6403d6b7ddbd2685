//go:build linux || darwin

package doctor

import (
	"math"
	"syscall"
)

// Room tells the bytes and files that still fit on the disk of a directory.
func Room(dir string) (bytes, files uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	files = uint64(s.Ffree)
	if s.Files == 0 { // btrfs and others have no limit
		files = math.MaxUint64
	}
	return uint64(s.Bavail) * uint64(s.Bsize), files, nil
}
