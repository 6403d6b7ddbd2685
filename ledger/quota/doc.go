// Package quota keeps publishing free without letting it become a flood. It
// decides; whoever asks it refuses, waits or stores. It is pure: no files, no
// network, no clock but the one in [Config]; nothing of ours is imported, so that
// package ledger can use the proof of work.
//
// # What is limited
//
//	rate of a peer     entries and bytes that it sends        [Quota.Hear], before anything is verified
//	rate of an author  entries and bytes that it publishes    [Quota.Publish], once its signature holds
//	new authors        logs that begin, of all authors        [Quota.Publish], of an author without a log here
//	new logs of a peer logs that are fetched from it          [Quota.Begin], before one is asked for
//	evidence of a peer that proves nothing                    [Quota.Accuse], before it is verified
//	store of an author entries and bytes that are kept        [Quota.Publish] and [Quota.Keep]
//	store of all       authors and bytes that are kept        [Stock.Admit]
//
// The order matters. An author is charged only for what it signed, or anybody
// could silence it by sending garbage in its name. Keep has no rate: it is for
// catching up with what was published over months. Evidence of forks costs nothing
// where it proves something ([Quota.Proven] gives it back): no quota silences it.
//
// # Rates
//
// A token bucket of rate r and burst b, kept as the one time at which it is full
// again (the generic cell rate algorithm of ITU-T I.371, annex A): a cost c moves
// that time by c/r, and is refused if it would come to lie further than b/r ahead.
//
// Of peers and of authors [Config.MaxSubjects] are remembered. One more takes the
// place of the subject whose bucket is fullest. If that bucket is full, nothing is
// lost by forgetting it; if not, the newcomer gets it as it is. So tokens are never
// made by coming under another name, all names together never get more than
// MaxSubjects buckets give, and whoever has used up its burst is never forgotten in
// favour of somebody who has not.
//
// # Storage
//
// An author may keep here
//
//	min(Max, Base * 2^min(bits - WorkBits, 30) + PerVouch * min(vouches, MaxVouches))
//
// entries, and bytes by the same rule: bits is the work in its inception, vouches
// the number of authors that this node trusts and that vouch for it. What one bit
// more costs, twice the work, is what it gives, twice the room. Less than WorkBits
// is refused, unless somebody vouches. Authors that are [Author.Exempt], this
// node's own and those it was told to follow, have no limits.
//
// Vouches are counted by whoever asks, who must count those of authors that it has
// chosen and no others: authors that vouch for each other cost only their work.
//
// # All logs together
//
// [Config.Total] bounds the authors and the bytes of all logs of others. Where there
// is no room for one more, logs are given up for it: those with the fewest vouches
// first, of these those with the least work, of these the one unused the longest.
// But a log goes only for one with more vouches or more work than it has, or when it
// was unused for [Config.Unused]. So whoever makes many authors pushes out nobody who
// worked as much, and to push out more, everything has to be paid for in work. Never
// given up are logs of authors that the user gave a name and of those whose image was
// fetched here, and for [Config.Unused] none that somebody here asked for; what a
// peer does counts as no use. A log whose author is proven to have broken the rules
// stays with the evidence, as long as such logs take no more than half of the places.
//
// # Work
//
// A nonce below 2^53 (a JSON number in any language) is work of n bits on a payload
// if this hash begins with n zero bits:
//
//	SHA-256("dockchain-pow/1" || SHA-256(payload) || nonce)     nonce: 8 bytes, big endian
//
// A hash takes 0.13 µs (BenchmarkWorkHash), so 16 bits take one core 9 ms on average
// and 22 bits half a second. Who wants more room pays before its inception is
// written, once.
package quota
