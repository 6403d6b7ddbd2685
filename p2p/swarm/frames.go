package swarm

import "encoding/binary"

const handshakeSize = len(protocolHeader) + 8 + 2*len(Infohash{})

// Message types of the peer wire protocol (BEP 3, 6 and 10).
const (
	frameChoke    = 0
	frameUnchoke  = 1
	frameHave     = 4
	frameBitfield = 5
	frameRequest  = 6
	framePiece    = 7
	frameSuggest  = 13
	frameHaveAll  = 14
	frameHaveNone = 15
	frameReject   = 16
)

// frameBody is how much of a message's payload a scanner keeps to show, by type.
// Of a piece that is its index and offset, without the data.
var frameBody = [...]int{
	frameHave:     4,
	frameBitfield: 1 + MaxInfo/20/8,
	frameRequest:  12,
	framePiece:    8,
	frameSuggest:  4,
	frameHaveAll:  0,
	frameHaveNone: 0,
	frameReject:   12,
}

// A frameScanner finds the messages in one direction of a connection, while their
// bytes pass in whatever portions. Bytes are only looked at, not held back.
type frameScanner struct {
	// shake sees the bytes of the handshake; false ends the scan. Nil: any will do.
	shake func(b []byte) bool
	// allow says whether a message may be so long; kind is -1 while only the length
	// is known. Nil: it may.
	allow func(kind int, length uint32) bool
	// begun hears of a message's type, at[0] being the byte that says it.
	begun func(at []byte)
	// message sees what frameBody keeps of each message, until it returns.
	message func(kind int, body []byte)
	// data hears of the bytes of pieces that pass.
	data func(piece int, n int)

	hello int    // bytes of the handshake that passed
	head  []byte // length and type of the message that begins
	kind  int    // type of the message under way
	skip  uint32 // bytes of it still to come
	want  int    // bytes of its body to keep
	body  []byte
	piece int // of a piece message, its index
}

// between says that no message has begun that is not over.
func (s *frameScanner) between() bool {
	return s.hello == handshakeSize && len(s.head) == 0 && s.skip == 0
}

// left is how many bytes surely belong to what is under way.
func (s *frameScanner) left() int {
	switch {
	case s.hello < handshakeSize:
		return handshakeSize - s.hello
	case s.skip > 0:
		return int(s.skip)
	}
	return max(4-len(s.head), 1)
}

// scan looks at the next bytes. False: they break the rules.
func (s *frameScanner) scan(b []byte) bool {
	if missing := handshakeSize - s.hello; missing > 0 && len(b) > 0 {
		m := min(missing, len(b))
		if s.shake != nil && !s.shake(b[:m]) {
			return false
		}
		s.hello += m
		b = b[m:]
	}
	for len(b) > 0 {
		switch {
		case len(s.body) < s.want:
			m := min(s.want-len(s.body), len(b))
			s.body = append(s.body, b[:m]...)
			s.skip -= uint32(m)
			b = b[m:]
			s.seen()
		case s.skip > 0:
			m := int(min(uint64(s.skip), uint64(len(b))))
			s.skip -= uint32(m)
			b = b[m:]
			if s.kind == framePiece && s.data != nil {
				s.data(s.piece, m)
			}
		default:
			m := min(4-len(s.head), len(b))
			if len(s.head) == 4 {
				m = 1
			}
			s.head = append(s.head, b[:m]...)
			if !s.checkHead(b) {
				return false
			}
			b = b[m:]
		}
	}
	return true
}

// checkHead looks at a length, and at a length and type, as far as they are in.
// at begins with the type once that is in.
func (s *frameScanner) checkHead(at []byte) bool {
	if len(s.head) < 4 {
		return true
	}
	length := binary.BigEndian.Uint32(s.head)
	if length == 0 { // keep-alive
		s.head = s.head[:0]
		return true
	}
	if len(s.head) < 5 {
		return s.allow == nil || s.allow(-1, length)
	}
	kind := int(s.head[4])
	s.head = s.head[:0]
	if s.allow != nil && !s.allow(kind, length) {
		return false
	}
	s.kind, s.skip, s.want, s.body = kind, length-1, 0, s.body[:0]
	if s.begun != nil {
		s.begun(at)
	}
	if kind < len(frameBody) {
		s.want = int(min(uint32(frameBody[kind]), s.skip))
	}
	s.seen()
	return true
}

// seen shows a message whose body is in.
func (s *frameScanner) seen() {
	if len(s.body) < s.want {
		return
	}
	if s.kind == framePiece && len(s.body) == 8 {
		s.piece = int(binary.BigEndian.Uint32(s.body))
	}
	if s.message != nil {
		s.message(s.kind, s.body)
	}
	s.want = 0
}
