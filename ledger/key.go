package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"slices"

	fast "github.com/dockchains/dockchain/ledger/ed25519"
)

// algEd25519 is the C2SP signed-note type byte that precedes an Ed25519 key
// wherever a key is written or hashed; it leaves room for other algorithms.
const algEd25519 = 0x01

// PublicKey is an Ed25519 public key (RFC 8032).
type PublicKey [ed25519.PublicKeySize]byte

// encoded is the key behind its type byte.
func (k PublicKey) encoded() []byte { return append([]byte{algEd25519}, k[:]...) }

// Fingerprint is hex(sha256(0x01 || key)): the keyid in envelopes and the
// commitment to a next key in an inception.
func (k PublicKey) Fingerprint() string {
	sum := sha256.Sum256(append([]byte{algEd25519}, k[:]...)) // as encoded, on the stack
	return hex.EncodeToString(sum[:])
}

func (k PublicKey) String() string { return k.Fingerprint() }

func (k PublicKey) verify(msg, sig []byte) bool {
	return fast.Verify(k[:], msg, sig)
}

// smallOrder holds the y coordinates, little endian, of the points of small
// order. Under such a key one signature fits every message, so whoever used it
// could deny having signed anything.
var smallOrder = [...]string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// check refuses keys that are not the one encoding of their point, and keys of
// small order.
func (k PublicKey) check() error {
	y := k
	y[31] &= 0x7f
	if y[31] == 0x7f && bytes.Count(y[1:31], []byte{0xff}) == 30 && y[0] >= 0xed {
		return fmt.Errorf("%w: coordinate is not reduced", ErrBadKey)
	}
	if slices.Contains(smallOrder[:], hex.EncodeToString(y[:])) {
		return fmt.Errorf("%w: point of small order", ErrBadKey)
	}
	return nil
}

// Key is an Ed25519 signing key. It prints as its fingerprint.
type Key struct{ private ed25519.PrivateKey }

// GenerateKey takes 32 bytes of random (crypto/rand.Reader outside of tests).
func GenerateKey(random io.Reader) (Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return Key{}, fmt.Errorf("generating key: %w", err)
	}
	return Key{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public returns the public half; of the zero Key, the zero PublicKey.
func (k Key) Public() PublicKey {
	var p PublicKey
	if len(k.private) == ed25519.PrivateKeySize {
		copy(p[:], k.private[ed25519.SeedSize:])
	}
	return p
}

func (k Key) String() string { return k.Public().Fingerprint() }

// Format keeps the private half out of every kind of print.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue keeps the private half out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

func (k Key) sign(msg []byte) []byte { return fast.Sign(k.private, msg) }

const pemType = "PRIVATE KEY"

// MarshalPrivate returns the key as PKCS #8 in PEM (RFC 5958, RFC 7468), which
// openssl reads.
func (k Key) MarshalPrivate() ([]byte, error) {
	if len(k.private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: key is empty", ErrBadKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ParsePrivate reads what MarshalPrivate wrote.
func ParsePrivate(b []byte) (Key, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != pemType || len(bytes.TrimSpace(rest)) != 0 {
		return Key{}, fmt.Errorf("%w: want one PEM block of type %q", ErrBadKey, pemType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("%w: no PKCS #8 in the PEM block", ErrBadKey)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("%w: want Ed25519, not another algorithm", ErrBadKey)
	}
	return Key{private}, nil
}

// KeyState says who speaks for an author: Threshold distinct ones of Keys, until
// NextThreshold of the keys with the fingerprints Next say otherwise.
type KeyState struct {
	Keys          []PublicKey
	Threshold     int
	Next          []string
	NextThreshold int
}

// Has reports whether k is one of the keys.
func (s KeyState) Has(k PublicKey) bool {
	return slices.Contains(s.Keys, k)
}

// enough refuses counts of distinct verified signatures under the threshold,
// and a state that demands none.
func (s KeyState) enough(verified int) error {
	if s.Threshold < 1 || verified < s.Threshold {
		return fmt.Errorf("%w: signed by %d of the author's keys, %d must sign", ErrBadSignature, verified, max(s.Threshold, 1))
	}
	return nil
}

func (s KeyState) byFingerprint(fingerprint string) (PublicKey, bool) {
	for _, k := range s.Keys {
		if k.Fingerprint() == fingerprint {
			return k, true
		}
	}
	return PublicKey{}, false
}
