package note

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Alg is the signature type of a key.
type Alg byte

// The signature types that this package verifies.
const (
	Ed25519       Alg = 0x01 // how logs sign
	CosignatureV1 Alg = 0x04 // how witnesses sign, with the time
)

const maxKeyLine = 4096 // bytes of a verifier key

// Key is a verifier key: a name, and what verifies the signatures under it.
type Key struct {
	Name   string
	Alg    Alg
	Public [ed25519.PublicKeySize]byte
}

// KeyID is what the specification recommends: the first four bytes of
// SHA-256(name || 0x0A || type || key).
func KeyID(name string, alg Alg, public []byte) uint32 {
	sum := sha256.Sum256(slices.Concat([]byte(name+"\n"), []byte{byte(alg)}, public))
	return binary.BigEndian.Uint32(sum[:])
}

// ID is the key's id in signature lines.
func (k Key) ID() uint32 { return KeyID(k.Name, k.Alg, k.Public[:]) }

// String returns the vkey of the specification: name+id+base64(type || key).
func (k Key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.ID(), strictBase64.EncodeToString(append([]byte{byte(k.Alg)}, k.Public[:]...)))
}

// ParseKey reads a vkey, and nothing that String would not have written. A
// well-formed one of a type not listed above is ErrUnsupported.
func ParseKey(s string) (Key, error) {
	name, rest, _ := strings.Cut(s, "+")
	id, b64, ok := strings.Cut(rest, "+")
	if !ok || len(s) > maxKeyLine || !IsName(name) || strings.ContainsAny(b64, "\r\n") {
		return Key{}, fmt.Errorf("%w: want name+id+key", ErrBadKey)
	}
	raw, err := strictBase64.DecodeString(b64)
	if err != nil || len(raw) < 2 {
		return Key{}, fmt.Errorf("%w: the key is not base64 of a type and a key", ErrBadKey)
	}
	want, err := hex.DecodeString(id)
	if err != nil || len(want) != 4 || strings.ToLower(id) != id {
		return Key{}, fmt.Errorf("%w: the id is not 8 lower-case hex digits", ErrBadKey)
	}
	alg := Alg(raw[0])
	if alg != Ed25519 && alg != CosignatureV1 {
		return Key{}, fmt.Errorf("%w: type 0x%02x", ErrUnsupported, raw[0])
	}
	k := Key{Name: name, Alg: alg}
	if len(raw) != 1+len(k.Public) {
		return Key{}, fmt.Errorf("%w: the key has %d bytes, Ed25519 has %d", ErrBadKey, len(raw)-1, len(k.Public))
	}
	copy(k.Public[:], raw[1:])
	if k.ID() != binary.BigEndian.Uint32(want) {
		return Key{}, fmt.Errorf("%w: the id is not that of the name and key", ErrBadKey)
	}
	return k, nil
}

// Made reports whether the line of a signature says that this key made it.
func (k Key) Made(s Sig) bool { return s.Name == k.Name && s.ID == k.ID() }

// Verify reports whether the key signed the text.
func (k Key) Verify(text string, s Sig) bool {
	if !k.Made(s) {
		return false
	}
	switch k.Alg {
	case Ed25519:
		return k.verify([]byte(text), s.Raw)
	case CosignatureV1:
		at, ok := Time(s)
		return ok && k.verify(cosigned(text, at), s.Raw[timeSize:])
	default:
		return false
	}
}

func (k Key) verify(msg, sig []byte) bool {
	return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.Public[:], msg, sig)
}

// Find returns the first signature of the note that the key made. A signature
// under its name and id that does not verify is ErrBadSignature, even beside a
// good one: somebody changed the note. None at all is ok == false.
func (n Note) Find(k Key) (s Sig, ok bool, err error) {
	for _, candidate := range n.Sigs {
		if !k.Made(candidate) {
			continue
		}
		if !k.Verify(n.Text, candidate) {
			return Sig{}, false, fmt.Errorf("%w: that of %s", ErrBadSignature, k.Name)
		}
		if !ok {
			s, ok = candidate, true
		}
	}
	return s, ok, nil
}
