// Package witness cosigns checkpoints that it has seen grow consistently, and
// asks others to: C2SP tlog-witness (https://c2sp.org/tlog-witness). Any node
// can be a witness of any log, ours or other people's, and any witness of that
// network can be ours.
//
// # Request
//
// The body of POST <prefix>/add-checkpoint: the size that the witness cosigned
// last, at most 63 hashes that prove the growth from there (RFC 6962, section
// 2.1.2), an empty line, and the checkpoint:
//
//	old 20852014
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//	jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
//
//	example.com/behind-the-sofa
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeO…
//
// # Answer
//
//	200  signature lines: cosignature/v1 of the witness
//	400  malformed, or old is larger than the checkpoint
//	403  signed by none of the log's keys
//	404  no log of this origin is known
//	409  old is not what was cosigned last; the body is the size that was, with
//	     a newline, as text/x.tlog.size. The same answer with the size that was
//	     sent says that the log signed two roots for it: a fork.
//	422  the proof does not verify
//
// # What a witness promises
//
// Per origin it cosigns trees that contain each other, in ascending order, at
// times that do not descend. It writes down what it will say, durably, before
// it says it; a crash between the two leaves a record that nobody was told of,
// which a repeated request gets cosigned. Checking and writing is one
// compare-and-swap of the Store, so that two requests, or two processes over
// one store, cannot roll each other back.
//
// There is one exception, which the specification does not know: an author whose
// key signed two histories decides between them with keys that the log had
// committed to (package ledger). A witness that has read the log and that decision
// gives up what it cosigned of the other history, and begins anew, with an answer
// of 409 and size 0. To witnesses that know fixed keys only, the changed keys make
// it a log that they do not know, until their operator says so.
//
// Time only goes forward: with a clock that was a day ahead and was set right,
// a log's cosignatures keep the latest time they had until the clock gets
// there. What a quorum of clocks says is for package policy to judge.
package witness

import (
	"errors"
	"fmt"
)

// What can be wrong with a request. The answer to each is above.
var (
	ErrMalformed     = errors.New("malformed request to a witness")
	ErrUnknownLog    = errors.New("witness does not know this log")
	ErrUntrusted     = errors.New("checkpoint is not signed by its log")
	ErrStale         = errors.New("witness has cosigned another size of this log")
	ErrInconsistent  = errors.New("log did not grow out of what the witness cosigned")
	ErrFork          = errors.New("log signed two roots for one size")
	ErrConflict      = errors.New("witness record has been written to meanwhile")
	ErrBadAnswer     = errors.New("witness answered with something else than a cosignature")
	ErrAhead         = errors.New("witness has cosigned a longer log than this one")
	errTooManyRaces  = errors.New("others kept writing the record of this log")
	errBadRecord     = errors.New("record of a log is not one")
	errOldTooLarge   = fmt.Errorf("%w: the old size is larger than the checkpoint", ErrMalformed)
	errProofOfNought = fmt.Errorf("%w: a proof from size 0 has no lines", ErrInconsistent)
)

// A SizeError is ErrStale with the size that the witness has cosigned. When
// that is the size that was asked for, it is ErrFork too.
type SizeError struct {
	Size uint64 // entries
	Fork bool   // the size is right and the root is another
}

func (e *SizeError) Error() string {
	if e.Fork {
		return fmt.Sprintf("%v: %d entries", ErrFork, e.Size)
	}
	return fmt.Sprintf("%v: %d entries", ErrStale, e.Size)
}

// Is says what the error is for errors.Is.
func (e *SizeError) Is(target error) bool {
	return target == ErrStale || e.Fork && target == ErrFork
}
