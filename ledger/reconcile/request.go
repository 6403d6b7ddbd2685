package reconcile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	version = 1

	// MaxRequest and MaxAnswer bound frames, in bytes.
	MaxRequest = 64 << 10
	MaxAnswer  = 1 << 20
)

// kind is what a group is about.
type kind uint8

const (
	onePrint kind = iota
	fourPrints
	sixteenPrints
	list
)

// width is the bits by which a group of prints splits its range.
func (k kind) width() uint8 { return 2 * uint8(k) }

// group is what a request says about one range.
type group struct {
	span
	kind   kind
	shorts []short // prints, or the tags of a list in ascending order
}

// request is what the initiator sends.
type request struct {
	salt   salt
	groups []group
}

const (
	depthFlag   = 0x80
	manySkipped = 0x1f
)

func (r *request) encode() []byte {
	e := newEncoder(r.salt)
	for i := range r.groups {
		e.add(&r.groups[i])
	}
	return e.frame
}

// encoder writes a request, group by group in ascending order.
type encoder struct {
	frame []byte
	depth uint8 // of the last group, at first 0
	last  *span
}

func newEncoder(s salt) *encoder {
	frame := append(make([]byte, 0, 1024), version)
	return &encoder{frame: append(frame, s[:]...)}
}

// add appends a group unless the frame grows beyond MaxRequest.
func (e *encoder) add(g *group) bool {
	skipped := g.prefix
	if e.last != nil {
		skipped -= e.last.from(g.depth)
	}
	header := byte(g.kind)<<5 | byte(min(skipped, manySkipped))
	b := e.frame
	if g.depth != e.depth {
		b = append(b, header|depthFlag, g.depth)
	} else {
		b = append(b, header)
	}
	if skipped >= manySkipped {
		b = binary.AppendUvarint(b, skipped-manySkipped)
	}
	if g.kind == list {
		b = binary.AppendUvarint(b, uint64(len(g.shorts)))
	}
	for _, s := range g.shorts {
		b = append(b, s[:]...)
	}
	if len(b) > MaxRequest {
		return false
	}
	e.frame, e.depth, e.last = b, g.depth, &g.span
	return true
}

// decodeRequest is strict: what it accepts, encode writes again.
func decodeRequest(b []byte) (*request, error) {
	if len(b) > MaxRequest {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadRequest, len(b))
	}
	r := &request{}
	d := decoder{rest: b}
	d.version()
	copy(r.salt[:], d.bytes(len(r.salt)))
	depth, last := uint8(0), (*span)(nil)
	for d.err == nil && len(d.rest) > 0 {
		g := d.group(depth, last)
		r.groups = append(r.groups, g)
		depth, last = g.depth, &g.span
	}
	if d.err == nil && len(r.groups) == 0 {
		d.fail("no groups")
	}
	if d.err == nil && !bytes.Equal(r.encode(), b) {
		d.fail("not the shortest form")
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, d.err)
	}
	return r, nil
}

// group reads a group that comes after last, if that is not nil, with a depth
// before it.
func (d *decoder) group(depth uint8, last *span) group {
	header := d.byte()
	g := group{kind: kind(header >> 5 & 3), span: span{depth: depth}}
	if header&depthFlag != 0 {
		g.depth = d.byte()
	}
	if g.depth > maxDepth || g.kind != list && g.depth+g.kind.width() > maxDepth {
		d.fail("too deep")
		return g
	}
	skipped := uint64(header & 0x1f)
	if skipped == manySkipped {
		skipped += min(d.uvarint(), 1<<maxDepth)
	}
	first := uint64(0)
	if last != nil {
		first = last.from(g.depth)
	}
	g.prefix = first + skipped
	if g.prefix >= 1<<g.depth {
		d.fail("a range beyond the last")
		return g
	}
	n := uint64(1) << g.kind.width()
	if g.kind == list {
		n = d.uvarint()
	}
	g.shorts = d.shorts(n)
	if g.kind == list && !slices.IsSortedFunc(g.shorts, ascending) {
		d.fail("tags out of order")
	}
	return g
}

// ascending makes slices.IsSortedFunc refuse equal neighbours too.
func ascending(a, b short) int {
	if c := compare(a, b); c != 0 {
		return c
	}
	return -1
}

func compare(a, b short) int { return bytes.Compare(a[:], b[:]) }

// decoder reads a frame up to the first error, from which on it reads zeros.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(why string) {
	if d.err == nil {
		d.err = fmt.Errorf("%s, %d bytes before the end", why, len(d.rest))
	}
}

// bytes returns the next n, or nil.
func (d *decoder) bytes(n int) []byte {
	if d.err != nil || n > len(d.rest) {
		d.fail("cut off")
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) version() {
	if v := d.byte(); d.err == nil && v != version {
		d.fail("of another version")
	}
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if d.err != nil || n <= 0 {
		d.fail("not a number")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) shorts(n uint64) []short {
	if n > uint64(len(d.rest)/shortLen) {
		d.fail("cut off")
		return nil
	}
	out := make([]short, n)
	for i := range out {
		copy(out[i][:], d.bytes(shortLen))
	}
	return out
}
