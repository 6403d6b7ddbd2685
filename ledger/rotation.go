package ledger

import (
	"fmt"
	"slices"
	"strconv"
)

// KeySet is what a key event establishes: who speaks for the author from then
// on, and a commitment to the keys after those.
type KeySet struct {
	Keys          []PublicKey // 1 to MaxKeys, distinct
	Threshold     int         // how many of Keys must sign
	Next          []string    // fingerprints of the next keys; none: they can never change
	NextThreshold int         // how many of the next keys must sign; 0 without Next
}

// State is the key state that the set makes.
func (k *KeySet) State() KeyState {
	return KeyState{Keys: k.Keys, Threshold: k.Threshold, Next: k.Next, NextThreshold: k.NextThreshold}
}

// Rotate replaces the keys. Enough of the new ones must be those that the key
// event before committed to, and they sign it: whoever stole the keys in use
// does not have them.
type Rotate struct{ KeySet }

// Recover is a Rotate that also takes back what the old keys signed from an
// index on: those entries, up to this one, count for nothing.
type Recover struct {
	KeySet
	VoidFrom uint64 // after the last key event; at the latest this entry, which takes nothing back
}

// Retire ends the log: nothing comes after it. It is signed like a Rotate, by
// keys that sign the last checkpoint too, and commits to none.
type Retire struct{ KeySet }

// keyEvent is a statement that changes the keys.
type keyEvent interface {
	Statement
	keySet() *KeySet
}

func (k *KeySet) keySet() *KeySet { return k }

// Type implements Statement.
func (*Rotate) Type() string { return TypeRotate }

// Type implements Statement.
func (*Recover) Type() string { return TypeRecover }

// Type implements Statement.
func (*Retire) Type() string { return TypeRetire }

// Check implements Statement.
func (k *KeySet) Check() error {
	if err := want(len(k.Keys) > 0 && len(k.Keys) <= MaxKeys && len(k.Next) <= MaxKeys, "want 1 to %d keys", MaxKeys); err != nil {
		return err
	}
	for i, key := range k.Keys {
		if err := key.check(); err != nil {
			return fmt.Errorf("%w: key %d: %w", ErrBadEntry, i, err)
		}
		if slices.Contains(k.Keys[:i], key) {
			return fmt.Errorf("%w: key %d is there twice", ErrBadEntry, i)
		}
	}
	for i, f := range k.Next {
		if !isHex(f, fingerprintLen) || slices.Contains(k.Next[:i], f) {
			return fmt.Errorf("%w: next key %d is no fingerprint or there twice", ErrBadEntry, i)
		}
	}
	if err := want(k.Threshold >= 1 && k.Threshold <= len(k.Keys), "threshold %d of %d keys", k.Threshold, len(k.Keys)); err != nil {
		return err
	}
	least := min(len(k.Next), 1)
	return want(k.NextThreshold >= least && k.NextThreshold <= len(k.Next), "threshold %d of %d next keys", k.NextThreshold, len(k.Next))
}

// Check implements Statement.
func (e *Recover) Check() error {
	if err := e.KeySet.Check(); err != nil {
		return err
	}
	return want(e.VoidFrom >= 1 && e.VoidFrom <= maxLogSize, "void from entry %d", e.VoidFrom)
}

// Check implements Statement.
func (e *Retire) Check() error {
	if err := e.KeySet.Check(); err != nil {
		return err
	}
	return want(len(e.Next) == 0, "a retired author has no next keys")
}

// subject lists the keys by their fingerprints.
func (k *KeySet) subject(AuthorID) []byte {
	b := []byte("[")
	for i, key := range k.Keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":"key/`...)
		b = strconv.AppendInt(b, int64(i), 10)
		b = append(b, `","digest":{"sha256":"`...)
		b = append(b, key.Fingerprint()...)
		b = append(b, `"}}`...)
	}
	return append(b, ']')
}

func (k *KeySet) appendFields(b []byte) []byte {
	b = append(b, `,"keys":`...)
	b = appendList(b, k.Keys, func(b []byte, key PublicKey) []byte { return appendBase64(b, key.encoded()) })
	b = appendNumber(b, "threshold", uint64(k.Threshold))
	if len(k.Next) > 0 {
		b = append(b, `,"next":`...)
		b = appendList(b, k.Next, appendString)
		b = appendNumber(b, "nextThreshold", uint64(k.NextThreshold))
	}
	return b
}

func (e *Recover) appendFields(b []byte) []byte {
	return appendNumber(e.KeySet.appendFields(b), "voidFrom", e.VoidFrom)
}

func (k *KeySet) readFields(r *reader) {
	r.lit(`,"keys":`)
	r.list(MaxKeys, func(int) { k.Keys = append(k.Keys, r.publicKey()) })
	r.lit(`,"threshold":`)
	k.Threshold = int(r.num(MaxKeys))
	if r.opt(`,"next":`) {
		r.list(MaxKeys, func(int) { k.Next = append(k.Next, r.str(fingerprintLen)) })
		r.lit(`,"nextThreshold":`)
		k.NextThreshold = int(r.num(MaxKeys))
	}
}

func (e *Recover) readFields(r *reader) {
	e.KeySet.readFields(r)
	r.lit(`,"voidFrom":`)
	e.VoidFrom = r.num(maxLogSize)
}

func (r *reader) publicKey() PublicKey {
	var k PublicKey
	raw := r.base64(1 + len(k))
	if len(raw) != 1+len(k) || raw[0] != algEd25519 {
		r.fail("want an Ed25519 key behind its type byte")
		return k
	}
	copy(k[:], raw[1:])
	return k
}

// verifyKeyEvent wants the keys that the event brings to have signed it, and
// enough of them to be those that before committed to.
func (e envelope) verifyKeyEvent(before KeyState, k *KeySet, by verifier) error {
	if err := e.verify(k.State(), by); err != nil {
		return err
	}
	committed := 0
	for _, s := range e.signatures {
		if slices.Contains(before.Next, s.keyID) {
			committed++
		}
	}
	if before.NextThreshold < 1 || committed < before.NextThreshold {
		return fmt.Errorf("%w: signed by %d of the keys that the author committed to as the next ones, %d must sign",
			ErrBadSignature, committed, max(before.NextThreshold, 1))
	}
	return nil
}
