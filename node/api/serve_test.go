package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenSocket(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{t.TempDir(), long} {
		path := filepath.Join(dir, "api.sock")
		h := GuardSocket(Handler(&fake{}, Options{Version: "v9"}))
		ln, err := ListenSocket(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, err %v", info.Mode(), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, ln, h) }()
		c := NewSocketClient(path)
		if v, err := c.Version(t.Context()); err != nil || v != "v9" {
			t.Errorf("got %q, %v", v, err)
		}
		_ = c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
}

func TestListenSocketKeepsFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.sock")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ln, err := ListenSocket(path); err == nil {
		_ = ln.Close()
		t.Error("listened over a file")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file is %q, %v", b, err)
	}
}

// The end of a node ends streams by their context, and lets them say so.
func TestServeEndsStreams(t *testing.T) {
	t.Parallel()
	began := make(chan bool)
	b := &fake{fetch: func(ctx context.Context, _ FetchRequest, _ func(Progress)) (Fetched, error) {
		close(began)
		<-ctx.Done()
		return Fetched{}, ctx.Err()
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, ln, Handler(b, Options{})) }()
	go func() { <-began; cancel() }()
	_, err = NewTCPClient(ln.Addr().String(), "").Fetch(t.Context(), FetchRequest{}, nil)
	if !errors.Is(err, ErrBroken) {
		t.Errorf("the client saw %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeTellsOfABrokenListener(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := Serve(t.Context(), ln, http.NotFoundHandler()); err == nil {
		t.Error("no error")
	}
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	ok := func(context.Context) error { return nil }
	bad := func(context.Context) error { return errors.New("none yet") }
	for name, tt := range map[string]struct {
		checks []Check
		status int
		body   string
	}{
		"none":    {nil, 200, "ready\n"},
		"warning": {[]Check{{"store", false, ok}, {"peers", true, bad}}, 200, "store: ok\npeers: warning: none yet\nready\n"},
		"bad":     {[]Check{{"store", false, bad}}, 503, "store: none yet\nnot ready\n"},
	} {
		w := httptest.NewRecorder()
		Handler(&fake{}, Options{Checks: tt.checks}).ServeHTTP(w, httptest.NewRequest("GET", "/readyz?verbose", nil))
		body, _ := io.ReadAll(w.Result().Body)
		if w.Code != tt.status || string(body) != tt.body {
			t.Errorf("%s: status %d, body %q", name, w.Code, body)
		}
	}
}
