package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dockchains/dockchain/node/image"
)

// guardedTransport carries requests to one registry and to wherever that
// registry redirects (its blob storage, its token server), but a registry on
// the internet cannot lead us to this machine or into the network around it
// (CVE-2020-15157 and its kind): addresses other than the registry's own must
// be as public as it is.
func guardedTransport(registry string, insecure bool, stall time.Duration) http.RoundTripper {
	own := plainTransport(insecure)
	foreign := plainTransport(insecure)
	g := &guard{registry: registry, own: own, foreign: foreign, proxy: own.Proxy}
	own.DialContext = dialer(g.learn, stall)
	foreign.DialContext = dialer(g.check, stall)
	return g
}

const (
	dialTimeout   = 15 * time.Second
	headerTimeout = 60 * time.Second // to the first byte of an answer
	stallTimeout  = 60 * time.Second // between two bytes
)

func plainTransport(insecure bool) *http.Transport {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   copyJobs,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: headerTimeout,
	}
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return t
}

type control func(ctx context.Context, network, address string, c syscall.RawConn) error

func dialer(check control, stall time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, ControlContext: check}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{Conn: c, stall: stall}, nil
	}
}

// impatientConn fails when the other side falls silent.
type impatientConn struct {
	net.Conn
	stall time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// reach says how far away an address can be asked from.
type reach int

const (
	reachHost reach = iota // loopback, link-local, unspecified: this machine and its cloud's metadata
	reachSite              // private networks
	reachPublic
)

func reachOf(a netip.Addr) reach {
	a = a.Unmap()
	switch {
	case !a.IsValid(), a.IsLoopback(), a.IsUnspecified(), a.IsLinkLocalUnicast(), a.IsMulticast():
		return reachHost
	case a.IsPrivate(), sharedSpace.Contains(a):
		return reachSite
	}
	return reachPublic
}

// sharedSpace is that of carriers (RFC 6598), where some clouds keep metadata.
var sharedSpace = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

type guard struct {
	registry     string // host[:port]
	own, foreign *http.Transport
	proxy        func(*http.Request) (*url.URL, error)

	mu sync.Mutex
	// reach is where the registry was first found, once found is true.
	reach reach
	found bool
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.EqualFold(req.URL.Host, g.registry) {
		return g.own.RoundTrip(req)
	}
	if a, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
		if err := g.allow(a); err != nil {
			return nil, err
		}
	}
	if via, err := g.proxy(req); err != nil || via != nil {
		return g.own.RoundTrip(req) // the proxy dials, and has its own rules
	}
	return g.foreign.RoundTrip(req)
}

// learn notes where the registry is. Its name may not come to mean something
// nearer (DNS rebinding).
func (g *guard) learn(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	g.mu.Lock()
	if !g.found {
		g.reach, g.found = reachOf(ap.Addr()), true
	}
	g.mu.Unlock()
	return g.allow(ap.Addr())
}

// check refuses to connect nearer than the registry is.
func (g *guard) check(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return g.allow(ap.Addr())
}

func (g *guard) allow(a netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := reachOf(a); r != reachPublic && (!g.found || r < g.reach) {
		return fmt.Errorf("registry %s leads to %s, which is nearer than itself: %w", g.registry, a, ErrDenied)
	}
	return nil
}

// limitDocuments cuts the answers that are held in memory. A repository may
// have "blobs" for a part of its name; then the client's own limit, 100 MiB,
// must do.
type limitDocuments struct{ http.RoundTripper }

func (l limitDocuments) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(req)
	if err == nil && !strings.Contains(req.URL.Path, "/blobs/") && strings.Contains(req.URL.Path, "/manifests/") {
		resp.Body = &limitedBody{ReadCloser: resp.Body, left: image.MaxManifest}
	}
	return resp, err
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fmt.Errorf("manifest of more than %d bytes: %w", image.MaxManifest, image.ErrTooLarge)
	}
	return n, err
}

// lazyReader opens at the first read.
type lazyReader struct {
	open func() (io.ReadCloser, error)
	rc   io.ReadCloser
	err  error
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.rc == nil && l.err == nil {
		l.rc, l.err = l.open()
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.rc.Read(p)
}

func (l *lazyReader) Close() error {
	if l.rc == nil {
		return nil
	}
	return l.rc.Close()
}
