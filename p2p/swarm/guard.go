package swarm

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"
)

// errGarbage ends a connection whose peer breaks the wire protocol.
var errGarbage = errors.New("peer broke the BitTorrent wire protocol")

// maxExtended bounds the payload of an extension's message.
const maxExtended = 32 << 10

// frameLimits are the longest payloads, type byte included, of the messages
// nodes send each other, by message type (BEP 3, 5, 6, 10).
var frameLimits = [...]struct {
	min, max uint32
}{
	0: {1, 1}, 1: {1, 1}, 2: {1, 1}, 3: {1, 1}, // choke, unchoke, interested, not interested
	4:  {5, 5},                         // have
	5:  {1, 1 + MaxInfo/20/8},          // bitfield
	6:  {13, 13},                       // request
	7:  {10, 9 + maxChunk},             // piece
	8:  {13, 13},                       // cancel
	9:  {3, 3},                         // port
	13: {5, 5}, 14: {1, 1}, 15: {1, 1}, // suggest, have all, have none
	16: {13, 13}, 17: {5, 5}, // reject, allowed fast
	20: {2, 2 + maxExtended}, // extended
}

// A frameGuard reads from a peer of ours and checks the frames that pass, before
// the library sees, and makes room for, any of them: the handshake names the
// torrent of the preamble, lengths fit types, types are known. Bytes are only
// looked at, not held back.
type frameGuard struct {
	frameScanner
	r        io.Reader
	ih       Infohash
	complain func(Kind)
	heard    func() // now and then, while a piece comes in

	greeting []byte // handshake so far
	last     time.Time
	err      error
}

func newFrameGuard(r io.Reader, ih Infohash, complain func(Kind), heard func()) *frameGuard {
	g := &frameGuard{r: r, ih: ih, complain: complain, heard: heard}
	g.shake, g.allow = g.checkHello, allowedFrame
	return g
}

func (g *frameGuard) Read(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.r.Read(b)
	if !g.scan(b[:n]) {
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
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() && g.hello < handshakeSize {
		g.err = err
		g.complain(Timeout)
	}
	return n, err
}

func (g *frameGuard) checkHello(b []byte) bool {
	g.greeting = append(g.greeting, b...)
	n := min(len(g.greeting), len(protocolHeader))
	if string(g.greeting[:n]) != protocolHeader[:n] {
		return false
	}
	from := len(protocolHeader) + 8
	if len(g.greeting) <= from {
		return true
	}
	sent := g.greeting[from:min(len(g.greeting), from+len(g.ih))]
	return bytes.HasPrefix(g.ih[:], sent)
}

// allowedFrame says whether nodes send each other messages of a type and length.
func allowedFrame(kind int, length uint32) bool {
	if kind < 0 {
		return length <= 9+maxChunk
	}
	return kind < len(frameLimits) && length >= frameLimits[kind].min && length <= frameLimits[kind].max
}
