package ledger

import (
	"errors"
	"fmt"

	c2sp "github.com/dockchains/dockchain/ledger/note"
)

// MaxNote bounds a checkpoint in bytes.
const MaxNote = c2sp.MaxSize

// note is a parsed checkpoint, with what this package says about one.
type note struct {
	text string // ends in a newline
	sigs []c2sp.Sig
}

func noteKeyID(name string, key PublicKey) uint32 {
	return c2sp.KeyID(name, c2sp.Ed25519, key[:])
}

func isNoteName(s string) bool { return c2sp.IsName(s) }

func signNote(text, name string, keys ...Key) []byte {
	n := note{text: text}
	for _, k := range keys {
		n.sigs = append(n.sigs, c2sp.Sig{Name: name, ID: noteKeyID(name, k.Public()), Raw: k.sign([]byte(text))})
	}
	return n.encode()
}

func (n note) encode() []byte { return c2sp.Note{Text: n.text, Sigs: n.sigs}.Encode() }

func parseNote(b []byte) (note, error) {
	n, err := c2sp.Parse(b)
	switch {
	case errors.Is(err, c2sp.ErrTooLarge):
		return note{}, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return note{}, fmt.Errorf("%w: %w", ErrBadCheckpoint, err)
	}
	return note{n.Text, n.Sigs}, nil
}

// verify counts the distinct keys of the author that signed under this name.
// Signatures by others are ignored; a wrong one of a known key is fatal.
func (n note) verify(name string, keys KeyState) error {
	signed := map[PublicKey]bool{}
	for _, s := range n.sigs {
		if s.Name != name {
			continue
		}
		known, verified := false, false
		for _, k := range keys.Keys {
			if noteKeyID(name, k) != s.ID {
				continue
			}
			known = true
			if k.verify([]byte(n.text), s.Raw) {
				verified, signed[k] = true, true
			}
		}
		if known && !verified {
			return fmt.Errorf("%w: the checkpoint was changed, or somebody else signed it", ErrBadSignature)
		}
	}
	return keys.enough(len(signed))
}
