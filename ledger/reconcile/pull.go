package reconcile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Once it is known which logs are longer elsewhere, their entries are pulled in
// parts, of many logs in one question.

const (
	// MaxWants bounds the logs in one question.
	MaxWants = 64
	// MaxPull bounds the entries that one answer may be asked for, in bytes;
	// the last entry may go beyond it.
	MaxPull = 1 << 20
	// MaxPullAnswer bounds an answer in bytes.
	MaxPullAnswer = 2 << 20

	maxWant   = 32 + 2*6
	maxGrowth = 64 // hashes; a log of maxSize entries needs 41
)

var (
	// ErrBadPull is a question for entries that does not parse.
	ErrBadPull = errors.New("malformed question for entries")
	// ErrBadParts is an answer to one that does not parse.
	ErrBadParts = errors.New("malformed answer with entries")
)

// Pull asks for entries of logs.
type Pull struct {
	MaxBytes int // of entries in the answer, 1 to MaxPull
	Wants    []Want
}

// Want is one log that is asked for.
type Want struct {
	Author ledger.AuthorID
	From   uint64 // index of the first entry
	Size   uint64 // of the log that they are to be proven in; 0: as long as it is there
}

// Part is some of a log: entries from where they were wanted on, as many as fit.
type Part struct {
	Size       uint64 // of the log that they are proven in; 0: it is not there, or not as long
	Leaves     [][]byte
	Growth     []tlog.Hash // how the log grows from the last of Leaves to Size; none if that is its end
	Checkpoint []byte      // over Size; left out where the question named the size
}

// Encode returns the frame of the package comment.
func (p Pull) Encode() ([]byte, error) {
	if len(p.Wants) == 0 || len(p.Wants) > MaxWants || p.MaxBytes < 1 || p.MaxBytes > MaxPull {
		return nil, fmt.Errorf("%w: %d logs, %d bytes", ErrBadPull, len(p.Wants), p.MaxBytes)
	}
	b := make([]byte, 1, 8+len(p.Wants)*maxWant)
	b[0] = version
	b = binary.AppendUvarint(b, uint64(p.MaxBytes))
	for _, w := range p.Wants {
		id, err := idOf(w.Author)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadPull, err)
		}
		if w.From > maxSize || w.Size > maxSize || w.Size > 0 && w.From >= w.Size {
			return nil, fmt.Errorf("%w: entries from %d of %d", ErrBadPull, w.From, w.Size)
		}
		b = append(b, id[:]...)
		b = binary.AppendUvarint(b, w.From)
		b = binary.AppendUvarint(b, w.Size)
	}
	return b, nil
}

// DecodePull reads what Encode wrote, to the byte.
func DecodePull(b []byte) (Pull, error) {
	var p Pull
	if len(b) > 8+MaxWants*maxWant {
		return p, fmt.Errorf("%w: %d bytes", ErrBadPull, len(b))
	}
	d := decoder{rest: b}
	d.version()
	if n := d.uvarint(); n <= MaxPull {
		p.MaxBytes = int(n)
	}
	for d.err == nil && len(d.rest) > 0 && len(p.Wants) <= MaxWants {
		var id [32]byte
		copy(id[:], d.bytes(len(id)))
		p.Wants = append(p.Wants, Want{Author: authorOf(id), From: d.uvarint(), Size: d.uvarint()})
	}
	if d.err != nil {
		return Pull{}, fmt.Errorf("%w: %w", ErrBadPull, d.err)
	}
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
		return Pull{}, errors.Join(fmt.Errorf("%w: not the one form of it", ErrBadPull), err)
	}
	return p, nil
}

