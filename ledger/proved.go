package ledger

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxProved bounds an encoded proved entry in bytes. Of an author whose keys
// never changed it has a few thousand; about 1,900 come with each change.
const MaxProved = 1104 << 10

const maxProof = 64 // hashes; a log of maxLogSize needs 40

// Proved is an entry with everything that a stranger needs to check that its
// author logged it.
type Proved struct {
	Inception  []byte      // leaf 0
	KeyEvents  []KeyEvent  // in the log of Checkpoint, in their order; without Entry, if it is one
	Entry      []byte      // the leaf; equal to Inception when Index is 0
	Index      uint64      // place of Entry in the log
	Checkpoint []byte      // signed note
	Proof      []tlog.Hash // that Entry is in the log of Checkpoint
}

// KeyEvent is a Rotate, Recover or Retire with the proof that it is in a log.
type KeyEvent struct {
	Index uint64
	Entry []byte
	Proof []tlog.Hash
}

const maxKeyEvents = 320 // maxKeyLog allows fewer

// Encode returns the JSON described in the package comment.
func (p *Proved) Encode() []byte {
	b := make([]byte, 0, 256+len(p.Inception)+len(p.Entry)+len(p.Checkpoint)*9/8+len(p.Proof)*48)
	b = append(b, `{"inception":`...)
	b = append(b, p.Inception...)
	if len(p.KeyEvents) > 0 {
		b = append(b, `,"keyEvents":`...)
		b = appendList(b, p.KeyEvents, func(b []byte, e KeyEvent) []byte {
			b = append(appendLogged(append(b, '{'), e.Entry, e.Index), `,"proof":`...)
			return append(appendHashes(b, e.Proof), '}')
		})
	}
	b = appendLogged(append(b, ','), p.Entry, p.Index)
	b = append(b, `,"checkpoint":`...)
	b = appendString(b, string(p.Checkpoint))
	b = append(b, `,"proof":`...)
	return append(appendHashes(b, p.Proof), '}')
}

func appendLogged(b, leaf []byte, index uint64) []byte {
	b = append(b, `"entry":`...)
	b = append(b, leaf...)
	return appendNumber(b, "index", index)
}

func appendHashes(b []byte, hashes []tlog.Hash) []byte {
	return appendList(b, hashes, func(b []byte, h tlog.Hash) []byte { return appendBase64(b, h[:]) })
}

// DecodeProved reads what Encode wrote; it verifies nothing.
func DecodeProved(b []byte) (*Proved, error) {
	if len(b) > MaxProved {
		return nil, fmt.Errorf("%w: proved entry of %d bytes, %d are allowed", ErrTooLarge, len(b), MaxProved)
	}
	r := &reader{all: b}
	p := r.proved()
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("%w: proved entry: %w", ErrBadEntry, err)
	}
	return p, nil
}

func (r *reader) proved() *Proved {
	p := &Proved{}
	r.lit(`{"inception":`)
	p.Inception = r.leaf()
	if r.opt(`,"keyEvents":`) {
		r.list(maxKeyEvents, func(int) {
			var e KeyEvent
			r.lit("{")
			e.Entry, e.Index = r.logged()
			r.lit(`,"proof":`)
			e.Proof = r.hashes()
			r.lit("}")
			p.KeyEvents = append(p.KeyEvents, e)
		})
	}
	r.lit(",")
	p.Entry, p.Index = r.logged()
	r.lit(`,"checkpoint":`)
	p.Checkpoint = []byte(r.str(MaxNote))
	r.lit(`,"proof":`)
	p.Proof = r.hashes()
	r.lit("}")
	return p
}

func (r *reader) logged() (leaf []byte, index uint64) {
	r.lit(`"entry":`)
	leaf = r.leaf()
	r.lit(`,"index":`)
	return leaf, r.num(maxLogSize)
}

func (r *reader) hashes() []tlog.Hash {
	var out []tlog.Hash
	if !r.opt("[]") {
		r.list(maxProof, func(int) { out = append(out, r.hash()) })
	}
	return out
}

// leaf takes an envelope and returns its exact bytes, in memory of their own.
func (r *reader) leaf() []byte {
	start := r.pos
	r.envelope()
	leaf := bytes.Clone(r.all[start:r.pos])
	if len(leaf) > MaxLeaf {
		r.fail("entry of %d bytes, %d are allowed", len(leaf), MaxLeaf)
	}
	return leaf
}

func (r *reader) hash() tlog.Hash {
	raw := r.base64(tlog.HashSize)
	if len(raw) != tlog.HashSize {
		r.fail("want a hash of %d bytes", tlog.HashSize)
		return tlog.Hash{}
	}
	return tlog.Hash(raw)
}

// Author is the author that the inception makes.
func (p *Proved) Author() AuthorID { return AuthorIDOf(p.Inception) }

// Verify checks everything that can be checked without having seen the log:
// that the inception makes the author, that each key event was signed by keys
// that the one before committed to, that those who spoke for the author at the
// time signed the entry and the checkpoint, and that all of these are in the log
// of the checkpoint.
//
// A key event that whoever made the proof left out cannot be missed here; a
// Ledger that has seen it misses it in Check.
func (p *Proved) Verify() (*Entry, Checkpoint, error) {
	v, err := p.verifySigned()
	if err != nil {
		return nil, Checkpoint{}, err
	}
	c, err := p.verifyLogged(v)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	return v.entry, c, nil
}

