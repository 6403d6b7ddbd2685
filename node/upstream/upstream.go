// Package upstream asks third-party registries for manifests and blobs, on behalf of
// clients that pull their images through this node. It speaks the pull side of the
// OCI distribution specification (https://github.com/opencontainers/distribution-spec,
// v1.1) and Docker's token authentication
// (https://distribution.github.io/distribution/spec/auth/token/):
//
//	HEAD /v2/<repo>/manifests/<tag>      what a tag means; registries do not count it
//	GET  /v2/<repo>/manifests/<ref>
//	GET  /v2/<repo>/blobs/<digest>       Range: bytes=<from>-<to>
//
// A registry is asked over HTTPS, but on loopback, or where Config.Insecure has it. It
// cannot lead this node anywhere: what it redirects to must be as far away as itself
// (a public one never leads to loopback, link-local or private addresses), no
// credentials go along, and a token server is held to the same rules
// (CVE-2020-15157). Answers are bounded; a registry that falls silent is left.
//
// Nothing here is trusted: whoever asks compares digests.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/time/rate"

	"github.com/dockchains/dockchain/node/image"
)

// What a registry can answer that a person can act on.
var (
	// ErrNotFound: it has no such image.
	ErrNotFound = errors.New("the registry has no such image")
	// ErrDenied: it wants other credentials, or leads somewhere it may not.
	ErrDenied = errors.New("the registry does not let this node in")
	// ErrRateLimited: it was asked too often. RateError says until when.
	ErrRateLimited = errors.New("the registry limits how often it is asked")
	// ErrUnreachable: it does not answer, or not as a registry.
	ErrUnreachable = errors.New("the registry cannot be reached")
)

// RateError is an ErrRateLimited.
type RateError struct{ Until time.Time }

func (e *RateError) Error() string {
	return fmt.Sprintf("%v: it may be asked again at %s", ErrRateLimited, e.Until.UTC().Format(time.RFC3339))
}

func (e *RateError) Unwrap() error { return ErrRateLimited }

// Config is how registries are asked. The zero value is the default.
type Config struct {
	// Insecure are registries, host[:port], that are asked over plain HTTP. Those on
	// loopback are anyway.
	Insecure []string
	// Instead names the registries, host[:port], that are asked in place of those in
	// names: a mirror of one's own. What they say is held against digests only.
	Instead map[string]string
	// Credentials gives the user and password for a registry. Nil: everything is read
	// anonymously.
	Credentials func(host string) (user, password string)
	// UserAgent introduces this node.
	UserAgent string
	// PerHost and InAll bound the transfers of blobs under way at once. Default 6
	// and 24.
	PerHost, InAll int
	// BytesPerSecond bounds all of them together. Default 0: no limit.
	BytesPerSecond int64
	// Stall is how long a registry may be silent. Default 30 s.
	Stall time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Stats count what was asked since the start.
type Stats struct {
	Requests    uint64 // HTTP requests, those for tokens included
	Transfers   uint64 // of blobs, begun
	Bytes       uint64 // of blobs
	RateLimited uint64 // answers
}

// Client asks registries. It is safe for concurrent use.
type Client struct {
	cfg   Config
	all   chan struct{}
	limit *rate.Limiter // nil: none

	requests, transfers, bytes, rateLimited atomic.Uint64

	mu    sync.Mutex
	sites map[string]*site
	reach reachFunc // that of addresses; tests have another one
}

// maxSites bounds the registries remembered.
const maxSites = 256

// New makes a client.
func New(cfg Config) *Client {
	if cfg.PerHost <= 0 {
		cfg.PerHost = 6
	}
	if cfg.InAll <= 0 {
		cfg.InAll = 24
	}
	if cfg.Stall <= 0 {
		cfg.Stall = 30 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{cfg: cfg, all: make(chan struct{}, cfg.InAll), sites: map[string]*site{}, reach: reachOf}
	if cfg.BytesPerSecond > 0 {
		c.limit = rate.NewLimiter(rate.Limit(cfg.BytesPerSecond), int(max(cfg.BytesPerSecond/4, 64<<10)))
	}
	return c
}

// Stats gives the counters.
func (c *Client) Stats() Stats {
	return Stats{c.requests.Load(), c.transfers.Load(), c.bytes.Load(), c.rateLimited.Load()}
}

// Close drops idle connections.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sites {
		s.own.CloseIdleConnections()
		s.foreign.CloseIdleConnections()
	}
	return nil
}

// siteOf is the registry that answers for a name.
func (c *Client) siteOf(ref Ref) *site {
	host := ref.Host
	if ref.isHub() {
		host = "docker.io"
	}
	if instead := c.cfg.Instead[host]; instead != "" {
		return c.site(instead)
	}
	return c.site(ref.api())
}

