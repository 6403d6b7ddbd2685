// Package policy says when a checkpoint has been seen by enough witnesses: C2SP
// tlog-policy (https://c2sp.org/tlog-policy), k of n named keys, in groups.
//
//	log example.com/log+67cde1a3+ATr0…
//
//	# two of us, and one from outside
//	witness alice w.alice.example+f2f3a4b5+BJc1… https://w.alice.example/
//	witness bob   w.bob.example+00112233+BAy4…
//	witness carol w.carol.example+deadbeef+BFf0…
//	witness eve   w.eve.example+c0ffee00+BEw2…
//	group ours 2 alice bob carol
//	group both all ours eve
//	quorum both
//
// Lines end in a newline; items are separated by spaces and tabs; lines that
// begin with # are comments, and a # anywhere else is none. Names are bytes. A
// group or the quorum names what stands above it; "quorum none" wants no
// witness. A name is a member of at most one group, and a public key is listed
// once among the logs and once among the witnesses, so that one key can never
// count twice. The thresholds are decimal, or "any" (1), or "all".
//
// The keys of logs have type 0x01, 0x04 or 0x06, those of witnesses 0x04 or 0x06,
// the post-quantum one; both kinds may stand in one policy. A key of another type
// makes the whole policy unusable: to leave it out would be another policy.
//
// # Time
//
// The time of a checkpoint is the lower median of the times of the cosignatures
// that the quorum asks for: as long as fewer than half of those shown lie, it
// is not later than what an honest one said. A checkpoint whose time lies ahead
// of this clock by more than MaxAhead is as unusable as one that is too old:
// with a clock that went back ten years everything would look fresh.
package policy

import "errors"

// What can be wrong with a policy, or with a checkpoint under it.
var (
	ErrMalformed = errors.New("malformed witness policy")
	ErrNoQuorum  = errors.New("checkpoint has not been seen by enough witnesses")
	ErrNotLogged = errors.New("checkpoint is not signed by a log of the policy")
	ErrStale     = errors.New("checkpoint was seen too long ago")
	ErrFuture    = errors.New("checkpoint was seen in the future: a clock is wrong")
)