// FollowKeys verifies an inception and the key events after it, in their order
// and without gaps, up to who speaks for the author then. That they are in a
// log is for CheckInclusion to say.
func FollowKeys(inception []byte, events []KeyEvent) (*Entry, KeyState, error) {
	p := &Proved{Inception: inception, Entry: inception, KeyEvents: events}
	v, err := p.verifySigned()
	if err != nil {
		return nil, KeyState{}, err
	}
	return v.inception, v.log.KeyState, nil
}

// proven is what a Proved says, its signatures verified.
type proven struct {
	inception, entry *Entry
	keys             KeyState // who spoke for the author before the entry
	log              keyLog   // after the last key event
	retired          uint64   // index of the end; 0: none
}

func (p *Proved) verifySigned() (*proven, error) {
	author := p.Author()
	in, err := DecodeEntry(author, 0, p.Inception)
	if err != nil {
		return nil, fmt.Errorf("reading inception: %w", err)
	}
	v := &proven{inception: in, log: inceptionFacts(in.Inception).keys}
	v.keys = v.log.KeyState
	if err := in.VerifySignatures(v.keys); err != nil {
		return nil, err
	}
	if p.Index == 0 {
		if !bytes.Equal(p.Entry, p.Inception) {
			return nil, fmt.Errorf("%w: entry 0 is not the inception", ErrBadProof)
		}
		v.entry = in
	}
	for _, event := range p.KeyEvents {
		if event.Index >= p.Index && v.entry == nil {
			if err := v.readEntry(p); err != nil {
				return nil, err
			}
		}
		if err := v.readEvent(author, event); err != nil {
			return nil, err
		}
	}
	if v.entry == nil {
		if err := v.readEntry(p); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *proven) readEntry(p *Proved) error {
	e, err := DecodeEntry(p.Author(), p.Index, p.Entry)
	if err != nil {
		return fmt.Errorf("reading entry %d: %w", p.Index, err)
	}
	v.entry, v.keys = e, v.log.KeyState
	if err := e.VerifySignatures(v.keys); err != nil {
		return err
	}
	return v.follow(e)
}

func (v *proven) readEvent(author AuthorID, event KeyEvent) error {
	e, err := DecodeEntry(author, event.Index, event.Entry)
	if err != nil {
		return fmt.Errorf("reading key event %d: %w", event.Index, err)
	}
	if last := v.log.events[len(v.log.events)-1]; event.Index <= last || e.keySet() == nil {
		return fmt.Errorf("%w: entry %d is no key event, or not in its place", ErrBadProof, event.Index)
	}
	if err := e.VerifySignatures(v.log.KeyState); err != nil {
		return err
	}
	return v.follow(e)
}

// follow takes a verified entry for what it does to the keys.
func (v *proven) follow(e *Entry) error {
	if v.retired > 0 {
		return fmt.Errorf("%w: entry %d comes after its end", ErrRetired, e.Index)
	}
	k, ok := e.Statement.(keyEvent)
	if !ok {
		return nil
	}
	var err error
	if v.log, err = v.log.after(e.Index, k); err != nil {
		return err
	}
	if _, ok := k.(*Retire); ok {
		v.retired = e.Index
	}
	return nil
}

func (p *Proved) verifyLogged(v *proven) (Checkpoint, error) {
	origin := Origin(v.inception.Inception.Network, v.inception.Author)
	c, err := ParseCheckpoint(p.Checkpoint, origin, v.log.KeyState)
	if err != nil {
		return Checkpoint{}, err
	}
	if v.retired > 0 && c.Size != v.retired+1 {
		return Checkpoint{}, fmt.Errorf("%w: in entry %d, the checkpoint is over %d", ErrRetired, v.retired, c.Size)
	}
	for _, event := range p.KeyEvents {
		if err := CheckInclusion(event.Proof, c, event.Index, event.Entry); err != nil {
			return Checkpoint{}, err
		}
	}
	if err := CheckInclusion(p.Proof, c, p.Index, p.Entry); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

// withoutEvent leaves the event of an index out.
func withoutEvent(events []KeyEvent, index uint64) []KeyEvent {
	return slices.DeleteFunc(slices.Clone(events), func(e KeyEvent) bool { return e.Index == index })
}

// proveKeyEvents returns key events with their proofs in the log of a size.
func (l *Ledger) proveKeyEvents(events []KeyEvent, size uint64, r tlog.HashReader) ([]KeyEvent, error) {
	var out []KeyEvent
	for _, e := range events {
		if e.Index >= size {
			break
		}
		proof, err := tlog.ProveRecord(int64(size), int64(e.Index), r)
		if err != nil {
			return nil, err
		}
		out = append(out, KeyEvent{e.Index, e.Entry, proof})
	}
	return out, nil
}

// batchReader reads the hashes of a log with a batch behind it.
func (l *Ledger) batchReader(s *state, b *batch) tlog.HashReader {
	base := tlog.StoredHashCount(int64(s.head.Size))
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= base && index < base+int64(len(b.hashes)) {
				out[i] = b.hashes[index-base]
				continue
			}
			stored, err := l.store.Hashes(s.author, []int64{index})
			if err != nil {
				return nil, err
			}
			out[i] = stored[0]
		}
		return out, nil
	})
}
