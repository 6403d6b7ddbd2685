package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	preambleMagic   = "dcbt"
	preambleVersion = 1
	preambleReader  = 2 // the same, from who reads in order: see wire
	preambleSize    = len(preambleMagic) + 1 + len(Infohash{})

	// greetTimeout bounds the preamble and the handshake, both ways.
	greetTimeout = 10 * time.Second
	// maxGreeting bounds connections that have not said yet what they want.
	maxGreeting = 128

	protocolHeader = "\x13BitTorrent protocol"
)

var errBadPreamble = errors.New("stream does not begin as dockchain's BitTorrent streams do")

// A peerAddr is a peer of ours in one torrent. Its string is what anacrolix
// hands to the dialer, which therefore learns both.
type peerAddr struct {
	ih   Infohash
	peer string
}

func (peerAddr) Network() string  { return "p2p" }
func (a peerAddr) String() string { return "p2p/" + a.ih.String() + "/" + a.peer }

func parsePeerAddr(s string) (peerAddr, bool) {
	rest, ok := strings.CutPrefix(s, "p2p/")
	if !ok {
		return peerAddr{}, false
	}
	hex, peer, ok := strings.Cut(rest, "/")
	ih, err := ParseInfohash(hex)
	return peerAddr{ih, peer}, ok && err == nil && validPeer(peer)
}

// validPeer keeps ids apart from addresses: anacrolix would read host:port out
// of one with a colon.
func validPeer(s string) bool {
	return s != "" && len(s) <= 128 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(":/[]%", r)
	})
}

// peerName is how events and results call the peer at an address.
func peerName(addr interface{ String() string }) string {
	if a, ok := addr.(peerAddr); ok {
		return a.peer
	}
	s := addr.String()
	if a, ok := parsePeerAddr(s); ok {
		return a.peer
	}
	return s
}

func writePreamble(c net.Conn, ih Infohash, reader bool) error {
	b := make([]byte, 0, preambleSize)
	b = append(b, preambleMagic...)
	if reader {
		b = append(b, preambleReader)
	} else {
		b = append(b, preambleVersion)
	}
	b = append(b, ih[:]...)
	_, err := c.Write(b)
	return err
}

func readPreamble(r io.Reader) (ih Infohash, reader bool, err error) {
	var b [preambleSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return ih, false, fmt.Errorf("reading preamble: %w", eofIsUnexpected(err))
	}
	if string(b[:len(preambleMagic)]) != preambleMagic {
		return ih, false, errBadPreamble
	}
	v := b[len(preambleMagic)]
	if v != preambleVersion && v != preambleReader {
		return ih, false, fmt.Errorf("%w: version %d", errBadPreamble, v)
	}
	return Infohash(b[len(preambleMagic)+1:]), v == preambleReader, nil
}

// A conn is what anacrolix gets to see of a connection. Deadlines never fail
// (anacrolix panics when they do): a connection that cannot take one is closed.
type conn struct {
	net.Conn
	r      io.Reader
	remote net.Addr
}

func (c *conn) Read(b []byte) (int, error) { return c.r.Read(b) }
func (c *conn) RemoteAddr() net.Addr       { return c.remote }

func (c *conn) LocalAddr() net.Addr {
	if a := c.Conn.LocalAddr(); a != nil {
		return a
	}
	return peerAddr{}
}

func (c *conn) SetDeadline(t time.Time) error      { return c.orClose(c.Conn.SetDeadline(t)) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.orClose(c.Conn.SetReadDeadline(t)) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.orClose(c.Conn.SetWriteDeadline(t)) }

func (c *conn) orClose(err error) error {
	if err != nil {
		_ = c.Close()
	}
	return nil
}

// A streamDialer opens streams to peers of ours.
type streamDialer struct{ s *Swarm }

func (d streamDialer) DialerNetwork() string { return "p2p" }

func (d streamDialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	a, ok := parsePeerAddr(addr)
	if !ok || d.s.cfg.Dial == nil {
		return nil, errors.New("not a peer of ours")
	}
	if d.s.banned(a.ih, a.peer) {
		return nil, errors.New("peer sent bad data")
	}
	if err := d.s.mayConnect(); err != nil {
		return nil, err
	}
	c, err := d.s.cfg.Dial(ctx, a.peer)
	if err != nil {
		d.s.cfg.Observe(a.peer, Event{Kind: Unreachable, Infohash: a.ih})
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	c = d.s.meter(c, true)
	if err := c.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("setting deadline: %w", err)
	}
	if err := writePreamble(c, a.ih, d.s.readsInOrder(a.ih)); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("writing preamble: %w", err)
	}
	return d.s.newWire(c, a), nil
}

// A tcpDialer reaches ordinary clients.
type tcpDialer struct {
	s *Swarm
	d net.Dialer
}

func (*tcpDialer) DialerNetwork() string { return "tcp" }

func (d *tcpDialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if _, ours := parsePeerAddr(addr); ours || !validHostPort(addr) {
		return nil, errors.New("not an ordinary client")
	}
	if err := d.s.mayConnect(); err != nil {
		return nil, err
	}
	dialer := d.d
	dialer.LocalAddr = d.s.from(addr)
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		d.s.unreachable.Add(1)
		return nil, err
	}
	m := d.s.meter(c, false)
	return d.s.newInlet(m, m, c.RemoteAddr(), addr), nil
}

// from is where a client is dialled from: a node that listens at one address of
// its machine is known to others by that one. Nil: wherever the system likes.
func (s *Swarm) from(addr string) net.Addr {
	to, err := netip.ParseAddrPort(addr)
	own, ok := s.inbox.addr.(*net.TCPAddr)
	if err != nil || !ok {
		return nil
	}
	ip := own.AddrPort().Addr().Unmap()
	if ip.IsUnspecified() || ip.IsLoopback() || ip.Is4() != to.Addr().Unmap().Is4() || to.Addr().IsLoopback() {
		return nil
	}
	return &net.TCPAddr{IP: own.IP, Zone: own.Zone}
}

// An inbox is the one listener anacrolix knows: streams and TCP connections
// whose torrent is loaded are put into it.
type inbox struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newInbox(addr net.Addr) *inbox {
	return &inbox{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (b *inbox) Addr() net.Addr { return b.addr }

func (b *inbox) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

func (b *inbox) put(c net.Conn) {
	select {
	case b.conns <- c:
	case <-b.closed:
		_ = c.Close()
	}
}

func (b *inbox) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// peekHandshake reads as much of a BEP 3 handshake as names the torrent. What
// was read comes again from the reader it returns. An obfuscated handshake
// (MSE) does not tell: named is false.
func peekHandshake(c net.Conn) (ih Infohash, named bool, r io.Reader, err error) {
	var b [len(protocolHeader) + 8 + len(ih)]byte
	head := b[:len(protocolHeader)]
	if _, err := io.ReadFull(c, head); err != nil {
		return ih, false, nil, err
	}
	if string(head) != protocolHeader {
		return ih, false, io.MultiReader(bytes.NewReader(head), c), nil
	}
	if _, err := io.ReadFull(c, b[len(head):]); err != nil {
		return ih, false, nil, err
	}
	copy(ih[:], b[len(protocolHeader)+8:])
	return ih, true, io.MultiReader(bytes.NewReader(b[:]), c), nil
}
