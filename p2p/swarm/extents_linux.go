package swarm

import (
	"errors"
	"os"
	"syscall"
)

// dataExtents calls found for each stretch of the first size bytes that is no
// hole, so that a resumed download hashes only what was ever written.
func dataExtents(f *os.File, size int64, found func(from, to int64)) error {
	const seekData, seekHole = 3, 4 // lseek(2)
	for off := int64(0); off < size; {
		from, err := f.Seek(off, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return nil // nothing but holes from here
		}
		if err != nil {
			found(off, size) // the file system cannot tell
			return nil
		}
		to, err := f.Seek(from, seekHole)
		if err != nil {
			return err
		}
		if from >= size {
			return nil
		}
		found(from, min(to, size))
		off = to
	}
	return nil
}
