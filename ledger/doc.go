// Package ledger owns what authors say: one append-only RFC 6962 Merkle log
// per author, its entries, its checkpoints, its proofs, and the verdict on
// whether a piece of content may be accepted.
//
// # Author
//
// An author is the hash of the first entry of its log: a CIDv1 in lower-case
// base32 of (raw, sha2-256, exact bytes of leaf 0), "bafkrei…", 59 characters.
// There is no registrar: whoever has leaf 0 can check the name.
//
// # Entry
//
// A leaf is the exact bytes of a DSSE envelope
// (https://github.com/secure-systems-lab/dsse) around an in-toto Statement v1
// (https://github.com/in-toto/attestation), at most 65,535 bytes:
//
//	{"payloadType":"application/vnd.in-toto+json","payload":"eyJfdHlwZ…","signatures":[
//	  {"keyid":"<64 hex>","sig":"<base64 of 64 bytes>"}]}
//
// and the payload, shown with line breaks that are not there:
//
//	{"_type":"https://in-toto.io/Statement/v1",
//	 "subject":[{"name":"bafkrei…/app:1.0","digest":{"sha256":"…"}}],
//	 "predicateType":"https://github.com/dockchains/dockchain/release/v1",
//	 "predicate":{"author":"bafkrei…","seq":1,"state":"<base64 of 32 bytes>","repo":"app","tag":"1.0",
//	  "image":{"mediaType":"…","digest":"sha256:…","size":525},"size":130031,
//	  "infohash":"<40 hex>","torrents":{"mediaType":"…","digest":"sha256:…","size":310},
//	  "layers":1,"title":"…","description":"…","labels":{"k":"v"},
//	  "platforms":["linux/amd64"],"created":"2026-01-02T15:04:05Z"}}
//
// Signatures are Ed25519 over the DSSE pre-authentication encoding; keyid is
// the fingerprint of the key, hex(sha256(0x01 || public key)).
//
// JSON has exactly one accepted spelling: no white space, members in the order
// shown, optional members left out when empty, map keys sorted by their bytes,
// strings in UTF-8 with no escapes but \" \\ and \n, integers in decimal. The
// decoder takes nothing else, so that encode(decode(x)) == x, and unknown,
// repeated or reordered members cannot exist. A base64 is the standard one,
// padded, with zero padding bits.
//
// Every predicate but that of an inception starts with "author" and "seq", the
// log and the index it was signed for, so that no entry can be replayed
// elsewhere, and "state", what holds after it (see State). Predicates whose type
// this version does not know are kept and proven like any other, change no
// state, and mean nothing to it. Those it knows are, besides the release, all
// under https://github.com/dockchains/dockchain/…/v1:
//
//	inception  "network":"public", <keys>, "work":{"bits":22,"nonce":123}, "state":"…"
//	rotate     <keys>
//	recover    <keys>, "voidFrom":7
//	retire     <keys> without next
//	revoke     "digest":"sha256:…" or "key":"<fingerprint>" or "repo":"app","tag":"1.0", "lastValid":3, "reason":"…"
//	endorse    "of":"bafkrei…", "repo":"app", "digest":"sha256:…", "role":"builder", "comment":"…"
//	attest     "name":"app", "subject":"sha256:…", "predicateType":"https://…", "predicate":"{…}" or "content":{…descriptor…}
//	transfer   "repo":"app", "to":"bafkrei…"
//	accept     "repo":"app", "from":"bafkrei…", "transfer":12
//	vouch      "for":"bafkrei…", "expires":"2027-01-02T03:04:05Z"
//
// where <keys> is
//
//	"keys":["<base64 of 0x01 || public key>"],"threshold":1,"next":["<fingerprint>"],"nextThreshold":1
//
// The subject is what the statement is about: the keys, the image, the author
// (by the hash of the inception that its id is made of), and of a revoked tag
// its name, by the SHA-256 of that.
//
// # Keys
//
// Keys change by pre-rotation (as in KERI, arXiv:1907.02143):
// every key event commits to the fingerprints of the next keys, which sign
// nothing until then. A rotate, recover or retire is signed by at least
// threshold of the keys that it brings, and among these at least nextThreshold
// that the key event before committed to. Whoever stole the keys in use can
// change nothing about them. Every other entry is signed by at least threshold
// of the keys that the last key event before it brought, and by nobody else;
// the checkpoint, by those of the last key event in its log.
//
// A key event also decides between histories that contradict each other: the one
// that goes on under keys that both had committed to stands, and takes the place of
// the other from the entry where they part, whichever is longer. A history without
// it is void, and its checkpoints prove nothing against the author. A log of which
// two histories are proven stands up to what they have in common, until such a key
// event comes; two different ones are a fault for good.
//
// A recover also makes the entries from voidFrom up to itself count for nothing;
// they came after the key event before. With its own index as voidFrom it takes
// nothing back. A log has at most 16 of them. After a
// retire comes nothing. The key events of a log are bounded in bytes, so that
// they fit into a proof beside the largest entry: 278 rotations of one key, 86 of sixteen.
//
// # State
//
// What the entries of a log add up to is a map, and "state" in an entry is the
// root of its sparse Merkle tree (package statemap) after that entry. Keys and
// values are
//
//	keys                    {"keys":[…],"threshold":1,"next":[…],"nextThreshold":1,"events":[0,5],"void":[[3,5]],"spent":7040}
//	tag/app:1.0             {"digest":"sha256:…","infohash":"<40 hex>","index":1}
//	repo/app                {"is":"owned","index":1}
//	                        {"is":"transferred","to":"bafkrei…","index":4}
//	                        {"is":"accepted","from":"bafkrei…","transfer":12,"index":9}
//	revoked/digest/sha256:… {"index":6,"lastValid":3}
//	revoked/key/<64 hex>    {"index":6,"lastValid":3}
//	revoked/tag/app:1.0     {"index":6,"lastValid":3}
//	retired                 {"index":11}
//
// with index that of the entry which made it so. A revocation hits what entries
// after lastValid say; that of a tag, only those before index. In keys, events
// are the indexes of the key events, void the entries taken back (from the
// first number up to, but not with, the second), and spent the sum of 3000, 420
// for each key and 100 for each next key over the key events.
//
// What an author was not entitled to say changes nothing: a release into a
// repository that was transferred, a transfer of one that is not owned or
// accepted, a second accept, the revocation of keys that would leave too few. A
// second revocation of the same thing keeps the lower lastValid. Revoking a key
// in use takes it out of keys.
//
// An entry with another state than this is refused by everybody who has the log
// before it; together with that log, the entry proves that its author broke the
// rules, and the log is frozen.
//
// # Checkpoint
//
// A C2SP checkpoint (https://c2sp.org/tlog-checkpoint), which is a signed note
// (https://c2sp.org/signed-note) with Ed25519 signatures of type 0x01 whose key
// name is the origin:
//
//	public/l/bafkrei…
//	2
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— public/l/bafkrei… Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeO…
//
// Signatures by keys that are not the author's are ignored, as the note
// specification demands: witnesses put theirs there.
//
// # Proved entry
//
// What is gossiped, put into the DHT and answered: an entry with all that a
// stranger needs to check it, at most 1,104 KiB, in the same JSON:
//
//	{"inception":{…leaf 0…},"keyEvents":[{"entry":{…leaf…},"index":5,"proof":[…]}],
//	 "entry":{…leaf…},"index":1,"checkpoint":"public/l/…\n","proof":["<base64 of 32 bytes>"]}
//
// keyEvents are those in the log of the checkpoint, but for the inception and
// the entry itself; they are left out when there are none. A Latest proves from
// the last entry, its state and a few hashes that a release is the latest of its
// tag and is not revoked.
package ledger
