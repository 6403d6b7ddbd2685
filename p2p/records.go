package p2p

import (
	"context"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// A recordTLS is libp2p's TLS, which sends the records of one write with one system
// call, and takes in several with one. By itself it does so for each record of
// 16 KiB, and wakes the other end as often: a quarter of what a transfer costs.
type recordTLS struct{ *libp2ptls.Transport }

func newRecordTLS(id protocol.ID, key crypto.PrivKey, muxers []upgrader.StreamMuxer) (*recordTLS, error) {
	t, err := libp2ptls.New(id, key, muxers)
	return &recordTLS{t}, err
}

// SecureInbound implements sec.SecureTransport.
func (t *recordTLS) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	raw := &recordConn{Conn: insecure}
	c, err := t.Transport.SecureInbound(ctx, raw, p)
	return raw.under(c), err
}

// SecureOutbound implements sec.SecureTransport.
func (t *recordTLS) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	raw := &recordConn{Conn: insecure}
	c, err := t.Transport.SecureOutbound(ctx, raw, p)
	return raw.under(c), err
}

// recordsSize is how many bytes of records are gathered: those of the longest
// message of the multiplexer, or what has come meanwhile.
const recordsSize = 72 << 10

var recordBuffers = sync.Pool{New: func() any { return new([recordsSize]byte) }}

// A recordConn is what lies under TLS. It holds a buffer while one is of use, and
// none while the connection is idle.
type recordConn struct {
	net.Conn

	// mu guards what is gathered of a write.
	mu  sync.Mutex
	out *[recordsSize]byte // nil: what is written goes out at once
	n   int

	// Of the reading side, which TLS has one of at a time.
	in         *[recordsSize]byte
	begin, end int
	more       bool // the last read was filled: there is more, or soon
}

// Write gathers what comes from within a write of the TLS connection.
func (c *recordConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		return c.Conn.Write(b)
	}
	if len(b) > recordsSize-c.n {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) > recordsSize {
		return c.Conn.Write(b)
	}
	c.n += copy(c.out[c.n:], b)
	return len(b), nil
}

func (c *recordConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		c.out = recordBuffers.Get().(*[recordsSize]byte)
	}
}

// release writes what was gathered.
func (c *recordConn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out == nil {
		return nil
	}
	err := c.flush()
	recordBuffers.Put(c.out)
	c.out = nil
	return err
}

// flush writes what was gathered so far. The caller holds mu.
func (c *recordConn) flush() error {
	if c.n == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out[:c.n])
	c.n = 0
	return err
}

// Read takes in what is there, and gives it in the portions that TLS asks for.
func (c *recordConn) Read(b []byte) (int, error) {
	if c.begin == c.end {
		if !c.more || len(b) >= recordsSize {
			c.dropInput()
			n, err := c.Conn.Read(b)
			c.more = n == len(b)
			return n, err
		}
		if c.in == nil {
			c.in = recordBuffers.Get().(*[recordsSize]byte)
		}
		n, err := c.Conn.Read(c.in[:])
		c.begin, c.end = 0, n
		c.more = n > len(b)
		if n == 0 {
			c.dropInput()
			return 0, err
		}
		n = copy(b, c.in[:n])
		c.begin = n
		return n, nil // a lasting error comes again
	}
	n := copy(b, c.in[c.begin:c.end])
	c.begin += n
	return n, nil
}

func (c *recordConn) dropInput() {
	if c.in != nil {
		recordBuffers.Put(c.in)
		c.in = nil
	}
}

// under is the TLS connection that runs over this one.
func (c *recordConn) under(s sec.SecureConn) sec.SecureConn {
	if s == nil {
		return nil
	}
	return &gatheringConn{s, c}
}

// A gatheringConn is a TLS connection whose every write is sent as a whole.
type gatheringConn struct {
	sec.SecureConn
	raw *recordConn
}

// oneRecord is what fits into one record, and is sent at once anyway.
const oneRecord = 1 << 10

func (c *gatheringConn) Write(b []byte) (int, error) {
	if len(b) <= oneRecord {
		return c.SecureConn.Write(b)
	}
	c.raw.hold()
	n, err := c.SecureConn.Write(b)
	if rerr := c.raw.release(); err == nil && rerr != nil {
		return 0, rerr
	}
	return n, err
}
