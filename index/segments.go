package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// checkSegments reads every segment file in dir against the CRC-32 that ends
// it. Bleve writes that sum and does not read it: it would map a damaged file
// and panic in a goroutine of its own some time later. This reads at about
// 2 GB/s what is 40 MB for 300,000 releases.
func checkSegments(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.zap"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := checkSegment(file); err != nil {
			return fmt.Errorf("segment %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

func checkSegment(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < 4 {
		return errors.New("cut short")
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, io.LimitReader(f, info.Size()-4)); err != nil {
		return err
	}
	var want [4]byte
	if _, err := io.ReadFull(f, want[:]); err != nil {
		return err
	}
	if sum.Sum32() != binary.BigEndian.Uint32(want[:]) {
		return errors.New("checksum does not match")
	}
	return nil
}
