package swarm

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrBadInfohash says that a string is no BitTorrent v1 infohash.
var ErrBadInfohash = errors.New("not an infohash of 40 lower-case hexadecimal digits")

// An Infohash names a torrent: the SHA-1 of its bencoded info dict.
type Infohash [sha1.Size]byte

// ParseInfohash reads 40 lower-case hexadecimal digits.
func ParseInfohash(s string) (Infohash, error) {
	var ih Infohash
	if len(s) != hex.EncodedLen(len(ih)) || !isLowerHex(s) {
		return Infohash{}, fmt.Errorf("%w: %.60q", ErrBadInfohash, s)
	}
	if _, err := hex.Decode(ih[:], []byte(s)); err != nil {
		return Infohash{}, fmt.Errorf("%w: %.60q", ErrBadInfohash, s)
	}
	return ih, nil
}

// String gives 40 lower-case hexadecimal digits.
func (ih Infohash) String() string { return hex.EncodeToString(ih[:]) }

// InfohashOf is the infohash of a bencoded info dict.
func InfohashOf(info []byte) Infohash { return sha1.Sum(info) }

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
