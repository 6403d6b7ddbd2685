// Package reconcile lets two nodes find out which logs are longer, or
// different, at the other, in traffic proportional to the difference. It is
// pure: frames go in and come out, whoever carries them.
//
// It is range-based set reconciliation (A. Meyer, "Range-Based Set
// Reconciliation", 2022, https://arxiv.org/abs/2212.13567) in the asymmetric
// form: the initiator keeps the state and learns what the responder has; the
// responder answers one frame with one frame and remembers nothing. A node that
// wants to be learned from waits to be asked.
//
// # Items and ranges
//
// An item is the head of a log: the author, the size, the root. Authors are
// ordered by the 32 bytes of the hash in their id. Since these are hashes, they
// are spread evenly, and ranges need no bounds on the wire: a range is all
// authors whose first depth bits, depth at most 60, are its prefix. Split in 4
// (or 16), it has one child for each value of the next two (or four) bits.
//
// # Fingerprints
//
//	item   SHA-512(author || size || root)     32, 8 (big endian) and 32 bytes
//	sum    the items of a range added up mod 2^512, little endian
//	print  SHA-256(salt || count || sum)[:5]   count: 8 bytes, big endian
//	tag    SHA-256(salt || item)[:5]
//
// Sums can be kept up to date in place, and the sum of any range is put together
// from few. The salt is 8 random bytes that the initiator picks for a session.
// It is what makes prints of 5 bytes enough: nobody can prepare logs whose
// prints collide, so that a difference is missed with probability 2^-37 or so,
// and the next session has another salt. What a salt cannot heal is a collision
// of sums. With 65,536 logs of one's own to choose from, generalized birthdays
// find one in about 2^46 steps, and all it hides is a range whose only
// differences are those very logs.
//
// # Request
//
// At most [MaxRequest] bytes: the version (1), the salt, then groups, each about
// a range, ranges disjoint and in ascending order. A group is one byte
//
//	bit 7     a byte with the depth follows; otherwise the depth is that of the
//	          group before (of the first: 0)
//	bits 6-5  0: one print, of the range; 1: four, of its children; 2: sixteen;
//	          3: a list
//	bits 4-0  how many ranges of this depth are left out since the group before;
//	          31: a uvarint with 31 less follows
//
// then the prints, or for a list a uvarint with the number of tags and the tags
// of all items that the initiator has in the range, ascending.
//
//	01 8899aabbccddeeff  00 1122334455              is all that you have what I have?
//	01 8899aabbccddeeff  e7 04 01 a1a2a3a4a5        what in the range 0111… has another tag than this?
//
// # Answer
//
// At most [MaxAnswer] bytes: the version (1), then one result for each group, in
// their order. A responder that runs out of space leaves out the results of the
// last groups, but never of the first; the initiator asks again.
//
//	0m            m: the prints that differ, bit 0 is the first (of one or four)
//	10 mmmm       the same of sixteen, big endian
//	20 n HEAD…    the n heads in the range that are not among the tags, ascending:
//	              32 bytes author, uvarint size, 32 bytes root. In place of prints
//	              that differ: all heads in the range, when they are few
//	30 n          the heads that a list asks for are too many, the range has n:
//	              split it
//
// In all frames uvarints are of the shortest form, and decoders accept x only if
// encode(decode(x)) == x.
//
// # Entries
//
// Once it is known which logs are longer there, their entries are asked for, of
// up to [MaxWants] logs at a time:
//
//	01 m WANT…    m: uvarint, the bytes of entries that are wanted, at most [MaxPull]
//	WANT          32 bytes author, uvarint index of the first, uvarint size of the
//	              log that they are to be proven in, 0 for as long as it is there
//
// and answered, in the same order, by one part or more; those that did not fit
// are asked for again:
//
//	01 PART…
//	PART          uvarint size of the log, 0 and nothing more if it is not there;
//	              uvarint n and a C2SP entry bundle (https://c2sp.org/tlog-tiles)
//	              of n entries: 2 bytes length, the leaf; uvarint n and n hashes,
//	              the consistency proof (RFC 6962) from the size after the last of
//	              these entries to the size of the log, none if they are the same;
//	              uvarint length and the checkpoint, none if the size was asked for
//
// Thus whoever has the edge of a log verifies each part by itself, whoever sends
// it. How a log grows from one size to another is asked for by itself too, when
// a part does not verify: the answer is the root at the first size and the
// consistency proof, 32 bytes each ([EncodeGrowth]).
//
// # Measured
//
// By BenchmarkReconcile, 100,000 logs on each side of which some are longer there;
// 67 bytes of each difference are the head that is told:
//
//	differences   rounds   bytes for each
//	          0        1   17 in all
//	          1        8   378
//	        100        8   174
//	      1,000        8   142
//	     10,000       12   107
//
// An [Index] takes 100 to 130 bytes for each log (BenchmarkIndexMemory), and the
// most expensive requests there are keep a core busy for about 20 ms
// (BenchmarkHostileRequest).
package reconcile