// EncodeParts returns the frame of the package comment, for a question with at
// least as many wants.
func EncodeParts(parts []Part) ([]byte, error) {
	if len(parts) == 0 || len(parts) > MaxWants {
		return nil, fmt.Errorf("%w: %d parts", ErrBadParts, len(parts))
	}
	b := []byte{version}
	for _, p := range parts {
		if p.Size > maxSize || len(p.Growth) > maxGrowth || len(p.Checkpoint) > ledger.MaxNote {
			return nil, fmt.Errorf("%w: a part of a log of %d entries", ErrBadParts, p.Size)
		}
		b = binary.AppendUvarint(b, p.Size)
		if p.Size == 0 {
			if len(p.Leaves)+len(p.Growth)+len(p.Checkpoint) > 0 {
				return nil, fmt.Errorf("%w: part of no log", ErrBadParts)
			}
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(p.Leaves)))
		for _, leaf := range p.Leaves {
			if len(leaf) > ledger.MaxLeaf {
				return nil, fmt.Errorf("%w: entry of %d bytes", ErrBadParts, len(leaf))
			}
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(leaf))), leaf...)
		}
		b = binary.AppendUvarint(b, uint64(len(p.Growth)))
		for _, h := range p.Growth {
			b = append(b, h[:]...)
		}
		b = append(binary.AppendUvarint(b, uint64(len(p.Checkpoint))), p.Checkpoint...)
	}
	if len(b) > MaxPullAnswer {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadParts, len(b))
	}
	return b, nil
}

// DecodeParts reads what EncodeParts wrote, to the byte: at least one part, and
// at most as many as were wanted. What is in them is for the ledger to verify.
func DecodeParts(b []byte, wanted int) ([]Part, error) {
	if len(b) > MaxPullAnswer {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadParts, len(b))
	}
	var parts []Part
	d := decoder{rest: b}
	d.version()
	for d.err == nil && len(d.rest) > 0 {
		if len(parts) == min(wanted, MaxWants) {
			d.fail("more than was asked")
			break
		}
		parts = append(parts, d.part())
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadParts, d.err)
	}
	if again, err := EncodeParts(parts); err != nil || !bytes.Equal(again, b) {
		return nil, errors.Join(fmt.Errorf("%w: not the one form of it", ErrBadParts), err)
	}
	return parts, nil
}

func (d *decoder) part() Part {
	p := Part{Size: d.uvarint()}
	if p.Size == 0 {
		return p
	}
	n := d.uvarint()
	if n > uint64(len(d.rest)/2) {
		d.fail("cut off")
		return p
	}
	for range n {
		length := d.bytes(2)
		if length == nil {
			return p
		}
		p.Leaves = append(p.Leaves, d.bytes(int(binary.BigEndian.Uint16(length))))
	}
	if n = d.uvarint(); n > maxGrowth {
		d.fail("too many hashes")
		return p
	}
	for range n {
		var h tlog.Hash
		copy(h[:], d.bytes(len(h)))
		p.Growth = append(p.Growth, h)
	}
	if n = d.uvarint(); n > ledger.MaxNote {
		d.fail("long checkpoint")
		return p
	}
	if n > 0 {
		p.Checkpoint = d.bytes(int(n))
	}
	return p
}

// EncodeGrowth is how a log grows: the root that it had at one size, and the
// consistency proof (RFC 6962) to another.
func EncodeGrowth(prefix tlog.Hash, growth []tlog.Hash) []byte {
	b := append(make([]byte, 0, tlog.HashSize*(1+len(growth))), prefix[:]...)
	for _, h := range growth {
		b = append(b, h[:]...)
	}
	return b
}

// DecodeGrowth reads what EncodeGrowth wrote.
func DecodeGrowth(b []byte) (prefix tlog.Hash, growth []tlog.Hash, err error) {
	if len(b)%tlog.HashSize != 0 || len(b) == 0 || len(b) > tlog.HashSize*(1+maxGrowth) {
		return prefix, nil, fmt.Errorf("%w: growth of %d bytes", ErrBadParts, len(b))
	}
	copy(prefix[:], b)
	for b = b[tlog.HashSize:]; len(b) > 0; b = b[tlog.HashSize:] {
		growth = append(growth, tlog.Hash(b[:tlog.HashSize]))
	}
	return prefix, growth, nil
}
