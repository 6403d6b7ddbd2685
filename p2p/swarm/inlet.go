package swarm

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// An inlet is a connection to an ordinary client as the library sees it. When the
// client turns out to have everything, the library reads that it has nothing, and
// then of one piece after another as package superseed says: so nodes of ours that
// ask it at the same time ask for different pieces. Obfuscated connections (MSE) pass
// as they are.
type inlet struct {
	conn
	s    *Swarm
	key  string // as the library names the other end
	scan frameScanner

	mu       sync.Mutex
	opaque   bool
	haves    []byte    // for the library to read, between two messages
	deadline time.Time // for reading, as the library set it
	company  *company  // nil unless something is hidden
	closed   bool
}

// newInlet wraps a connection whose handshake comes next.
func (s *Swarm) newInlet(c net.Conn, r io.Reader, remote net.Addr, key string) *inlet {
	in := &inlet{conn: conn{Conn: c, r: r, remote: remote}, s: s, key: key}
	hello := 0
	in.scan.shake = func(b []byte) bool {
		plain := protocolHeader[min(hello, len(protocolHeader)):]
		hello += len(b)
		n := min(len(plain), len(b))
		return string(b[:n]) == plain[:n]
	}
	in.scan.data = in.received
	s.inlets.add(key, in)
	return in
}

// Read gives the library what came, and between two messages what is put in.
func (in *inlet) Read(b []byte) (int, error) {
	for {
		part := b
		in.mu.Lock()
		if len(in.haves) > 0 {
			if in.scan.between() {
				n := copy(b, in.haves)
				in.haves = in.haves[n:]
				in.mu.Unlock()
				return n, nil
			}
			part = b[:min(len(b), in.scan.left())] // so that the end of the message is the end of the portion
		}
		opaque := in.opaque
		in.mu.Unlock()
		n, err := in.r.Read(part)
		if !opaque && !in.scan.scan(part[:n]) {
			in.mu.Lock()
			in.opaque = true
			in.mu.Unlock()
		}
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && in.goOn() {
			continue
		}
		return n, err
	}
}

// goOn says whether it was queue that woke the reader, and lets it wait again.
func (in *inlet) goOn() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.deadline.IsZero() && !time.Now().Before(in.deadline) {
		return false
	}
	_ = in.conn.SetReadDeadline(in.deadline)
	return true
}

// SetReadDeadline implements net.Conn.
func (in *inlet) SetReadDeadline(t time.Time) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.deadline = t
	return in.conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (in *inlet) SetDeadline(t time.Time) error {
	_ = in.SetReadDeadline(t)
	return in.SetWriteDeadline(t)
}

// queue has the library read that the client has a piece, at once, also when nothing
// comes from it.
func (in *inlet) queue(piece int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.haves = append(in.haves, 0, 0, 0, 5, frameHave)
	in.haves = binary.BigEndian.AppendUint32(in.haves, uint32(piece))
	_ = in.conn.SetReadDeadline(time.Unix(1, 0))
}

// hide takes the client for a source of a fetch. False: it is none, or what it says
// cannot be read on the way.
func (in *inlet) hide(c *company) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.opaque || in.closed || in.company != nil {
		return false
	}
	in.company = c
	return true
}

func (in *inlet) received(piece, n int) {
	in.mu.Lock()
	c := in.company
	in.mu.Unlock()
	if c != nil {
		c.received(in, piece, int64(n))
	}
}

// Close ends the connection.
func (in *inlet) Close() error {
	in.mu.Lock()
	again, c := in.closed, in.company
	in.closed = true
	in.mu.Unlock()
	if !again {
		in.s.inlets.remove(in.key, in)
		if c != nil {
			c.closed(in)
		}
	}
	return in.conn.Close()
}
