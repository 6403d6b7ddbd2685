package note

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxSize bounds a note in bytes: room for 16 signatures of the
	// post-quantum kind.
	MaxSize = 64 << 10
	// MaxSigs bounds the signature lines of a note.
	MaxSigs = 64

	dash = "— "
)

var strictBase64 = base64.StdEncoding.Strict()

// Sig is a signature line.
type Sig struct {
	Name string
	ID   uint32
	Raw  []byte // what follows the key id
}

// Note is a text with signatures, none of them verified.
type Note struct {
	Text string // ends in a newline
	Sigs []Sig
}

// IsName reports whether s can be the name of a key.
func IsName(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsRune(s, '+') &&
		strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r < 0x20 }) < 0
}

// Encode returns the note as it travels.
func (n Note) Encode() []byte {
	b := append([]byte(n.Text), '\n')
	return append(b, EncodeSigs(n.Sigs)...)
}

// EncodeSigs returns signature lines, each with its newline.
func EncodeSigs(sigs []Sig) []byte {
	var b []byte
	for _, s := range sigs {
		b = append(b, dash+s.Name+" "...)
		b = strictBase64.AppendEncode(b, append(binary.BigEndian.AppendUint32(nil, s.ID), s.Raw...))
		b = append(b, '\n')
	}
	return b
}

// Parse takes a note apart and verifies nothing.
func Parse(b []byte) (Note, error) {
	if err := checkBytes(b); err != nil {
		return Note{}, err
	}
	split := bytes.LastIndex(b, []byte("\n\n"))
	if split < 0 {
		return Note{}, fmt.Errorf("%w: no empty line before the signatures", ErrMalformed)
	}
	sigs, err := parseSigs(b[split+2:])
	if err != nil {
		return Note{}, err
	}
	return Note{Text: string(b[:split+1]), Sigs: sigs}, nil
}

// ParseSigs reads one or more signature lines, as a witness answers with them.
func ParseSigs(b []byte) ([]Sig, error) {
	if err := checkBytes(b); err != nil {
		return nil, err
	}
	return parseSigs(b)
}

func checkBytes(b []byte) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(b), MaxSize)
	}
	if !utf8.Valid(b) || bytes.IndexFunc(b, func(r rune) bool { return r < 0x20 && r != '\n' }) >= 0 {
		return fmt.Errorf("%w: control characters or no UTF-8", ErrMalformed)
	}
	return nil
}

func parseSigs(b []byte) ([]Sig, error) {
	lines, ok := strings.CutSuffix(string(b), "\n")
	if !ok {
		return nil, fmt.Errorf("%w: no signatures, or the last line is not closed", ErrMalformed)
	}
	var sigs []Sig
	for line := range strings.SplitSeq(lines, "\n") {
		sig, ok := parseSig(line)
		if !ok || len(sigs) == MaxSigs {
			return nil, fmt.Errorf("%w: malformed signature line, or more than %d", ErrMalformed, MaxSigs)
		}
		sigs = append(sigs, sig)
	}
	return sigs, nil
}

func parseSig(line string) (Sig, bool) {
	line, ok := strings.CutPrefix(line, dash)
	if !ok {
		return Sig{}, false
	}
	name, b64, ok := strings.Cut(line, " ")
	raw, err := strictBase64.DecodeString(b64)
	if !ok || err != nil || !IsName(name) || len(raw) < 5 {
		return Sig{}, false
	}
	return Sig{Name: name, ID: binary.BigEndian.Uint32(raw), Raw: raw[4:]}, true
}

// With returns the note with more signatures. One that has the name and key id
// of one that is there replaces it: a cosignature of today supersedes that of
// yesterday. Beyond MaxSigs, or if the note grew beyond MaxSize, it fails with
// ErrTooLarge.
func (n Note) With(sigs ...Sig) (Note, error) {
	out := Note{Text: n.Text, Sigs: slices.Clone(n.Sigs)}
	for _, s := range sigs {
		same := func(t Sig) bool { return t.Name == s.Name && t.ID == s.ID }
		if i := slices.IndexFunc(out.Sigs, same); i >= 0 {
			out.Sigs[i] = s
			continue
		}
		out.Sigs = append(out.Sigs, s)
	}
	if len(out.Sigs) > MaxSigs || len(out.Encode()) > MaxSize {
		return Note{}, fmt.Errorf("%w: with %d signatures", ErrTooLarge, len(out.Sigs))
	}
	return out, nil
}

// Adopt returns the note with those signatures that verify under one of the
// keys, from anybody: others are left out, and so are lines of the note under one
// of the keys that do not verify. Of two by one key the one with the later time
// stays. Where there is no room for them, lines make place that neither a key nor
// the log made, whose name is the first line of the text. It reports whether
// anything is new.
func (n Note) Adopt(sigs []Sig, keys ...Key) (Note, bool, error) {
	var fresh []Sig
	clean := Note{Text: n.Text, Sigs: slices.Clone(n.Sigs)}
	for _, k := range keys {
		clean.Sigs = slices.DeleteFunc(clean.Sigs, func(s Sig) bool { return k.Made(s) && !k.Verify(n.Text, s) })
		best, known, err := clean.Find(k)
		if err != nil {
			return Note{}, false, err
		}
		better := false
		for _, s := range sigs {
			if k.Verify(n.Text, s) && (!known || later(s, best)) {
				best, known, better = s, true, true
			}
		}
		if better {
			fresh = append(fresh, best)
		}
	}
	changed := len(fresh) > 0 || len(clean.Sigs) < len(n.Sigs)
	out, err := clean.With(fresh...)
	if errors.Is(err, ErrTooLarge) {
		out, err = clean.known(keys).With(fresh...)
	}
	return out, changed, err
}

// known is the note without the lines that neither the log nor a key made.
func (n Note) known(keys []Key) Note {
	origin, _, _ := strings.Cut(n.Text, "\n")
	out := Note{Text: n.Text}
	for _, s := range n.Sigs {
		if s.Name == origin || slices.ContainsFunc(keys, func(k Key) bool { return k.Made(s) }) {
			out.Sigs = append(out.Sigs, s)
		}
	}
	return out
}

// later reports whether a cosignature was made after another one.
func later(a, b Sig) bool {
	at, timed := Time(a)
	bt, _ := Time(b)
	return timed && at > bt
}
