package tiles

import (
	"encoding/binary"
	"fmt"

	"github.com/dockchains/dockchain/ledger"
)

// maxBundle bounds an entry bundle in bytes.
const maxBundle = fullWidth * (2 + ledger.MaxLeaf)

// EncodeBundle returns entries, each behind its length.
func EncodeBundle(leaves [][]byte) ([]byte, error) {
	size := 0
	for _, leaf := range leaves {
		size += 2 + len(leaf)
	}
	b := make([]byte, 0, size)
	for _, leaf := range leaves {
		if len(leaf) > ledger.MaxLeaf {
			return nil, fmt.Errorf("%w: entry of %d bytes", ErrBadBundle, len(leaf))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
		b = append(b, leaf...)
	}
	return b, nil
}

// ParseBundle returns the entries of a bundle, which must have exactly width of
// them. They share memory with b.
func ParseBundle(b []byte, width int) ([][]byte, error) {
	out := make([][]byte, 0, max(0, min(width, fullWidth)))
	for len(b) > 0 {
		if len(b) < 2 || len(out) == width {
			return nil, fmt.Errorf("%w: more than %d entries", ErrBadBundle, width)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		if end > len(b) {
			return nil, fmt.Errorf("%w: it ends within an entry", ErrBadBundle)
		}
		out = append(out, b[2:end:end])
		b = b[end:]
	}
	if len(out) != width {
		return nil, fmt.Errorf("%w: %d entries of %d", ErrBadBundle, len(out), width)
	}
	return out, nil
}
