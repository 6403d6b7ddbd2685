package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Magnet links come from strangers. The HTTP servers and trackers that they name
// are asked on the public internet only, whatever their names resolve to or they
// redirect to: else a link would make this node knock at the doors of its own
// machine and network. Config.LocalLinks allows those, but never link-local
// addresses, where clouds keep their secrets. Addresses of BitTorrent clients
// (x.pe) are dialled wherever they are: what is said there is a handshake.

// errNear says that a link leads where links may not.
var errNear = errors.New("links may not lead to addresses of this machine or of a private network")

// sharedSpace is that of carriers (RFC 6598), where some clouds keep metadata.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// mayReach says whether what a link names may be at an address.
func (c Config) mayReach(a netip.Addr) error {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast():
	case c.LocalLinks:
		return nil
	case !a.IsLoopback() && !a.IsPrivate() && !sharedSpace.Contains(a):
		return nil
	}
	return fmt.Errorf("%w: %s", errNear, a)
}

func (c Config) mayReachText(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	return c.mayReach(ap.Addr())
}

// linkDial dials for links: the address is looked at after the name was resolved.
func (c Config) linkDial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: greetTimeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return c.mayReachText(address)
	}}
	return d.DialContext(ctx, network, addr)
}

// linkPacket opens a UDP socket for links.
func (c Config) linkPacket(network, addr string) (net.PacketConn, error) {
	pc, err := net.ListenPacket(network, addr)
	if err != nil {
		return nil, err
	}
	return fencedPacket{pc, c}, nil
}

type fencedPacket struct {
	net.PacketConn
	c Config
}

func (f fencedPacket) WriteTo(b []byte, to net.Addr) (int, error) {
	if err := f.c.mayReachText(to.String()); err != nil {
		return 0, err
	}
	return f.PacketConn.WriteTo(b, to)
}

// A linkTransport carries HTTP requests to where links lead. Where a proxy is
// configured, it dials, and has its own rules.
type linkTransport struct {
	c               Config
	direct, proxied *http.Transport
}

func newLinkTransport(c Config, meter func(net.Conn) net.Conn) *linkTransport {
	metered := func(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return meter(conn), nil
		}
	}
	transport := func() *http.Transport {
		return &http.Transport{
			MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: greetTimeout,
			ResponseHeaderTimeout: c.Stall, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
		}
	}
	t := &linkTransport{c: c, direct: transport(), proxied: transport()}
	t.direct.DialContext = metered(c.linkDial)
	t.proxied.Proxy, t.proxied.DialContext = http.ProxyFromEnvironment, metered((&net.Dialer{Timeout: greetTimeout}).DialContext)
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *linkTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
		if err := t.c.mayReach(a); err != nil {
			return nil, err
		}
	}
	if isProxied(req.URL) {
		return t.proxied.RoundTrip(req)
	}
	return t.direct.RoundTrip(req)
}

func (t *linkTransport) close() {
	t.direct.CloseIdleConnections()
	t.proxied.CloseIdleConnections()
}

func isProxied(u *url.URL) bool {
	via, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	return via != nil || err != nil
}

const maxRedirects = 5

// newLinkClient asks servers that links name.
func newLinkClient(t *linkTransport) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return fmt.Errorf("more than %d redirects", maxRedirects)
		case req.URL.User != nil, req.URL.Scheme != "https" && (req.URL.Scheme != "http" || via[0].URL.Scheme != "http"):
			return fmt.Errorf("a redirect to %.200q is not followed", req.URL.Redacted())
		}
		return nil
	}}
}
