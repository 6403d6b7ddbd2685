// Package utp stands in for github.com/anacrolix/go-utp, whose published
// version cannot be downloaded through the Go module proxy. It carries the
// seven names that anacrolix/torrent uses, and refuses to open a socket: dockchain
// does not speak uTP (BEP 29), which measured an order of magnitude slower than
// TCP. Remove this module, and the replace in go.mod, once go-utp resolves.
package utp

import (
	"context"
	"errors"
	"log/slog"
	"net"
)

// Default names the implementation in log lines.
const Default = "none"

// ErrNotBuiltIn is what every constructor returns.
var ErrNotBuiltIn = errors.New("uTP is not built in")

// Option configures a socket that is never opened.
type Option func()

// FirewallCallback decides whether an incoming connection is refused.
type FirewallCallback func(net.Addr) bool

// Socket is what anacrolix/torrent expects of a uTP socket.
type Socket interface {
	net.PacketConn
	Accept() (net.Conn, error)
	Addr() net.Addr
	SetSyncFirewallCallback(FirewallCallback)
	SetFirewallCallback(FirewallCallback)
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// WithLogger is accepted and ignored.
func WithLogger(*slog.Logger) Option { return func() {} }

// NewSocket always fails with ErrNotBuiltIn.
func NewSocket(network, addr string, opts ...Option) (Socket, error) { return nil, ErrNotBuiltIn }

// NewSocketFromPacketConn always fails with ErrNotBuiltIn.
func NewSocketFromPacketConn(pc net.PacketConn, opts ...Option) (Socket, error) {
	return nil, ErrNotBuiltIn
}
