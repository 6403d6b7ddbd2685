package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	dialTimeout  = 10 * time.Second
	maxRedirects = 5
	// maxWait bounds how long a registry may forbid to be asked.
	maxWait = 6 * time.Hour
)

// site is one registry, as far as it is known.
type site struct {
	c            *Client
	host         string // host[:port] that is asked
	scheme       string
	own, foreign *http.Transport
	transfers    chan struct{}

	mu     sync.Mutex
	near   reach // where it was first found, once found is true
	found  bool
	until  time.Time // it does not want to be asked before
	tokens map[string]token
}

func newSite(c *Client, host string) *site {
	s := &site{c: c, host: host, scheme: "https", transfers: make(chan struct{}, c.cfg.PerHost), tokens: map[string]token{}}
	if isLoopback(host) || slices.Contains(c.cfg.Insecure, host) {
		s.scheme = "http"
	}
	s.own, s.foreign = s.transport(s.learn), s.transport(s.check)
	return s
}

type control func(ctx context.Context, network, address string, c syscall.RawConn) error

func (s *site) transport(check control) *http.Transport {
	d := &net.Dialer{Timeout: dialTimeout, ControlContext: check}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    s.c.cfg.PerHost,
		IdleConnTimeout:        30 * time.Second,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  s.c.cfg.Stall,
		DisableCompression:     true, // layers are what they are
		MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &impatientConn{Conn: conn, stall: s.c.cfg.Stall}, nil
		},
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
	reachHost reach = iota // this machine, and its cloud's metadata
	reachSite              // private networks
	reachPublic
)

type reachFunc func(netip.AddrPort) reach

// sharedSpace is that of carriers (RFC 6598), where some clouds keep metadata.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

func reachOf(ap netip.AddrPort) reach {
	a := ap.Addr().Unmap()
	switch {
	case !a.IsValid(), a.IsLoopback(), a.IsUnspecified(), a.IsLinkLocalUnicast(), a.IsMulticast():
		return reachHost
	case a.IsPrivate(), sharedSpace.Contains(a):
		return reachSite
	}
	return reachPublic
}

// learn notes where the registry is. Its name may not come to mean something nearer
// (DNS rebinding), and nothing is ever asked of link-local addresses.
func (s *site) learn(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ap.Addr().Unmap().IsLinkLocalUnicast() {
		return fmt.Errorf("%w: %s is link-local", ErrDenied, ap.Addr())
	}
	s.mu.Lock()
	if !s.found {
		s.near, s.found = s.c.reach(ap), true
	}
	s.mu.Unlock()
	return s.allow(ap)
}

// check refuses to connect nearer than the registry is.
func (s *site) check(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return s.allow(ap)
}

func (s *site) allow(ap netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.c.reach(ap); r != reachPublic && (!s.found || r < s.near) {
		return fmt.Errorf("%w: %s leads to %s, which is nearer than itself", ErrDenied, s.host, ap)
	}
	return nil
}

// ask makes a request of the registry, with whatever it wants to be shown, and goes
// where it leads.
func (c *Client) ask(ctx context.Context, method string, ref Ref, what string, header http.Header) (*http.Response, error) {
	s := c.siteOf(ref)
	if err := s.mayAsk(); err != nil {
		return nil, err
	}
	u := &url.URL{Scheme: s.scheme, Host: s.host, Path: "/v2/" + ref.path() + "/" + what}
	if header == nil {
		header = http.Header{"Accept": accepted}
	}
	scope := "repository:" + ref.path() + ":pull"
	auth := s.known(scope)
	res, err := s.send(ctx, method, u, header, auth)
	if err == nil && res.StatusCode == http.StatusUnauthorized {
		challenge := res.Header.Values("WWW-Authenticate")
		discard(res)
		if auth, err = s.authorize(ctx, challenge, scope); err == nil {
			res, err = s.send(ctx, method, u, header, auth)
		}
	}
	if err != nil {
		return nil, unreachable(ctx, fmt.Errorf("asking %s: %w", s.host, err))
	}
	if err := s.refusal(res); err != nil {
		discard(res)
		return nil, fmt.Errorf("asking %s: %w", s.host, err)
	}
	return res, nil
}

func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrDenied) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// discard lets the connection be used again where little is left of an answer.
func discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	_ = res.Body.Close()
}

// send makes one request and follows redirects, none of which gets credentials.
func (s *site) send(ctx context.Context, method string, u *url.URL, header http.Header, auth string) (*http.Response, error) {
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		if s.c.cfg.UserAgent != "" {
			req.Header.Set("User-Agent", s.c.cfg.UserAgent)
		}
		if auth != "" && s.isOwn(u) {
			req.Header.Set("Authorization", auth)
		}
		res, err := s.roundTrip(req)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return res, nil
		}
		next, err := u.Parse(res.Header.Get("Location"))
		discard(res)
		if err != nil {
			return nil, fmt.Errorf("a redirect to nowhere: %w", err)
		}
		if u = next; !s.isOwn(u) {
			auth = "" // for good, also if it leads back
		}
	}
	return nil, fmt.Errorf("more than %d redirects", maxRedirects)
}

func (s *site) isOwn(u *url.URL) bool {
	return u.Scheme == s.scheme && strings.EqualFold(u.Host, s.host)
}

func (s *site) roundTrip(req *http.Request) (*http.Response, error) {
	s.c.requests.Add(1)
	u := req.URL
	switch {
	case s.isOwn(u):
		return s.own.RoundTrip(req)
	case u.User != nil:
		return nil, fmt.Errorf("%w: it leads to a URL with credentials", ErrDenied)
	case u.Scheme != "https" && (u.Scheme != "http" || s.scheme != "http"):
		return nil, fmt.Errorf("%w: it leads from https to %.10q", ErrDenied, u.Scheme)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		port, _ := strconv.ParseUint(u.Port(), 10, 16)
		if err := s.allow(netip.AddrPortFrom(a, uint16(port))); err != nil {
			return nil, err
		}
	}
	if via, err := s.own.Proxy(req); err != nil || via != nil {
		return s.own.RoundTrip(req) // the proxy dials, and has its own rules
	}
	return s.foreign.RoundTrip(req)
}

// mayAsk tells whether the registry wants to be asked now.
func (s *site) mayAsk() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c.cfg.Now().Before(s.until) {
		return &RateError{s.until}
	}
	return nil
}

// refusal is what an answer says that is none.
func (s *site) refusal(res *http.Response) error {
	switch code := res.StatusCode; {
	case code < 300:
		return nil
	case code == http.StatusNotFound:
		return ErrNotFound
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return ErrDenied
	case code == http.StatusTooManyRequests:
		s.c.rateLimited.Add(1)
		wait := retryAfter(res.Header.Get("Retry-After"), s.c.cfg.Now())
		s.mu.Lock()
		defer s.mu.Unlock()
		s.until = s.c.cfg.Now().Add(wait)
		return &RateError{s.until}
	}
	return fmt.Errorf("%w: it answers %s", ErrUnreachable, res.Status)
}

// retryAfter reads seconds or a date. Where it says nothing, a minute is waited.
func retryAfter(s string, now time.Time) time.Duration {
	wait := time.Minute
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		wait = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		wait = t.Sub(now)
	}
	return min(max(wait, time.Second), maxWait)
}
