package ledger

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"
)

// Head is the newest committed state of a log. A committed log has at least
// its inception, so Size is never 0 in what a Store returns.
type Head struct {
	Author     AuthorID
	Size       uint64 // entries
	Root       tlog.Hash
	Checkpoint []byte // the author's signed note over Size and Root
}

// Fault is why a log is frozen: no more than its first Common entries count.
type Fault struct {
	Kind     string // one line for people and for telling the evidence apart, at most 64 bytes
	Common   uint64 // entries that stand: those that all histories have in common, as far as it is known
	Evidence []byte // what proves it, at most MaxEvidence
}

// MaxEvidence bounds the proof of a fault in bytes.
const MaxEvidence = 2304 << 10

const maxFaultKind = 64

// FaultFork is the Kind of a Fault whose Evidence is a proof of two histories
// (package evidence), FaultKeys of one of two histories that both go on under keys
// that the author had committed to: then nobody can decide between them.
const (
	FaultFork = "two histories"
	FaultKeys = "two successions of keys"
)

// FaultState is the Kind of a Fault whose Evidence is an encoded Proved: an
// entry that does not commit to what the entries before it and itself make.
const FaultState = "wrong state"

// Store keeps logs. It trusts its caller, a Ledger, to have verified what it
// is given. All methods may be called concurrently, and byte slices that go in
// or come out are not written to by anybody afterwards.
//
// Hashes are those of golang.org/x/mod/sumdb/tlog: a log of n entries has
// tlog.StoredHashCount(n) of them, numbered by tlog.StoredHashIndex.
//
// The conformance suite is in ledgertest.
type Store interface {
	// Head returns ErrUnknownAuthor when nothing of the author is committed.
	Head(author AuthorID) (Head, error)

	// Commit appends leaves at index first, and their hashes after those that
	// are there, changes these items of the author's state, each at most once,
	// and replaces the head, all or nothing. When it returns nil, everything is
	// durable. It fails with ErrConflict, and changes nothing, unless the log has
	// exactly first entries (none: the author is unknown), or is staged up to
	// there: then what is staged is part of it from now on. If there are leaves,
	// whatever else was staged is gone. Commits to different logs may share one transaction.
	Commit(ctx context.Context, author AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []Item, head Head) error

	// Leaves returns entries from to to-1, or ErrNotFound when the log does
	// not have all of them.
	Leaves(author AuthorID, from, to uint64) ([][]byte, error)

	// Hashes returns the stored hashes with these numbers, in their order, or
	// ErrNotFound when one of them is not there.
	Hashes(author AuthorID, indexes []int64) ([]tlog.Hash, error)

	// State returns the value of an item of the author's state, or ErrNotFound.
	State(author AuthorID, key string) ([]byte, error)

	// States returns all items of the author's state in ascending order of
	// their keys, as of one head; none of an unknown author.
	States(author AuthorID) ([]Item, error)

	// Replace is Commit that gives up the entries from first on: of the log that
	// has the head was, it keeps those before first. It fails with ErrConflict, and
	// changes nothing, unless was is the head. It is durable when it returns nil;
	// a crash in it may leave the author unknown. What is staged is gone.
	Replace(ctx context.Context, author AuthorID, was Head, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []Item, head Head) error

	// SetFault keeps what is wrong with a log, durably, in place of what was kept
	// before.
	SetFault(ctx context.Context, author AuthorID, f Fault) error

	// Fault returns what SetFault kept, or ErrNotFound.
	Fault(author AuthorID) (Fault, error)

	Stager

	// Forget deletes everything of an author, its fault and what is staged too. An unknown author is
	// no error. After a crash in it the log is there whole, or not at all.
	Forget(ctx context.Context, author AuthorID) error

	// Heads returns up to limit heads of the authors after the given one ("":
	// from the first), in ascending order of their ids.
	Heads(after AuthorID, limit int) ([]Head, error)
}

// Stage is how far a log reaches beyond its head: entries that were verified
// against a longer log that the author signed, and wait for the rest of it.
type Stage struct {
	Size   uint64 // entries, with those under the head
	Bytes  int64  // of those that are not
	Target []byte // an encoded Proved of the log that they were verified against
}

// Stager keeps entries beyond the head of a log, of which no other method of a
// Store tells, until Commit takes them over.
type Stager interface {
	// Stage adds leaves at index first, and their hashes, durably. It fails with
	// ErrConflict unless the log is staged up to first, or has exactly first
	// entries: then whatever was staged before is gone. A Stage without Target
	// keeps the one before.
	Stage(ctx context.Context, author AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, st Stage) error

	// Staged returns ErrNotFound when nothing of the author is staged.
	Staged(author AuthorID) (Stage, error)

	// StagedLeaves and StagedHashes are Leaves and Hashes of a log as far as it
	// is staged.
	StagedLeaves(author AuthorID, from, to uint64) ([][]byte, error)
	StagedHashes(author AuthorID, indexes []int64) ([]tlog.Hash, error)

	// Unstage drops what is staged.
	Unstage(ctx context.Context, author AuthorID) error
}
