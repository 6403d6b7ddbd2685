package reconcile

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// outcome is the form of a result.
type outcome uint8

const (
	differing   outcome = iota // of one or four prints
	differing16                // of sixteen
	told                       // of a list: all heads that are not among its tags; or all there are
	tooMany                    // of a list: they do not fit
)

// result is what the responder says about one group.
type result struct {
	outcome outcome
	mask    uint16 // the prints that differ
	heads   []item // told
	count   uint64 // tooMany: the items in the range, at least 1
}

const (
	maxHead       = 32 + 6 + 32 // sizes up to maxSize take 6 bytes
	maxResultHead = 1 + binary.MaxVarintLen64
)

func appendResult(b []byte, r *result) []byte {
	switch r.outcome {
	case differing:
		return append(b, byte(r.mask))
	case differing16:
		return binary.BigEndian.AppendUint16(append(b, 0x10), r.mask)
	case tooMany:
		return binary.AppendUvarint(append(b, 0x30), r.count)
	}
	b = binary.AppendUvarint(append(b, 0x20), uint64(len(r.heads)))
	for i := range r.heads {
		it := &r.heads[i]
		b = append(b, it.id[:]...)
		b = binary.AppendUvarint(b, it.size)
		b = append(b, it.root[:]...)
	}
	return b
}

func encodeAnswer(results []result) []byte {
	b := []byte{version}
	for i := range results {
		b = appendResult(b, &results[i])
	}
	return b
}

// decodeAnswer is strict: what it accepts, encodeAnswer writes again. It takes at
// most limit results. Whether they fit the groups is for the session to see.
func decodeAnswer(b []byte, limit int) ([]result, error) {
	if len(b) > MaxAnswer {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadAnswer, len(b))
	}
	var results []result
	d := decoder{rest: b}
	d.version()
	for d.err == nil && len(d.rest) > 0 {
		if len(results) == limit {
			d.fail("more than was asked")
			break
		}
		results = append(results, d.result())
	}
	if d.err == nil && len(results) == 0 {
		d.fail("no results")
	}
	if d.err == nil && !bytes.Equal(encodeAnswer(results), b) {
		d.fail("not the shortest form")
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAnswer, d.err)
	}
	return results, nil
}

func (d *decoder) result() result {
	switch header := d.byte(); {
	case header <= 0xf:
		return result{outcome: differing, mask: uint16(header)}
	case header == 0x10:
		r := result{outcome: differing16}
		if m := d.bytes(2); m != nil {
			r.mask = binary.BigEndian.Uint16(m)
		}
		return r
	case header == 0x20:
		return result{outcome: told, heads: d.heads()}
	case header == 0x30:
		r := result{outcome: tooMany, count: d.uvarint()}
		if r.count == 0 {
			d.fail("too many of none")
		}
		return r
	}
	d.fail("no such result")
	return result{}
}

func (d *decoder) heads() []item {
	n := d.uvarint()
	if n > uint64(len(d.rest)/(32+1+32)) {
		d.fail("cut off")
		return nil
	}
	out := make([]item, n)
	for i := range out {
		it := &out[i]
		copy(it.id[:], d.bytes(32))
		it.size = d.uvarint()
		copy(it.root[:], d.bytes(32))
		if it.size == 0 || it.size > maxSize {
			d.fail("a log of no possible size")
		}
		if i > 0 && bytes.Compare(out[i-1].id[:], it.id[:]) >= 0 {
			d.fail("heads out of order")
		}
	}
	return out
}
