package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/dockchains/dockchain/node/exchange"
)

type oneFile struct{ block chan struct{} }

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (o oneFile) OpenLayout(_ context.Context, name, path string) (exchange.LayoutFile, error) {
	if o.block != nil {
		<-o.block
	}
	if name != "sha256-ab" || path != "blobs/sha256/cd" {
		return exchange.LayoutFile{}, ErrNotFound
	}
	return exchange.LayoutFile{ReadSeekCloser: memory{bytes.NewReader([]byte("0123456789"))}, Digest: "sha256:cd"}, nil
}

func (oneFile) TorrentFile(_ context.Context, name string) ([]byte, error) {
	if name != "sha256-ab" {
		return nil, ErrNotFound
	}
	return []byte("d4:infodee"), nil
}

// The web seed is for everybody, reads only, and gives what its backend gives.
func TestWebSeed(t *testing.T) {
	t.Parallel()
	h := GuardTCP(Handler(nil, Options{WebSeed: oneFile{}}), "secret")
	ask := func(method, path, byteRange string) (int, string) {
		req := httptest.NewRequest(method, "http://localhost"+path, nil)
		if byteRange != "" {
			req.Header.Set("Range", byteRange)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		b, err := io.ReadAll(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(b)
	}
	for _, test := range []struct {
		method, path, byteRange string
		status                  int
		body                    string
	}{
		{"GET", "/webseed/sha256-ab/blobs/sha256/cd", "", 200, "0123456789"},
		{"GET", "/webseed/sha256-ab/blobs/sha256/cd", "bytes=2-4", 206, "234"},
		{"GET", "/webseed/sha256-ab/blobs/sha256/cd", "bytes=20-", 416, ""},
		{"HEAD", "/webseed/sha256-ab/blobs/sha256/cd", "", 200, ""},
		{"GET", "/webseed/sha256-ab.torrent", "", 200, "d4:infodee"},
		{"GET", "/webseed/sha256-ab/blobs/sha256/ce", "", 404, ""},
		{"GET", "/webseed/sha256-ac.torrent", "", 404, ""},
		{"GET", "/webseed/sha256-ab", "", 404, ""},
		{"GET", "/webseed/sha256-ab/../../api/v1/status", "", 401, ""},
		{"POST", "/webseed/sha256-ab.torrent", "", 405, ""},
		{"DELETE", "/webseed/sha256-ab/blobs/sha256/cd", "", 405, ""},
	} {
		status, body := ask(test.method, test.path, test.byteRange)
		if status != test.status || test.body != "" && body != test.body {
			t.Errorf("%s %s %s: %d %q, want %d %q", test.method, test.path, test.byteRange, status, body, test.status, test.body)
		}
	}
}

// Transfers at once are bounded.
func TestWebSeedIsBounded(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	srv := httptest.NewServer(GuardTCP(Handler(nil, Options{WebSeed: oneFile{block}}), "secret"))
	t.Cleanup(srv.Close)
	statuses := make(chan int, 2*webSeedTransfers)
	for range 2 * webSeedTransfers {
		go func() {
			res, err := http.Get(srv.URL + "/webseed/sha256-ab/blobs/sha256/cd")
			if err != nil {
				statuses <- 0
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			statuses <- res.StatusCode
		}()
	}
	for range webSeedTransfers {
		if got := <-statuses; got != http.StatusServiceUnavailable {
			t.Errorf("beyond the bound: %d", got)
		}
	}
	close(block)
	for range webSeedTransfers {
		if got := <-statuses; got != http.StatusOK {
			t.Errorf("within the bound: %d", got)
		}
	}
}

// Each byte that is sent has its turn first, and nothing is given while that is so.
func TestWebSeedWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	asked, turns, paused := make(chan int), make(chan error), errors.New("paused")
	turn := func(ctx context.Context, to netip.Addr, n int) error {
		if !to.IsLoopback() {
			t.Errorf("the client is at %v", to)
		}
		asked <- n
		return <-turns
	}
	srv := httptest.NewServer(GuardTCP(Handler(nil, Options{WebSeed: oneFile{}, Turn: turn}), "secret"))
	t.Cleanup(srv.Close)
	type answer struct {
		status int
		body   string
		err    error
	}
	get := func(path string, turnsOf ...error) answer {
		t.Helper()
		got := make(chan answer, 1)
		go func() {
			res, err := http.Get(srv.URL + path)
			if err != nil {
				got <- answer{err: err}
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			got <- answer{res.StatusCode, string(b), err}
		}()
		sum := 0
		for _, err := range turnsOf {
			sum += <-asked
			select {
			case a := <-got:
				t.Errorf("%s answered %+v out of turn", path, a)
			default:
			}
			turns <- err
		}
		a := <-got
		if a.err == nil && a.status == http.StatusOK && sum != len(a.body) {
			t.Errorf("%s: %d bytes had a turn of %d", path, sum, len(a.body))
		}
		return a
	}
	const file = "/webseed/sha256-ab/blobs/sha256/cd"
	if a := get(file, nil, nil); a.status != http.StatusOK || a.body != "0123456789" {
		t.Errorf("the file: %+v", a)
	}
	if a := get("/webseed/sha256-ab.torrent", nil, nil); a.status != http.StatusOK || a.body != "d4:infodee" {
		t.Errorf("the .torrent file: %+v", a)
	}
	if a := get(file, paused); a.status != http.StatusServiceUnavailable {
		t.Errorf("while paused: %+v", a)
	}
	if a := get(file, nil, paused); a.err == nil && a.body != "" {
		t.Errorf("paused before the first byte: %+v", a)
	}
}