// site is one registry.
func (c *Client) site(host string) *site {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sites[host]
	if s == nil {
		if len(c.sites) >= maxSites {
			for other := range c.sites {
				delete(c.sites, other) // any: it is only made anew
				break
			}
		}
		s = newSite(c, host)
		c.sites[host] = s
	}
	return s
}

var accepted = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	image.MediaTypeDockerList, image.MediaTypeDockerManifest,
}

// Head asks what a tag or digest means. The digest is what the registry says; some
// do not say it.
func (c *Client) Head(ctx context.Context, ref Ref) (digest.Digest, error) {
	res, err := c.ask(ctx, http.MethodHead, ref, "manifests/"+ref.reference(), nil)
	if err != nil {
		return "", err
	}
	res.Body.Close()
	d := digest.Digest(res.Header.Get("Docker-Content-Digest"))
	if image.CheckDigest(d) != nil {
		return "", nil
	}
	return d, nil
}

// Manifest gets the document that a tag or digest means. Its digest is that of the
// bytes; where one was asked for, it is that one.
func (c *Client) Manifest(ctx context.Context, ref Ref) (image.Descriptor, []byte, error) {
	res, err := c.ask(ctx, http.MethodGet, ref, "manifests/"+ref.reference(), nil)
	if err != nil {
		return image.Descriptor{}, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, image.MaxManifest+1))
	if err != nil {
		return image.Descriptor{}, nil, fmt.Errorf("%w: reading a manifest: %w", ErrUnreachable, err)
	}
	if len(b) > image.MaxManifest {
		return image.Descriptor{}, nil, fmt.Errorf("%w: a manifest of more than %d bytes", ErrUnreachable, image.MaxManifest)
	}
	said, alg := digest.Digest(res.Header.Get("Docker-Content-Digest")), digest.SHA256
	want := ref.Digest
	if want == "" && image.CheckDigest(said) == nil {
		want = said
	}
	if want != "" {
		alg = want.Algorithm()
	}
	d := image.Descriptor{Digest: alg.FromBytes(b), Size: int64(len(b))}
	if want != "" && d.Digest != want {
		return image.Descriptor{}, nil, fmt.Errorf("%w: it gives %s in place of %s", ErrUnreachable, d.Digest, want)
	}
	mediaType, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	if !slices.Contains(accepted, mediaType) {
		mediaType = "" // some say octet-stream; then the bytes decide
	}
	doc, err := image.Parse(mediaType, b)
	if err != nil {
		return image.Descriptor{}, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	d.MediaType = doc.MediaType
	return d, b, nil
}

// Blob opens the bytes [from, to) of a blob. Reading may end early, with any error;
// then the rest can be asked for. It counts as a transfer until it is closed.
func (c *Client) Blob(ctx context.Context, ref Ref, d digest.Digest, from, to int64) (io.ReadCloser, error) {
	s := c.siteOf(ref)
	if err := enter(ctx, s.transfers); err != nil {
		return nil, err
	}
	if err := enter(ctx, c.all); err != nil {
		<-s.transfers
		return nil, err
	}
	leave := func() { <-c.all; <-s.transfers }
	header := http.Header{}
	header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	res, err := c.ask(ctx, http.MethodGet, ref, "blobs/"+d.String(), header)
	if err != nil {
		leave()
		return nil, err
	}
	c.transfers.Add(1)
	b := &body{ctx: ctx, c: c, ReadCloser: res.Body, left: to - from, leave: sync.OnceFunc(leave)}
	if err := b.begin(res, from); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func enter(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// body is a part of a blob on its way.
type body struct {
	io.ReadCloser
	ctx   context.Context
	c     *Client
	left  int64
	leave func()
}

// begin checks that what comes begins at a byte, or skips to it.
func (b *body) begin(res *http.Response, from int64) error {
	switch res.StatusCode {
	case http.StatusPartialContent:
		if at, ok := rangeStart(res.Header.Get("Content-Range")); !ok || at != from {
			return fmt.Errorf("%w: another part of a blob than was asked for", ErrUnreachable)
		}
		return nil
	case http.StatusOK: // it knows no ranges
		_, err := io.CopyN(io.Discard, b.ReadCloser, from)
		return err
	}
	return fmt.Errorf("%w: it answers a blob with %s", ErrUnreachable, res.Status)
}

// rangeStart reads the first byte's place out of "bytes 5-9/10".
func rangeStart(s string) (int64, bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	first, _, dash := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	return n, ok && dash && err == nil && n >= 0
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	if l := b.c.limit; l != nil && len(p) > 0 {
		p = p[:min(len(p), l.Burst())]
		if err := l.WaitN(b.ctx, len(p)); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	b.c.bytes.Add(uint64(n))
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *body) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
