package ledger

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// What the packages below this one need of it, to speak with logs and witnesses
// that are not of this program.

// Sign signs a message of another format than entries and checkpoints, which
// must not be mistakable for one of those.
func (k Key) Sign(msg []byte) []byte { return k.sign(msg) }

// Check refuses, with ErrBadKey, encodings of no point and points under which
// one signature fits every message.
func (k PublicKey) Check() error { return k.check() }

// ParseCheckpointText reads the text of a note as a checkpoint of any log and
// verifies nothing.
func ParseCheckpointText(text string) (Checkpoint, error) { return parseCheckpointText(text) }

// Text is what is signed: origin, size, root and extensions in lines.
func (c Checkpoint) Text() string { return c.text() }

// Leaves returns entries from to to-1, or ErrNotFound when the log does not
// have all of them.
func (l *Ledger) Leaves(author AuthorID, from, to uint64) ([][]byte, error) {
	return l.store.Leaves(author, from, to)
}

// Hashes returns the stored hashes with these numbers, as Store does.
func (l *Ledger) Hashes(author AuthorID, indexes []int64) ([]tlog.Hash, error) {
	return l.store.Hashes(author, indexes)
}

// KeysAt returns who spoke for the author when the log had a size, as far as
// this proof tells. The proof must have been verified.
func (p *Proved) KeysAt(size uint64) (KeyState, error) {
	in, err := DecodeEntry(p.Author(), 0, p.Inception)
	if err != nil {
		return KeyState{}, fmt.Errorf("reading inception: %w", err)
	}
	keys, from := in.Inception.KeyState(), uint64(0)
	for _, event := range append(slices.Clip(p.KeyEvents), KeyEvent{Index: p.Index, Entry: p.Entry}) {
		if event.Index >= size || event.Index <= from {
			continue
		}
		e, err := DecodeEntry(in.Author, event.Index, event.Entry)
		if err != nil {
			return KeyState{}, fmt.Errorf("reading entry %d: %w", event.Index, err)
		}
		if set := e.keySet(); set != nil {
			keys, from = set.State(), event.Index
		}
	}
	return keys, nil
}

// VerifyOther verifies another checkpoint of the log of a proof, by the keys
// that the proof shows to have spoken for the author at the size of that
// checkpoint. The proof itself must have been verified.
func (p *Proved) VerifyOther(signed []byte) (Checkpoint, error) {
	n, err := parseNote(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpointText(n.text)
	if err != nil {
		return Checkpoint{}, err
	}
	in, err := DecodeEntry(p.Author(), 0, p.Inception)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading inception: %w", err)
	}
	keys, err := p.KeysAt(c.Size)
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(signed, Origin(in.Inception.Network, in.Author), keys)
}
