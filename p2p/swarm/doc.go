// Package swarm moves the bytes of content over BitTorrent and hides the whole
// of it behind a handful of verbs: build an info dict, seed, fetch, accept a
// stream, parse a magnet link. It knows no images, names or signatures: the
// caller says which infohash it wants and what its bytes must hash to.
//
// # Torrents
//
// Torrents are version 1 (BEP 3) and functions of content, so every holder of
// the same bytes joins the same swarm. A layer torrent is a single file:
//
//	d6:lengthi1048576e4:name64:<hex of the digest>12:piece lengthi262144e6:pieces80:<SHA-1 of each piece>e
//
// An image torrent is several files in the order given, without padding:
//
//	d5:filesld6:lengthi30e4:pathl10:oci-layoutee…e4:name71:sha256-<hex>12:piece lengthi262144e6:pieces…e
//
// Nothing else is in the dict: no private flag, source, dates or trackers. The
// infohash is the SHA-1 of these bytes, the piece length a constant of the
// protocol ([PieceLength]). SHA-1 guards the transfer only: [Swarm.Fetch] hashes
// the whole blob with SHA-256 or SHA-512 while it arrives, and the caller lets
// nothing become visible whose digest did not match.
//
// # Two doors
//
// Nodes of ours speak the peer wire protocol inside streams that the caller
// opens and accepts (libp2p), so the other end is authenticated and its deeds
// count. The dialling side first writes a preamble of 25 bytes:
//
//	"dcbt" 0x01 <20 bytes infohash>
//
// or with 0x02 instead of 0x01 where somebody reads from its beginning what comes, whereupon the accepting side opens the torrent if it has it (Config.Resolve)
// and plain BEP 3 follows: handshake, extension handshake (BEP 10), metadata
// (BEP 9), fast extension (BEP 6). Requests between nodes are 256 KiB long.
//
// Ordinary BitTorrent clients come in through a plain TCP listener, mainline DHT
// (BEP 5), trackers and peer exchange (BEP 11), each of which can be off. The
// infohash of a plain handshake opens a torrent the same way. There is no uTP.
//
// Of an ordinary client that has everything the library learns piece by piece, so
// that nodes which ask it at the same time ask for different pieces; they know each
// other by the extension dc_share, to which no messages belong. See package superseed.
//
// # Limits
//
// All connections pass through token buckets, one for all peers and one for each
// [Class] of them, both ways ([Limits]). What waits takes turns, so that every
// connection gets the same; short messages pass before blocks as far as an eighth
// of the rate carries them; a change is felt at once. The LAN is free of the rates
// of all unless Limits.LimitLAN says otherwise. A rate holds within a few per cent
// over each second: an idle bucket saves up 20 ms. Without a limit a message costs
// a few atomic operations.
//
// # Partial downloads
//
// A fetch writes to one flat file, the torrent's bytes in order, wherever the
// caller says. What such a file holds when a fetch starts is checked piece by
// piece against the info dict, never trusted by a record of what was there, so a
// crash at any moment leaves nothing worse than pieces to fetch again.
package swarm
