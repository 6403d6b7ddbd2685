package main_test

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// origin is a third-party registry that counts, and can be made to fail.
type origin struct {
	t    *testing.T
	srv  *httptest.Server
	host string

	mu     sync.Mutex
	counts map[string]int   // by method and path
	ranges []string         // asked of blobs
	bytes  map[string]int64 // of blobs, sent
	before func(w http.ResponseWriter, r *http.Request) bool
	cut    map[string]int64 // path: cut once after so many bytes
	hold   map[string]int64 // path: silent once after so many bytes, until the client leaves
	left   int              // how often one did
}

func newOrigin(t *testing.T) *origin {
	o := &origin{t: t, counts: map[string]int{}, bytes: map[string]int64{}, cut: map[string]int64{}, hold: map[string]int64{}}
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	o.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.counts[r.Method+" "+r.URL.Path]++
		before := o.before
		limit, cut := o.cut[r.URL.Path]
		var until <-chan struct{}
		if at, held := o.hold[r.URL.Path]; held {
			limit, cut, until = at, true, r.Context().Done()
		}
		if strings.Contains(r.URL.Path, "/blobs/sha256:") && r.Method == http.MethodGet {
			o.ranges = append(o.ranges, r.Header.Get("Range"))
			delete(o.cut, r.URL.Path)
			delete(o.hold, r.URL.Path)
		} else {
			cut = false
		}
		o.mu.Unlock()
		if before != nil && before(w, r) {
			return
		}
		if !cut {
			limit = 1 << 40
		}
		reg.ServeHTTP(&cutWriter{ResponseWriter: w, o: o, path: r.URL.Path, left: limit, until: until}, r)
	}))
	t.Cleanup(o.srv.Close)
	o.host = strings.TrimPrefix(o.srv.URL, "http://")
	return o
}

// cutWriter breaks the connection off after some bytes.
type cutWriter struct {
	http.ResponseWriter
	o    *origin
	path string
	left int64

	until <-chan struct{} // what is waited for first; nil: nothing
}

func (w *cutWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > w.left {
		w.o.sent(w.path, w.left) // before anybody has them
		_, _ = w.ResponseWriter.Write(b[:w.left])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		if w.until != nil {
			<-w.until
			w.o.set(func() { w.o.left++ })
		}
		panic(http.ErrAbortHandler)
	}
	w.o.sent(w.path, int64(len(b)))
	n, err := w.ResponseWriter.Write(b)
	w.left -= int64(n)
	return n, err
}

func (o *origin) sent(path string, n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes[path] += n
}

func (o *origin) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

func (o *origin) count(method, path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.counts[method+" "+path]
}

func (o *origin) blob(d digest.Digest) string { return "/v2/org/app/blobs/" + d.String() }

func (o *origin) sentOf(d digest.Digest) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes[o.blob(d)]
}

// push puts a layout into the registry as org/app:TAG, by plain HTTP.
func (o *origin) push(l *testnet.Layout, tag string) {
	o.t.Helper()
	for d := range l.Blobs {
		b := o.read(l, d)
		if d == l.Root.Digest {
			continue
		}
		o.send(http.MethodPost, "/v2/org/app/blobs/uploads/?digest="+d.String(), "application/octet-stream", b)
	}
	o.send(http.MethodPut, "/v2/org/app/manifests/"+tag, l.Root.MediaType, o.read(l, l.Root.Digest))
	o.send(http.MethodPut, "/v2/org/app/manifests/"+l.Root.Digest.String(), l.Root.MediaType, o.read(l, l.Root.Digest))
	o.set(func() { o.counts, o.bytes = map[string]int{}, map[string]int64{} })
}

func (o *origin) read(l *testnet.Layout, d digest.Digest) []byte {
	o.t.Helper()
	b, err := os.ReadFile(l.Path(d))
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

func (o *origin) send(method, path, contentType string, b []byte) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.srv.URL+path, bytes.NewReader(b))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		o.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
}
