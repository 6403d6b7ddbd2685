package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
)

// maxAnswer bounds one document or line of an answer, in bytes.
const maxAnswer = 64 << 20

// Client speaks the API. It is a Backend, so whatever works on an exchange
// works on a node in another process.
type Client struct {
	base  string
	token string
	http  *http.Client
}

var _ Backend = (*Client)(nil)

// NewSocketClient speaks over a node's unix socket. Nothing is dialled yet.
func NewSocketClient(path string) *Client {
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialSocket(ctx, path)
	}}
	return &Client{base: "http://localhost", http: &http.Client{Transport: t}}
}

// NewTCPClient speaks to host:port with the token of <home>/api.token.
func NewTCPClient(addr, token string) *Client {
	return &Client{base: "http://" + addr, token: token, http: &http.Client{Transport: &http.Transport{}}}
}

// NewLocalClient speaks to a handler of this process.
func NewLocalClient(h http.Handler) *Client {
	return &Client{base: "http://localhost", http: &http.Client{Transport: inProcess{h}}}
}

// Close drops idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	short, release, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer release()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// Publish releases an image under a name of the node's author.
func (c *Client) Publish(ctx context.Context, req PublishRequest, progress func(Progress)) (Published, error) {
	var res Published
	err := c.stream(ctx, "publish", req, progress, &res)
	return res, err
}

// Fetch fetches, verifies and, where asked, loads or exports an image.
func (c *Client) Fetch(ctx context.Context, req FetchRequest, progress func(Progress)) (Fetched, error) {
	var res Fetched
	err := c.stream(ctx, "fetch", req, progress, &res)
	return res, err
}

// Verify gives the verdict on a reference or magnet link.
func (c *Client) Verify(ctx context.Context, target string, progress func(Progress)) (Verified, error) {
	var res Verified
	err := c.stream(ctx, "verify", verifyRequest{target}, progress, &res)
	return res, err
}

// RebuildIndex folds the catalogue anew and gives the number of ledger entries read.
func (c *Client) RebuildIndex(ctx context.Context, progress func(Progress)) (int, error) {
	var res rebuildAnswer
	err := c.stream(ctx, "index/rebuild", rebuildRequest{}, progress, &res)
	return res.Entries, err
}

// Search gives a page of hits and the number of all.
func (c *Client) Search(ctx context.Context, req SearchRequest) ([]Found, int, error) {
	q := url.Values{"q": {req.Query}}
	for name, value := range map[string]string{"platform": req.Platform, "author": req.Author} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]int{"limit": req.Limit, "offset": req.Offset} {
		if value != 0 {
			q.Set(name, strconv.Itoa(value))
		}
	}
	var res searchAnswer
	err := c.call(ctx, http.MethodGet, "search?"+q.Encode(), nil, &res)
	return res.Results, res.Total, err
}

// Clock compares the node's clock with those of its peers.
func (c *Client) Clock(ctx context.Context) (ClockStatus, error) {
	var res ClockStatus
	err := c.call(ctx, http.MethodGet, "clock", nil, &res)
	return res, err
}

// Show describes one image.
func (c *Client) Show(ctx context.Context, target string) (Shown, error) {
	var res Shown
	err := c.call(ctx, http.MethodGet, "show?"+url.Values{"ref": {target}}.Encode(), nil, &res)
	return res, err
}

// Aliases lists the petnames.
func (c *Client) Aliases(ctx context.Context) ([]Alias, error) {
	var res aliasesAnswer
	err := c.call(ctx, http.MethodGet, "aliases", nil, &res)
	return res.Aliases, err
}

// SetAlias gives an author a petname.
func (c *Client) SetAlias(ctx context.Context, a Alias) error {
	if a.Name == "" {
		return fmt.Errorf("%w: an empty name", ErrBadRequest)
	}
	return c.call(ctx, http.MethodPut, "aliases/"+url.PathEscape(a.Name), aliasRequest{a.Author}, nil)
}

// RemoveAlias forgets a petname.
func (c *Client) RemoveAlias(ctx context.Context, name string) error {
	if name == "" {
		return fmt.Errorf("%w: an empty name", ErrBadRequest)
	}
	return c.call(ctx, http.MethodDelete, "aliases/"+url.PathEscape(name), nil, nil)
}

// Peers lists the peers that the node knows.
func (c *Client) Peers(ctx context.Context) ([]PeerStatus, error) {
	var res peersAnswer
	err := c.call(ctx, http.MethodGet, "peers", nil, &res)
	return res.Peers, err
}

// Connect dials a peer.
func (c *Client) Connect(ctx context.Context, multiaddr string) error {
	return c.call(ctx, http.MethodPost, "connect", connectRequest{multiaddr}, nil)
}

// Status is the node at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var res Status
	err := c.call(ctx, http.MethodGet, "status", nil, &res)
	return res, err
}

// Version is that of the node, which may differ from the command's.
func (c *Client) Version(ctx context.Context) (string, error) {
	var res versionAnswer
	err := c.call(ctx, http.MethodGet, "version", nil, &res)
	return res.Version, err
}

// do sends a request and gives an answer that is no error.
func (c *Client) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1/"+path, reader)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, dialError(err)
	}
	if res.StatusCode >= 400 {
		defer res.Body.Close()
		return nil, answeredError(res)
	}
	return res, nil
}

// dialError tells a node that is not there from other failures.
func dialError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the method and address, which nobody chose
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	case errors.Is(err, context.Canceled), errors.Is(err, fs.ErrPermission):
		return err
	}
	return fmt.Errorf("asking the node: %w", err)
}

func answeredError(res *http.Response) error {
	var l line
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	if err != nil || l.Error == nil {
		return fmt.Errorf("asking the node: it answered %s", res.Status)
	}
	return l.Error
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	res, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if into == nil {
		return nil
	}
	d := json.NewDecoder(io.LimitReader(res.Body, maxAnswer))
	if err := d.Decode(into); err != nil {
		return cutShort(ctx, err)
	}
	return nil
}

// stream reads progress lines until the last line.
func (c *Client) stream(ctx context.Context, path string, body any, progress func(Progress), into any) error {
	res, err := c.do(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxAnswer)
	for lines.Scan() {
		var l line
		switch err := json.Unmarshal(lines.Bytes(), &l); {
		case err != nil:
			return cutShort(ctx, err)
		case l.Error != nil:
			return l.Error
		case l.Result != nil:
			if err := json.Unmarshal(l.Result, into); err != nil {
				return fmt.Errorf("reading the node's answer: %w", err)
			}
			return nil
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		}
	}
	return cutShort(ctx, lines.Err())
}

// cutShort is the error of an answer that ended before its end.
func cutShort(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return ErrBroken
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
