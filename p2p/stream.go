package p2p

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// streamHandler holds the function that takes incoming raw streams.
type streamHandler struct {
	f      atomic.Pointer[func(from peer.ID, c net.Conn)]
	serial atomic.Uint64
}

// HandleStream sets the function that takes incoming raw streams, one goroutine
// each. The function owns the connection. Without one streams are refused.
func (h *Host) HandleStream(f func(from peer.ID, c net.Conn)) { h.streams.f.Store(&f) }

func (h *Host) acceptStream(s network.Stream) {
	f := h.streams.f.Load()
	if f == nil {
		s.Reset()
		return
	}
	h.stats.accepted.Add(1)
	(*f)(s.Conn().RemotePeer(), &streamConn{stream: s})
}

// DialStream opens a raw stream to a peer, connecting to it first if need be.
// While the stream is open the connection is not closed to save connections.
// The peer's handler may start only when the first bytes are written.
func (h *Host) DialStream(ctx context.Context, to peer.ID) (net.Conn, error) {
	if h.bans.has(to) {
		return nil, fmt.Errorf("dialling %s: %w", to, ErrBlocked)
	}
	s, err := h.net.NewStream(ctx, to, h.btProto)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", to, oneLine(err))
	}
	h.stats.dialled.Add(1)
	tag := "stream/" + strconv.FormatUint(h.streams.serial.Add(1), 10)
	h.lib.ConnManager().Protect(to, tag)
	return &streamConn{stream: s, done: func() { h.lib.ConnManager().Unprotect(to, tag) }}, nil
}

// streamConn makes a stream a net.Conn for BitTorrent: Close drops what is in
// flight, as a client that leaves wants it, and deadlines never fail, because
// anacrolix/torrent takes an error there for a bug and panics.
type streamConn struct {
	stream network.Stream
	done   func() // may be nil
	once   sync.Once
}

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.stream.Read(b)
	return n, timeout(err)
}

func (c *streamConn) Write(b []byte) (int, error) {
	n, err := c.stream.Write(b)
	return n, timeout(err)
}

// timeout makes the errors of passed deadlines, which yamux and QUIC have of
// their own, the one that net.Conn promises.
func timeout(err error) error {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return os.ErrDeadlineExceeded
	}
	return err
}

func (c *streamConn) Close() error {
	c.once.Do(func() {
		if c.done != nil {
			c.done()
		}
	})
	return c.stream.Reset()
}

func (c *streamConn) LocalAddr() net.Addr  { return streamAddr(c.stream.Conn().LocalPeer()) }
func (c *streamConn) RemoteAddr() net.Addr { return streamAddr(c.stream.Conn().RemotePeer()) }

// A stream that is closed already fails in Read and Write; its deadline does
// not matter.
func (c *streamConn) SetDeadline(t time.Time) error      { c.stream.SetDeadline(t); return nil }
func (c *streamConn) SetReadDeadline(t time.Time) error  { c.stream.SetReadDeadline(t); return nil }
func (c *streamConn) SetWriteDeadline(t time.Time) error { c.stream.SetWriteDeadline(t); return nil }

// streamAddr is the end of a stream: a peer id.
type streamAddr peer.ID

func (streamAddr) Network() string  { return "libp2p" }
func (a streamAddr) String() string { return peer.ID(a).String() }
