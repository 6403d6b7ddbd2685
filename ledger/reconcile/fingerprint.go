package reconcile

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// total is the count and the sum of a set of items. Its zero value is that of
// the empty set.
type total struct {
	sum   [8]uint64 // mod 2^512, least significant first
	count uint64
}

func (t *total) add(it *item) {
	h := it.hash()
	var carry uint64
	for i := range t.sum {
		t.sum[i], carry = bits.Add64(t.sum[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
	t.count++
}

func (t *total) remove(it *item) {
	h := it.hash()
	var borrow uint64
	for i := range t.sum {
		t.sum[i], borrow = bits.Sub64(t.sum[i], binary.LittleEndian.Uint64(h[8*i:]), borrow)
	}
	t.count--
}

func (t *total) merge(o *total) {
	var carry uint64
	for i := range t.sum {
		t.sum[i], carry = bits.Add64(t.sum[i], o.sum[i], carry)
	}
	t.count += o.count
}

// A salt makes the prints and tags of a session unlike those of any other.
type salt [8]byte

// short is a print or a tag.
type short [shortLen]byte

const shortLen = 5

func (s salt) print(t *total) short {
	var b [80]byte
	copy(b[:], s[:])
	binary.BigEndian.PutUint64(b[8:], t.count)
	for i, w := range t.sum {
		binary.LittleEndian.PutUint64(b[16+8*i:], w)
	}
	h := sha256.Sum256(b[:])
	return short(h[:shortLen])
}

func (s salt) tag(it *item) short {
	var b [72]byte
	copy(b[:], s[:])
	h := it.hash()
	copy(b[8:], h[:])
	sum := sha256.Sum256(b[:])
	return short(sum[:shortLen])
}
