package p2p

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Keep-alive of TCP: a connection whose other end is silent for this long, and
// answers no probe of the kernel either, is closed.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 6 * time.Second, Interval: 2 * time.Second, Count: 3}

// ackPatience is how long what was sent may stay unacknowledged (Linux).
const ackPatience = 12 * time.Second

// connectTimeout bounds the TCP handshake.
const connectTimeout = 5 * time.Second

// A tcpRoad is libp2p's TCP transport over sockets set up as this package wants
// them. Dials leave from a port of their own, but for those that need a hole in
// the NAT before this node: these leave from the port that it listens on, so that
// the address which the other end sees is the one to punch.
type tcpRoad struct {
	*tcp.TcpTransport
	upgrader transport.Upgrader
	behind   func() bool // no public address is known

	mu    sync.Mutex
	ports map[bool]int // that are listened on, by whether they are of IPv6
}

var _ transport.DialUpdater = (*tcpRoad)(nil)

// newTCPRoad returns a constructor for libp2p.Transport.
func newTCPRoad(behind func() bool) func(transport.Upgrader, network.ResourceManager) (*tcpRoad, error) {
	return func(u transport.Upgrader, limits network.ResourceManager) (_ *tcpRoad, err error) {
		t := &tcpRoad{upgrader: u, behind: behind, ports: map[bool]int{}}
		t.TcpTransport, err = tcp.NewTCPTransport(u, limits, nil,
			tcp.WithConnectionTimeout(connectTimeout),
			tcp.WithDialerForAddr(func(ma.Multiaddr) (tcp.ContextDialer, error) { return t, nil }))
		return t, err
	}
}

// dialledKey is where a dial leaves its socket for who asked for it.
type dialledKey struct{}

// Dial implements transport.Transport.
func (t *tcpRoad) Dial(ctx context.Context, addr ma.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.DialWithUpdates(ctx, addr, p, nil)
}

// DialWithUpdates implements transport.DialUpdater. libp2p sets the keep-alive of
// what it dialled, in its own way: it is set again.
func (t *tcpRoad) DialWithUpdates(ctx context.Context, addr ma.Multiaddr, p peer.ID, updates chan<- transport.DialUpdate) (transport.CapableConn, error) {
	var socket *net.TCPConn
	c, err := t.TcpTransport.DialWithUpdates(context.WithValue(ctx, dialledKey{}, &socket), addr, p, updates)
	if err == nil && socket != nil {
		_ = socket.SetKeepAliveConfig(keepAlive)
	}
	return c, err
}

// DialContext opens a connection; see tcpRoad.
func (t *tcpRoad) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if port := t.sourcePort(ctx, address); port != 0 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}, Control: sharePort, KeepAliveConfig: keepAlive}
		if c, err := d.DialContext(ctx, network, address); err == nil || !portTaken(err) {
			return t.dialled(ctx, c, err)
		}
	}
	d := net.Dialer{KeepAliveConfig: keepAlive}
	c, err := d.DialContext(ctx, network, address)
	return t.dialled(ctx, c, err)
}

func (t *tcpRoad) dialled(ctx context.Context, c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	if at, ok := ctx.Value(dialledKey{}).(**net.TCPConn); ok {
		*at, _ = c.(*net.TCPConn)
	}
	tune(c)
	return c, nil
}

// sourcePort is the port that a dial has to leave from, 0 for any. Only dials
// that hole punching coordinates may meet one that comes from the other end's
// listening port: they know who of the two is the client of the one connection
// that comes of it (RFC 9293, 3.5).
func (t *tcpRoad) sourcePort(ctx context.Context, address string) int {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().IsGlobalUnicast() || to.Addr().IsPrivate() {
		return 0
	}
	if punching, _, _ := network.GetSimultaneousConnect(ctx); !punching && !t.behind() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ports[to.Addr().Unmap().Is6()]
}

// Listen binds an address. The port is this node's alone: with SO_REUSEPORT from
// the start two nodes could share one, each losing half its callers. Afterwards
// it is set, so that dials can leave from there.
func (t *tcpRoad) Listen(addr ma.Multiaddr) (transport.Listener, error) {
	netw, at, err := manet.DialArgs(addr)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets take fewer options
	l, err := lc.Listen(context.Background(), netw, at)
	if err != nil {
		return nil, err
	}
	t.remember(l)
	wrapped, err := manet.WrapNetListener(tuningListener{l})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return t.upgrader.UpgradeGatedMaListener(t, t.upgrader.GateMaListener(wrapped)), nil
}

// remember notes a port that dials can leave from.
func (t *tcpRoad) remember(l net.Listener) {
	tl, ok := l.(*net.TCPListener)
	if !ok {
		return
	}
	at, ok := tl.Addr().(*net.TCPAddr)
	if !ok || at.IP.IsLoopback() || onSocket(tl, setSharePort) != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ports[at.IP.To4() == nil] = at.Port
}

// A tuningListener sets up the sockets of incoming connections.
type tuningListener struct{ net.Listener }

func (l tuningListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		tune(c)
	}
	return c, err
}

// tune sets a socket up. What the system does not have it does without: a dead
// connection is noticed later, or a long way with loss is slower.
func tune(c net.Conn) {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	_ = tc.SetLinger(0) // a closed connection leaves its addresses free
	_ = tc.SetKeepAliveConfig(keepAlive)
	far := false
	if at, ok := tc.RemoteAddr().(*net.TCPAddr); ok {
		far = at.IP.IsGlobalUnicast() && !at.IP.IsPrivate()
	}
	_ = onSocket(tc, func(fd uintptr) error { return setUp(fd, far) })
}

// onSocket runs a function on the socket of a connection or listener.
func onSocket(s syscall.Conn, f func(fd uintptr) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(fd) }); err != nil {
		return err
	}
	return inner
}

// sharePort is for net.Dialer.Control.
func sharePort(_, _ string, raw syscall.RawConn) error {
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = setSharePort(fd) }); err != nil {
		return err
	}
	return inner
}
