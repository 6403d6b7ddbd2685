package ledger

import (
	"errors"
	"fmt"
)

// What can be wrong with an entry, a log or a question about them. Errors of
// this package wrap one of these.
var (
	ErrBadAuthor     = errors.New("not an author id")
	ErrBadKey        = errors.New("not a usable key")
	ErrBadEntry      = errors.New("malformed ledger entry")
	ErrBadSignature  = errors.New("signature does not verify")
	ErrBadCheckpoint = errors.New("malformed checkpoint")
	ErrBadProof      = errors.New("proof does not verify")
	ErrBadRange      = errors.New("entries do not add up to the signed checkpoint")
	ErrWrongAuthor   = errors.New("entry belongs to another author")
	ErrWrongNetwork  = errors.New("author belongs to another network")
	ErrTooLarge      = errors.New("larger than the ledger allows")
	ErrUnknownAuthor = errors.New("no log of this author is known here")
	ErrNotFound      = errors.New("no such entry in the log")
	ErrConflict      = errors.New("log has been written to meanwhile")
	ErrGap           = errors.New("entries before these are missing")
	ErrShrunk        = errors.New("log has fewer entries than were seen before")
	ErrWrongState    = errors.New("entry does not commit to the state that the log makes")
	ErrRetired       = errors.New("author has ended the log")
	ErrTransferred   = errors.New("repository belongs to another author")
	ErrRevoked       = errors.New("author has revoked this")
	ErrFrozen        = errors.New("log is frozen, because its author is proven to have broken the rules")
	ErrSuperseded    = errors.New("history was given up: the author's next keys decided for another one")
	ErrFork          = errors.New("author signed two histories that contradict each other")
)

// A ForkError holds the two checkpoints, both signed by the author, that cannot
// both be true. It is ErrFork.
type ForkError struct {
	Author       AuthorID
	Ours, Theirs []byte // signed notes
}

func (e *ForkError) Error() string { return fmt.Sprintf("log of %s: %v", e.Author, ErrFork) }

func (e *ForkError) Is(target error) bool { return target == ErrFork }

// Behind says that a proof is sound but speaks of a longer log than the one
// this node has, so that growth cannot be checked before the entries from Have
// to Want are read with Extend.
type Behind struct {
	Author     AuthorID
	Have, Want uint64 // entries

	// Keys says that the other log goes on under keys that are not known here:
	// it stands even where it contradicts the log here.
	Keys bool
}

func (e *Behind) Error() string {
	return fmt.Sprintf("log of %s has %d entries, %d are known here", e.Author, e.Want, e.Have)
}
