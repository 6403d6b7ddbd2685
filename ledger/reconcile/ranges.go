package reconcile

import "encoding/binary"

// maxDepth keeps children of ranges within 64 bits. Ids that share so many bits
// do not happen.
const maxDepth = 60

// span is a range: all ids whose first depth bits are prefix.
type span struct {
	depth  uint8 // at most maxDepth
	prefix uint64
}

func (s span) has(id *[32]byte) bool { return prefixOf(id, s.depth) == s.prefix }

// child is the i-th part of s when it is split in 1<<width.
func (s span) child(width, i uint8) span {
	return span{s.depth + width, s.prefix<<width | uint64(i)}
}

// from is the number of the first range of a depth that does not begin before
// the ranges up to and including s end; 1<<depth when there is none.
func (s span) from(depth uint8) uint64 {
	end := s.prefix + 1
	if depth >= s.depth {
		return end << (depth - s.depth)
	}
	up := s.depth - depth
	return (end + 1<<up - 1) >> up
}

func prefixOf(id *[32]byte, depth uint8) uint64 {
	return binary.BigEndian.Uint64(id[:8]) >> (64 - depth) // all bits for depth 0: Go shifts them out
}
