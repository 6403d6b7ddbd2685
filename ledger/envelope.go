package ledger

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxLeaf is the largest entry in bytes: what fits the 16-bit length prefix of
// C2SP tlog-tiles.
const MaxLeaf = 1<<16 - 1

// MaxKeys bounds the keys of an author, and so the signatures of an entry.
const MaxKeys = 16

const payloadType = "application/vnd.in-toto+json"

const fingerprintLen = 64

// envelope is a DSSE envelope. Its signatures are sorted by key id and by
// distinct keys.
type envelope struct {
	payload    []byte
	signatures []signature
}

type signature struct {
	keyID string
	sig   []byte
}

// pae is the DSSE pre-authentication encoding: the bytes that are signed.
func pae(payload []byte) []byte {
	b := make([]byte, 0, 64+len(payload))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// signEnvelope returns the leaf: payload in an envelope signed by every key.
func signEnvelope(payload []byte, keys ...Key) ([]byte, error) {
	e := envelope{payload: payload}
	msg := pae(payload)
	for _, k := range keys {
		if err := k.Public().check(); err != nil {
			return nil, fmt.Errorf("signing entry: %w", err)
		}
		e.signatures = append(e.signatures, signature{k.Public().Fingerprint(), k.sign(msg)})
	}
	e.sort()
	leaf := e.encode()
	if len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("encoding entry: %w: %d bytes, %d are allowed", ErrTooLarge, len(leaf), MaxLeaf)
	}
	return leaf, nil
}

func (e envelope) sort() {
	slices.SortFunc(e.signatures, func(a, b signature) int { return strings.Compare(a.keyID, b.keyID) })
}

func (e envelope) encode() []byte {
	b := make([]byte, 0, 256+len(e.payload)*4/3+len(e.signatures)*180)
	b = append(b, `{"payloadType":"`+payloadType+`","payload":`...)
	b = appendBase64(b, e.payload)
	b = append(b, `,"signatures":[`...)
	for i, s := range e.signatures {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"keyid":"`...)
		b = append(b, s.keyID...)
		b = append(b, `","sig":`...)
		b = appendBase64(b, s.sig)
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

func decodeEnvelope(leaf []byte) (envelope, error) {
	if len(leaf) > MaxLeaf {
		return envelope{}, fmt.Errorf("%w: entry of %d bytes, %d are allowed", ErrTooLarge, len(leaf), MaxLeaf)
	}
	r := &reader{all: leaf}
	e := r.envelope()
	if err := r.end(); err != nil {
		return envelope{}, fmt.Errorf("%w: envelope: %w", ErrBadEntry, err)
	}
	return e, nil
}

func (r *reader) envelope() envelope {
	var e envelope
	r.lit(`{"payloadType":"` + payloadType + `","payload":`)
	e.payload = r.base64(MaxLeaf)
	r.lit(`,"signatures":`)
	r.list(MaxKeys, func(i int) {
		r.lit(`{"keyid":`)
		s := signature{keyID: r.str(fingerprintLen)}
		r.lit(`,"sig":`)
		s.sig = r.base64(ed25519.SignatureSize)
		r.lit("}")
		switch {
		case r.err != nil:
		case !isHex(s.keyID, fingerprintLen) || len(s.sig) != ed25519.SignatureSize:
			r.fail("malformed signature")
		case i > 0 && s.keyID <= e.signatures[i-1].keyID:
			r.fail("signatures are not in ascending order of their key ids")
		}
		e.signatures = append(e.signatures, s)
	})
	r.lit("}")
	return e
}

// verify wants every signature to be by one of the author's keys and to verify,
// and enough of them.
func (e envelope) verify(keys KeyState, by verifier) error {
	msg := pae(e.payload)
	for _, s := range e.signatures {
		key, ok := keys.byFingerprint(s.keyID)
		if !ok {
			return fmt.Errorf("%w: it is by a key that does not speak for the author", ErrBadSignature)
		}
		if !by(key, msg, s.sig) {
			return fmt.Errorf("%w: the signed bytes were changed, or somebody else signed them", ErrBadSignature)
		}
	}
	return keys.enough(len(e.signatures))
}
