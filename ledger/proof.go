package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// CheckInclusion verifies that leaf is entry index of the log that the
// checkpoint commits to (RFC 6962, section 2.1.1).
func CheckInclusion(proof []tlog.Hash, c Checkpoint, index uint64, leaf []byte) error {
	return checkInclusion(proof, c.Size, c.Root, index, tlog.RecordHash(leaf))
}

func checkInclusion(proof []tlog.Hash, size uint64, root tlog.Hash, index uint64, leafHash tlog.Hash) error {
	if size > maxLogSize || index >= size {
		return fmt.Errorf("%w: entry %d of a log of %d", ErrBadProof, index, size)
	}
	if err := tlog.CheckRecord(proof, int64(size), root, int64(index), leafHash); err != nil {
		return fmt.Errorf("%w: the entry is not number %d of this log", ErrBadProof, index)
	}
	return nil
}

// CheckConsistency verifies that newer has all that older has, in the same
// places (RFC 6962, section 2.1.2). About an empty log nothing can be proven.
func CheckConsistency(proof []tlog.Hash, older, newer Checkpoint) error {
	if older.Size == 0 || older.Size > newer.Size || newer.Size > maxLogSize {
		return fmt.Errorf("%w: growth from %d to %d entries", ErrBadProof, older.Size, newer.Size)
	}
	if err := tlog.CheckTree(proof, int64(newer.Size), newer.Root, int64(older.Size), older.Root); err != nil {
		return fmt.Errorf("%w: the log of %d entries is not how the one of %d began", ErrBadProof, older.Size, newer.Size)
	}
	return nil
}

// edge is the right edge of a growing tree: the roots of its largest complete
// subtrees, left to right, one for each bit set in size. It is all that
// appending needs.
type edge struct {
	size  uint64
	nodes []tlog.Hash
}

// push adds a leaf and returns the hashes that it completes, in the order in
// which tlog stores them.
func (e *edge) push(leaf tlog.Hash) []tlog.Hash {
	stored := []tlog.Hash{leaf}
	h := leaf
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.nodes) - 1
		h = tlog.NodeHash(e.nodes[last], h)
		e.nodes = e.nodes[:last]
		stored = append(stored, h)
	}
	e.nodes = append(e.nodes, h)
	e.size++
	return stored
}

// root is the RFC 6962 tree hash.
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		empty, _ := tlog.TreeHash(0, nil)
		return empty
	}
	h := e.nodes[len(e.nodes)-1]
	for i := len(e.nodes) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.nodes[i], h)
	}
	return h
}

func (e *edge) clone() edge {
	return edge{e.size, append(make([]tlog.Hash, 0, len(e.nodes)+1), e.nodes...)}
}

// edgeIndexes are where tlog stores the nodes of the edge of a tree.
func edgeIndexes(size uint64) []int64 {
	var out []int64
	start := uint64(0)
	for level := 40; level >= 0; level-- {
		if size>>level&1 == 1 {
			out = append(out, tlog.StoredHashIndex(level, int64(start>>level)))
			start += 1 << level
		}
	}
	return out
}
