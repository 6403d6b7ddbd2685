package ledger

import (
	"crypto/sha256"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// AuthorID names an author: the CIDv1 (base32, raw, sha2-256) of the exact
// bytes of leaf 0 of its log.
type AuthorID string

const authorIDLen = 59 // "b" and 58 characters for 36 bytes

// AuthorIDOf returns the id of the author whose leaf 0 is inception.
func AuthorIDOf(inception []byte) AuthorID {
	sum := sha256.Sum256(inception)
	mh, err := multihash.Encode(sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err) // 32 bytes of a known hash always encode
	}
	return AuthorID(cid.NewCidV1(cid.Raw, mh).String())
}

// ParseAuthorID refuses whatever AuthorIDOf could not have returned, with
// ErrBadAuthor.
func ParseAuthorID(s string) (AuthorID, error) {
	if len(s) != authorIDLen || s[0] != 'b' {
		return "", fmt.Errorf("%w: want %d characters that begin with bafkrei", ErrBadAuthor, authorIDLen)
	}
	c, err := cid.Decode(s)
	if err != nil || c.Version() != 1 || c.Type() != cid.Raw || c.String() != s || c.Prefix().MhType != multihash.SHA2_256 {
		return "", fmt.Errorf("%w: want a CIDv1 in lower-case base32 of raw content under sha2-256", ErrBadAuthor)
	}
	return AuthorID(s), nil
}

func (id AuthorID) String() string { return string(id) }
