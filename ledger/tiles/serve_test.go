package tiles_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/tiles"
)

// broken is a source whose disk fails.
type broken struct{ *source }

var errDisk = errors.New("disk is full of secrets")

func (broken) Hashes(ledger.AuthorID, []int64) ([]tlog.Hash, error) { return nil, errDisk }

func TestServe(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 300)
	for _, tc := range []struct {
		method, path, accept    string
		status                  int
		mediaType, cache, coded string
	}{
		{"GET", "/checkpoint", "", 200, "text/plain; charset=utf-8", "no-cache", ""},
		{"HEAD", "/checkpoint", "", 200, "text/plain; charset=utf-8", "no-cache", ""},
		{"GET", "/tile/0/000", "gzip", 200, "application/octet-stream", "public, max-age=31536000, immutable", ""},
		{"GET", "/tile/0/001.p/44", "", 200, "application/octet-stream", "public, max-age=31536000, immutable", ""},
		{"GET", "/tile/0/001.p/7", "", 200, "application/octet-stream", "public, max-age=31536000, immutable", ""},
		{"GET", "/tile/entries/000", "", 200, "application/octet-stream", "public, max-age=31536000, immutable", ""},
		{"GET", "/tile/entries/000", "br, gzip;q=0.5", 200, "application/octet-stream", "public, max-age=31536000, immutable", "gzip"},
		{"GET", "/tile/entries/000", "gzip;q=0", 200, "application/octet-stream", "public, max-age=31536000, immutable", ""},
		{"GET", "/tile/0/001.p/45", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/tile/0/001", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/tile/1/000", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/tile/2/000.p/1", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/tile/63/x999/999", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/tile/0/x999/x999/x999/999.p/1", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/tile/../checkpoint", "", 404, "text/plain; charset=utf-8", "", ""},
		{"GET", "/", "", 404, "text/plain; charset=utf-8", "", ""},
		{"POST", "/checkpoint", "", 405, "text/plain; charset=utf-8", "", ""},
	} {
		r := httptest.NewRequest(tc.method, tc.path, nil)
		r.Header.Set("Accept-Encoding", tc.accept)
		w := httptest.NewRecorder()
		tiles.Handler(l.log(), func(err error) { t.Error(err) }).ServeHTTP(w, r)
		got := []string{w.Header().Get("Content-Type"), w.Header().Get("Cache-Control"), w.Header().Get("Content-Encoding")}
		if want := []string{tc.mediaType, tc.cache, tc.coded}; w.Code != tc.status || !slices.Equal(got, want) {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, w.Code, got, tc.status, want)
		}
	}
	var reported error
	w := httptest.NewRecorder()
	failing := tiles.Of(broken{l.source}, l.author)
	tiles.Handler(failing, func(err error) { reported = err }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/tile/0/000", nil))
	if body, _ := io.ReadAll(w.Body); w.Code != 500 || !errors.Is(reported, errDisk) || bytes.Contains(body, []byte("secret")) {
		t.Errorf("%d %s, reported %v", w.Code, body, reported)
	}
}

// TestHostileHTTP: answers without end and of every status.
func TestHostileHTTP(t *testing.T) {
	t.Parallel()
	l := newPlainLog(t, "a", 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	endless := served(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for ctx.Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}))
	if _, err := tiles.Open(t.Context(), endless, l.verify()); err == nil {
		t.Error("endless: no error")
	}
	for status, missing := range map[int]bool{404: true, 410: true, 500: false, 204: false} {
		f := served(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if _, err := tiles.Open(t.Context(), f, l.verify()); err == nil || errors.Is(err, fs.ErrNotExist) != missing {
			t.Errorf("status %d: %v", status, err)
		}
	}
}
