package tiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
)

// Fetcher gets resources of a log by their paths.
type Fetcher interface {
	// Fetch returns fs.ErrNotExist when the resource is not there, and an
	// error when it has more than limit bytes.
	Fetch(ctx context.Context, path string, limit int64) ([]byte, error)
}

// HTTP fetches below a prefix.
type HTTP struct {
	Prefix *url.URL
	Client *http.Client // http.DefaultClient, if nil
}

// Fetch implements Fetcher.
func (h HTTP) Fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Prefix.JoinPath(path).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		return readAll(res.Body, path, limit)
	case http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("fetching %s: %w", path, fs.ErrNotExist)
	default:
		return nil, fmt.Errorf("fetching %s: status %d", path, res.StatusCode)
	}
}

// Dir fetches from a file system: what Export wrote, or anybody else.
type Dir struct{ FS fs.FS }

// Fetch implements Fetcher.
func (d Dir) Fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.FS.Open(path)
	if err != nil {
		return nil, fmt.Errorf("fetching: %w", err)
	}
	defer f.Close()
	return readAll(f, path, limit)
}

var errTooLong = errors.New("more than a log has there")

func readAll(r io.Reader, path string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("fetching %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("fetching %s: %w: %d bytes", path, errTooLong, limit)
	}
	return b, nil
}
