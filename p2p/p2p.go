// Package p2p connects a node to its peers. It owns the libp2p host, the
// Kademlia DHT, the gossip topic, the direct request protocol and the raw
// streams that BitTorrent runs on. It moves keys and opaque bytes and knows
// nothing of images: what a record or a message means is judged by functions
// that the caller hands in.
//
// # Transports
//
// TCP with TLS 1.3 or Noise and yamux, and QUIC (RFC 9000); TLS carries the
// libp2p identity (github.com/libp2p/specs, tls). Where a peer offers both, TCP
// is dialled first: QUIC takes twice the CPU for half the rate. TLS comes before
// Noise: it encrypts with AES where the processors have it, at a third of the
// cost of Noise's ChaCha20, and with ChaCha20 where they have not.
//
// # Roads
//
// A peer is reached by the cheapest road that is open ([Road]): TCP on the local
// network, TCP, QUIC, relays last; each kind is dialled a fraction of a second
// after the one before, none waits for another to fail, and no address costs more
// than some seconds. Nodes behind NAT find out that nobody can dial them (AutoNAT
// v1 and v2), take places at relays (circuit v2: members of the network that
// others can dial) and announce these; who comes through a relay is met by a
// hole punched in both NATs (DCUtR, github.com/libp2p/specs, relay), over TCP or
// QUIC. For that a node without public address dials public ones from the port it
// listens on. Requests go through relays at once; raw streams wait a little for a
// direct connection, then go slowly and within [Config.RelayBytes], and are cut
// off, to be dialled again, when there is a direct one.
//
// While a raw stream is open, a connection that brings nothing for seconds is asked
// for a sign of life, and closed without one; others are watched by TCP's
// keep-alive and by QUIC. Far away TCP is controlled by BBR where the kernel has
// it: one lost packet in a hundred leaves the usual control a few per cent of a
// link.
//
// # Protocols
//
// All names carry the network, so that nodes of different networks that meet do
// not mix. For the network "public":
//
//	/dockchain/public/kad/1.0.0    kad-dht (github.com/libp2p/specs, kad-dht)
//	/dockchain/public/ledger/1     gossipsub 1.1+ topic, StrictNoSign
//	/dockchain/public/evidence/1   the same, of proofs against authors
//	/dockchain/public/sync/1.0.0   direct requests, below
//	/dockchain/public/bt/1.0.0     raw streams; the first byte is the application's
//
// # Gossip
//
// Messages are unsigned by libp2p (their content carries its own signatures)
// and at most [MaxGossip] bytes; the message id is the SHA-256 of the content,
// so that the same content from many peers is handled once.
//
// # DHT
//
// Provider records: the key is any byte string; it is looked up as the CIDv1
// (raw codec) of its SHA-256. Value records: keys of the form
// "/namespace/rest", values of at most [MaxValue] bytes, both judged by
// [Validator] before they are stored, sent or returned.
//
// # Direct requests
//
// One stream carries one request and one answer, each of two frames. A frame is
// an unsigned varint length (minimal, as in github.com/multiformats/unsigned-varint)
// and that many bytes:
//
//	request:  frame(op) frame(payload)         then the requester closes its side
//	answer:   frame(code) frame(payload)       then the answerer closes its side
//
// op is 1-64 bytes of [a-z0-9./-]. code is "ok", or one of the words of
// [RemoteError] with a short UTF-8 text as payload. For example the request
// "heads" with payload "ab" and its answer "ok" with an empty payload are
//
//	05 68 65 61 64 73 02 61 62
//	02 6f 6b 00
//
// Both sides set absolute deadlines, so a peer that sends a byte now and then
// holds nothing for long. Bytes after the second frame make the message void.
package p2p

import (
	"errors"
	"fmt"
	"syscall"
)

// Limits of what travels, in bytes.
const (
	MaxGossip   = 1104 << 10 // one gossip message
	MaxEvidence = 2304 << 10 // one message of evidence
	MaxValue    = 256 << 10  // the value of a DHT record
	MaxKey      = 256        // the key of a DHT record
	MaxRequest  = 64 << 10   // the payload of a direct request
	MaxAnswer   = 8 << 20    // the payload of an answer, whatever the operation allows
)

// Errors that callers tell apart. Those marked with a code also travel in
// answers of the direct protocol: a handler returns one (wrapped or not) and
// the requester gets a [*RemoteError] for which errors.Is says the same.
var (
	ErrNotFound    = errors.New("not found")               // code "not-found"; also: no such DHT record
	ErrBusy        = errors.New("peer is busy")            // code "busy": over the peer's limit of concurrent requests
	ErrBadRequest  = errors.New("bad request")             // code "bad-request"
	ErrTooLarge    = errors.New("too large")               // code "too-large"; also: over a limit on this side
	ErrDenied      = errors.New("denied")                  // code "denied"
	ErrUnknownOp   = errors.New("unknown operation")       // code "unknown-op"
	ErrInternal    = errors.New("internal error")          // code "internal"
	ErrBadFrame    = errors.New("malformed frame")         // the peer does not speak the direct protocol
	ErrNoPeers     = errors.New("no peers to ask")         // the routing table is empty
	ErrBlocked     = errors.New("peer is blocked")         // by Block
	ErrBadAddress  = errors.New("bad peer address")        // not a multiaddr that ends in /p2p/ID
	ErrAddrInUse   = fmt.Errorf("%w", syscall.EADDRINUSE)  // another program listens there
	ErrBadRecord   = errors.New("bad record")              // key or value of a DHT record out of bounds
	ErrStale       = errors.New("a newer record is known") // by PutValue
	ErrRelayBudget = errors.New("only a relay leads to the peer, and its use is up for now")
	ErrKeyMode     = errors.New("key file is readable by others")
	ErrBadKey      = errors.New("key file is damaged")
)
