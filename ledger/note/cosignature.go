package note

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"filippo.io/mldsa"
)

const timeSize = 8

// cosigned is the message of a cosignature/v1.
func cosigned(text string, at int64) []byte {
	b := append([]byte(nil), "cosignature/v1\ntime "...)
	b = strconv.AppendInt(b, at, 10)
	b = append(b, '\n')
	return append(b, text...)
}

// Cosign makes a cosignature/v1, or a subtree/v1 of the whole tree, with the
// private half of k, at a POSIX time in seconds. It says: as of then, this is
// the largest tree of this log that I have seen, and it grew out of those that I
// saw before.
func Cosign(k Key, text string, at int64, sign func(msg []byte) []byte) (Sig, error) {
	if !IsName(k.Name) || at < 0 {
		return Sig{}, fmt.Errorf("cosigning: %w: want a name, and a time after 1970", ErrBadKey)
	}
	var msg []byte
	switch k.Alg {
	case CosignatureV1:
		msg = cosigned(text, at)
	case MLDSA44:
		var ok bool
		if msg, ok = subtree(k.Name, text, at); !ok {
			return Sig{}, fmt.Errorf("cosigning: %w: the text is no checkpoint that this key can sign", ErrMalformed)
		}
	default:
		return Sig{}, fmt.Errorf("cosigning: %w: want a key of type 0x04 or 0x06", ErrBadKey)
	}
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, timeSize+mldsa.MLDSA44SignatureSize), uint64(at))
	return Sig{Name: k.Name, ID: k.ID(), Raw: append(raw, sign(msg)...)}, nil
}

// Time returns the POSIX time in seconds that a cosignature carries; false: this
// is none.
func Time(s Sig) (int64, bool) {
	if len(s.Raw) != timeSize+ed25519.SignatureSize && len(s.Raw) != timeSize+mldsa.MLDSA44SignatureSize {
		return 0, false
	}
	at := binary.BigEndian.Uint64(s.Raw)
	return int64(at), at <= math.MaxInt64
}
