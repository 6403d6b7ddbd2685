//go:build linux || darwin

package blobs

import (
	"io/fs"
	"syscall"
)

// diskRoom is how many bytes of a file system are free to us, and how many it has.
func diskRoom(dir string) (free, disk int64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), true
}

// onDisk is what a file takes, which may have holes.
func onDisk(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), st.Blocks*512)
	}
	return info.Size()
}
