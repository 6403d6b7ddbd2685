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
	if f == nil || s.Conn().Stat().Limited && h.budget.spent() {
		s.Reset()
		return
	}
	h.stats.accepted.Add(1)
	(*f)(s.Conn().RemotePeer(), h.wires.attach(h, s, nil))
}

// DialStream opens a raw stream to a peer, connecting to it first if need be, by
// the cheapest road that is open. Where only a relay leads to the peer it waits a
// little for a direct connection, and then goes through the relay, slowly and
// within Config.RelayBytes; such a stream is cut off as soon as the peer is
// reached directly, to be dialled again. While the stream is open the connection
// is not closed to save connections. The peer's handler may start only when the
// first bytes are written.
func (h *Host) DialStream(ctx context.Context, to peer.ID) (net.Conn, error) {
	if h.bans.has(to) {
		return nil, fmt.Errorf("dialling %s: %w", to, ErrBlocked)
	}
	s, err := h.openStream(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", to, oneLine(err))
	}
	h.stats.dialled.Add(1)
	tag := "stream/" + strconv.FormatUint(h.streams.serial.Add(1), 10)
	h.lib.ConnManager().Protect(to, tag)
	return h.wires.attach(h, s, func() { h.lib.ConnManager().Unprotect(to, tag) }), nil
}

func (h *Host) openStream(ctx context.Context, to peer.ID) (network.Stream, error) {
	if wait := h.directPatience(to); wait > 0 {
		// A relay is dialled too, as the way to a hole in the peer's NAT.
		direct, cancel := context.WithTimeout(ctx, wait+dialAddrTimeout)
		defer cancel()
		if err := h.net.Connect(overRelay(direct, "bt"), peer.AddrInfo{ID: to}); err != nil {
			return nil, err
		}
		if s, err := h.openDirect(ctx, to, wait); err == nil || !h.onlyRelayed(to) {
			return s, err
		}
	}
	if h.budget.spent() {
		return nil, ErrRelayBudget
	}
	return h.net.NewStream(overRelay(ctx, "bt"), to, h.btProto)
}

func (h *Host) openDirect(ctx context.Context, to peer.ID, wait time.Duration) (network.Stream, error) {
	if h.onlyRelayed(to) { // else there is nothing to wait for but the peer's word
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
		go h.dialDirect(to)
	}
	return h.net.NewStream(ctx, to, h.btProto)
}

// dialDirect dials the addresses that a peer told over the relay, those on the
// local network too, which hole punching leaves out.
func (h *Host) dialDirect(to peer.ID) {
	ctx, cancel := context.WithTimeout(network.WithForceDirectDial(context.Background(), "bt"), dialAddrTimeout)
	defer cancel()
	if err := h.lib.Connect(ctx, peer.AddrInfo{ID: to}); err != nil {
		h.log.Debug("peer at a relay is not reached directly", "peer", to, "err", oneLine(err))
	}
}

// directPatience is how much longer a stream should wait for a direct connection:
// nothing when the peer has been connected through a relay for long.
func (h *Host) directPatience(to peer.ID) time.Duration {
	if !h.onlyRelayed(to) {
		return h.cfg.DirectPatience
	}
	wait := h.cfg.DirectPatience
	for _, c := range h.lib.Network().ConnsToPeer(to) {
		wait = min(wait, h.cfg.DirectPatience-time.Since(c.Stat().Opened))
	}
	return wait
}

func (h *Host) onlyRelayed(to peer.ID) bool {
	return h.lib.Network().Connectedness(to) == network.Limited
}

// streamConn makes a stream a net.Conn for BitTorrent: Close drops what is in
// flight, as a client that leaves wants it, and deadlines never fail, because
// anacrolix/torrent takes an error there for a bug and panics.
type streamConn struct {
	stream network.Stream
	wire   *wire
	count  *roadCounters
	budget *relayBudget // nil on a direct road
	done   func()       // may be nil
	once   sync.Once
	closed context.Context
	stop   context.CancelFunc
	dialed bool
}

func (c *streamConn) Read(b []byte) (int, error) {
	if c.budget != nil {
		b = b[:min(len(b), relayBurst)]
	}
	n, err := c.stream.Read(b)
	if n > 0 {
		c.wire.heardNow()
		c.count.in.Add(uint64(n))
		if berr := c.pay(n); berr != nil {
			return n, berr
		}
	}
	return n, timeout(err)
}

func (c *streamConn) Write(b []byte) (int, error) {
	written := 0
	for {
		part := b
		if c.budget != nil {
			part = b[:min(len(b), relayBurst)]
			if err := c.pay(len(part)); err != nil {
				return written, err
			}
		}
		n, err := c.stream.Write(part)
		written += n
		c.count.out.Add(uint64(n))
		if b = b[n:]; err != nil || len(b) == 0 {
			return written, timeout(err)
		}
	}
}

// pay waits until bytes may move through a relay; an error says that they may not.
func (c *streamConn) pay(n int) error {
	if c.budget == nil {
		return nil
	}
	err := c.budget.take(c.closed, n)
	if err != nil {
		c.stream.Reset()
	}
	return err
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
		c.stop()
		c.wire.detach(c)
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
