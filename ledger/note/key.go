package note

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"filippo.io/mldsa"

	verify25519 "github.com/dockchains/dockchain/ledger/ed25519"
)

// Alg is the signature type of a key.
type Alg byte

// The signature types that this package verifies.
const (
	Ed25519       Alg = 0x01 // how logs sign
	CosignatureV1 Alg = 0x04 // how witnesses sign, with the time
	MLDSA44       Alg = 0x06 // the same, with a post-quantum key
)

const maxKeyLine = 4096 // bytes of a verifier key

// Key is a verifier key: a name, and what verifies the signatures under it.
type Key struct {
	Name   string
	Alg    Alg
	Public [ed25519.PublicKeySize]byte // of types 0x01 and 0x04
	MLDSA  string                      // of type 0x06: the bytes that FIPS 204 encodes a public key in
}

// public is what verifies, as a vkey has it.
func (k Key) public() []byte {
	if k.Alg == MLDSA44 {
		return []byte(k.MLDSA)
	}
	return k.Public[:]
}

// SameKey reports whether two keys wrap the same public key, under whatever
// names: one that is listed twice must not count twice.
func (k Key) SameKey(o Key) bool {
	return (k.Alg == MLDSA44) == (o.Alg == MLDSA44) && bytes.Equal(k.public(), o.public())
}

// KeyID is what the specification recommends: the first four bytes of
// SHA-256(name || 0x0A || type || key).
func KeyID(name string, alg Alg, public []byte) uint32 {
	sum := sha256.Sum256(slices.Concat([]byte(name+"\n"), []byte{byte(alg)}, public))
	return binary.BigEndian.Uint32(sum[:])
}

// ID is the key's id in signature lines.
func (k Key) ID() uint32 { return KeyID(k.Name, k.Alg, k.public()) }

// String returns the vkey of the specification: name+id+base64(type || key).
func (k Key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.ID(), strictBase64.EncodeToString(append([]byte{byte(k.Alg)}, k.public()...)))
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
	k := Key{Name: name, Alg: Alg(raw[0])}
	if err := k.setPublic(raw[1:]); err != nil {
		return Key{}, err
	}
	if k.ID() != binary.BigEndian.Uint32(want) {
		return Key{}, fmt.Errorf("%w: the id is not that of the name and key", ErrBadKey)
	}
	return k, nil
}

// setPublic takes the public key of the type that k has.
func (k *Key) setPublic(raw []byte) error {
	switch k.Alg {
	case Ed25519, CosignatureV1:
		if len(raw) != len(k.Public) {
			return fmt.Errorf("%w: the key has %d bytes, Ed25519 has %d", ErrBadKey, len(raw), len(k.Public))
		}
		copy(k.Public[:], raw)
	case MLDSA44:
		if _, err := mldsa.NewPublicKey(mldsa.MLDSA44(), raw); err != nil || len(k.Name) > maxSubtreeName {
			return fmt.Errorf("%w: want the %d bytes of an ML-DSA-44 key, and a name of at most %d", ErrBadKey, mldsa.MLDSA44PublicKeySize, maxSubtreeName)
		}
		k.MLDSA = string(raw)
	default:
		return fmt.Errorf("%w: type 0x%02x", ErrUnsupported, byte(k.Alg))
	}
	return nil
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
	case MLDSA44:
		at, ok := Time(s)
		return ok && k.verifySubtree(text, at, s.Raw[timeSize:])
	default:
		return false
	}
}

func (k Key) verify(msg, sig []byte) bool {
	return verify25519.Verify(k.Public[:], msg, sig)
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
