// Package evidence proves forks: that an author's keys signed two histories of
// its log that cannot both be true. A proof contains all that a stranger needs,
// at most 1 MiB, and takes O(log n) hashes. Nobody can make one about an author
// that signed one history only, whatever he leaves out, repeats or invents.
//
// What a proof cannot tell is who held the keys. Whoever steals them can sign a
// second history too, also with keys that the author has replaced since.
// Therefore Verify names the keys of both sides, and Fork.Replaced compares them
// with the log that a node has seen: a history that goes on under keys that were
// replaced there convicts nobody. Below the entry that replaced them it convicts
// keys, and a log that goes on under those that they had committed to long before
// has an author who deserves to be heard.
//
// One side of a proof is a proved entry (package ledger), which brings the
// author's inception and keys along; the other one is another proved entry, or a
// bare checkpoint that the keys of the first side signed. They contradict each
// other in one of three ways:
//
//   - The checkpoints have the same size and other roots.
//   - The checkpoints have sizes m < n, and a consistency proof shows that the
//     log of size n began with another root at m ("prefix") than the one signed.
//   - Both sides prove an entry of the same index, and these differ.
//
// The encoding is JSON in one spelling, without white space:
//
//	{"proved":{"inception":{…},"entry":{…},"index":0,"checkpoint":"public/l/…","proof":[…]},
//	 "other":{"checkpoint":"public/l/bafkrei…\n4\n…\n\n— …\n"},
//	 "prefix":"<base64 of 32 bytes>","growth":["<base64 of 32 bytes>"]}
//
// with {"proved":{…}} in place of {"checkpoint":…} for a second proved entry, and
// prefix and growth in the second case only.
//
// Who has both histories adds what they have in common, so that every node freezes
// the log at the same size: the root of that size, for each side the growth from
// there, and the hashes of the next entry on both sides, which differ, with their
// proofs:
//
//	"common":{"size":3,"root":"…","growth":[["…"],["…"]],"leaves":["…","…"],"proofs":[["…"],["…"]]}
//
// Without it, what is proven is only that they have less than Fork.Diverged in
// common, and the log stands up to there until somebody proves less.
//
// Keys that a key event had committed to decide between histories: one that goes
// on under them stands, and the others are void from where they differ from it
// (Fork.Superseded). Two that go on under them in different ways are a fault
// without remedy (Fork.Final).
package evidence

import "errors"

// What can be wrong with a proof.
var (
	ErrMalformed = errors.New("malformed fork proof")
	ErrNoFork    = errors.New("the histories do not contradict each other")
)
