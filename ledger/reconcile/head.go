package reconcile

import (
	"bytes"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

var (
	// ErrBadHead is a head that no log can have.
	ErrBadHead = errors.New("not a head of a log")
	// ErrBadRequest is a request that does not parse.
	ErrBadRequest = errors.New("malformed reconciliation request")
	// ErrBadAnswer is an answer that does not parse or does not fit what was
	// asked: the fault of the responder.
	ErrBadAnswer = errors.New("malformed reconciliation answer")
	// ErrTooMuch is a session that took more than its limits. What it brought
	// so far stands.
	ErrTooMuch = errors.New("reconciliation takes more than is allowed")
)

// maxSize is the most entries of a log, as in package ledger.
const maxSize = 1 << 40

// Head is how far a log has come.
type Head struct {
	Author ledger.AuthorID
	Size   uint64 // entries, at least 1
	Root   tlog.Hash
}

// item is a Head as it is kept and sent.
type item struct {
	id   [32]byte // the hash in the author's id
	size uint64
	root tlog.Hash
}

// idPrefix are the bytes of a CIDv1 before the hash: version 1, raw, sha2-256 of
// 32 bytes.
var idPrefix = []byte{0x01, 0x55, 0x12, 0x20}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func authorOf(id [32]byte) ledger.AuthorID {
	return ledger.AuthorID("b" + base32Lower.EncodeToString(append(idPrefix[:len(idPrefix):len(idPrefix)], id[:]...)))
}

func idOf(author ledger.AuthorID) (id [32]byte, err error) {
	if len(author) != 59 || author[0] != 'b' {
		return id, fmt.Errorf("%w: %w", ErrBadHead, ledger.ErrBadAuthor)
	}
	b, err := base32Lower.DecodeString(string(author[1:]))
	if err != nil || !bytes.HasPrefix(b, idPrefix) || len(b) != len(idPrefix)+len(id) {
		return id, fmt.Errorf("%w: %w", ErrBadHead, ledger.ErrBadAuthor)
	}
	copy(id[:], b[len(idPrefix):])
	if authorOf(id) != author { // line breaks, or padding bits that are not zero
		return id, fmt.Errorf("%w: %w", ErrBadHead, ledger.ErrBadAuthor)
	}
	return id, nil
}

func itemOf(h Head) (item, error) {
	id, err := idOf(h.Author)
	if err != nil {
		return item{}, err
	}
	if h.Size == 0 || h.Size > maxSize {
		return item{}, fmt.Errorf("%w: %d entries", ErrBadHead, h.Size)
	}
	return item{id, h.Size, h.Root}, nil
}

func (it *item) head() Head { return Head{authorOf(it.id), it.size, it.root} }

// hash is what an item adds to the sum of its range.
func (it *item) hash() [64]byte {
	var b [72]byte
	copy(b[:], it.id[:])
	binary.BigEndian.PutUint64(b[32:], it.size)
	copy(b[40:], it.root[:])
	return sha512.Sum512(b[:])
}
