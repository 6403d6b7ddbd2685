package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// errGarbage ends a connection whose peer breaks the wire protocol.
var errGarbage = errors.New("peer broke the BitTorrent wire protocol")

const handshakeSize = len(protocolHeader) + 8 + 2*len(Infohash{})

const framePiece = 7

// frameLimits are the longest payloads, type byte included, of the messages
// nodes send each other, by message type (BEP 3, 5, 6, 10).
var frameLimits = [...]struct {
	min, max uint32
}{
	0: {1, 1}, 1: {1, 1}, 2: {1, 1}, 3: {1, 1}, // choke, unchoke, interested, not interested
	4:  {5, 5},                         // have
	5:  {1, 1 + MaxInfo/20/8},          // bitfield
	6:  {13, 13},                       // request
	7:  {10, 9 + nodeChunk},            // piece
	8:  {13, 13},                       // cancel
	9:  {3, 3},                         // port
	13: {5, 5}, 14: {1, 1}, 15: {1, 1}, // suggest, have all, have none
	16: {13, 13}, 17: {5, 5}, // reject, allowed fast
	20: {2, 2 + 32<<10}, // extended
}

// A frameGuard reads from a peer of ours and checks the frames that pass, before
// the library sees, and makes room for, any of them: the handshake names the
// torrent of the preamble, lengths fit types, types are known. Bytes are only
// looked at, not held back.
type frameGuard struct {
	r        io.Reader
	ih       Infohash
	complain func(Kind)
	heard    func() // now and then, while a piece comes in

	hello []byte // handshake so far
	head  []byte // length and type of the frame that begins
	kind  int    // type of the frame under way
	skip  uint32 // bytes of it still to come
	last  time.Time
	err   error
}

func (g *frameGuard) Read(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.r.Read(b)
	if !g.check(b[:n]) {
		g.err = errGarbage
		g.complain(Garbage)
		return 0, g.err
	}
	if g.skip > 0 && g.kind == framePiece {
		if now := time.Now(); now.Sub(g.last) > tick {
			g.last = now
			g.heard()
		}
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() && len(g.hello) < handshakeSize {
		g.err = err
		g.complain(Timeout)
	}
	return n, err
}

func (g *frameGuard) check(b []byte) bool {
	if missing := handshakeSize - len(g.hello); missing > 0 && len(b) > 0 {
		m := min(missing, len(b))
		g.hello = append(g.hello, b[:m]...)
		b = b[m:]
		if !g.checkHello() {
			return false
		}
	}
	for len(b) > 0 {
		if g.skip > 0 {
			m := min(uint64(g.skip), uint64(len(b)))
			g.skip -= uint32(m)
			b = b[m:]
			continue
		}
		m := min(5-len(g.head), len(b))
		if len(g.head) < 4 {
			m = min(4-len(g.head), len(b))
		}
		g.head = append(g.head, b[:m]...)
		b = b[m:]
		if !g.checkHead() {
			return false
		}
	}
	return true
}

func (g *frameGuard) checkHello() bool {
	n := min(len(g.hello), len(protocolHeader))
	if string(g.hello[:n]) != protocolHeader[:n] {
		return false
	}
	from := len(protocolHeader) + 8
	if len(g.hello) <= from {
		return true
	}
	sent := g.hello[from:min(len(g.hello), from+len(g.ih))]
	return bytes.HasPrefix(g.ih[:], sent)
}

// checkHead looks at a length, and at a length and type, as far as they are in.
func (g *frameGuard) checkHead() bool {
	if len(g.head) < 4 {
		return true
	}
	length := binary.BigEndian.Uint32(g.head)
	if length == 0 { // keep-alive
		g.head = g.head[:0]
		return true
	}
	if len(g.head) < 5 {
		return length <= 9+nodeChunk
	}
	kind := int(g.head[4])
	g.head = g.head[:0]
	if kind >= len(frameLimits) || length < frameLimits[kind].min || length > frameLimits[kind].max {
		return false
	}
	g.kind, g.skip = kind, length-1
	return true
}
