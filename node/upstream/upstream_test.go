package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

const manifest = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}`

// serve answers on loopback, and gives the reference of org/app:1.0 there.
func serve(t *testing.T, h http.HandlerFunc) Ref {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	r, err := ParseRef(strings.TrimPrefix(s.URL, "http://") + "/org/app:1.0")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func giveManifest(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	_, _ = io.WriteString(w, manifest)
}

func newClient(t *testing.T, cfg Config) *Client {
	c := New(cfg)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pretend makes a registry on loopback one that is on the internet; all other
// addresses are where they are.
func pretend(c *Client, public Ref) {
	own := netip.MustParseAddrPort(public.Host)
	c.reach = func(ap netip.AddrPort) reach {
		if ap == own {
			return reachPublic
		}
		return reachOf(ap)
	}
}

// A public registry that redirects to this machine, its network or its cloud's
// metadata makes no connection there.
func TestCVE202015157RedirectToLoopback(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	inside := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, port, _ := strings.Cut(inside.Host, ":")
	for _, to := range []string{
		"http://" + inside.Host + "/secret", "http://localhost:" + port + "/secret", "http://[::1]:" + port + "/secret",
		"http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.1.1/", "http://100.100.100.200/",
		"http://0.0.0.0:" + port + "/", "http://[::ffff:127.0.0.1]:" + port + "/", "file:///etc/passwd", "http://user:pw@example.com/",
	} {
		ref := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		})
		c := newClient(t, Config{})
		pretend(c, ref)
		d := digest.FromString("x")
		if body, err := c.Blob(t.Context(), ref, d, 0, 1); !errors.Is(err, ErrDenied) && !errors.Is(err, ErrUnreachable) {
			t.Errorf("redirected to %s: %v %v", to, body, err)
		}
		if _, _, err := c.Manifest(t.Context(), ref); err == nil {
			t.Errorf("redirected to %s: a manifest", to)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests were led to this machine", n)
	}
}

// The same for a token server.
func TestCVE202015157TokenServerOnLoopback(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	inside := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	ref := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+inside.Host+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	c := newClient(t, Config{Credentials: func(string) (string, string) { return "user", "secret" }})
	pretend(c, ref)
	if _, err := c.Head(t.Context(), ref); !errors.Is(err, ErrDenied) {
		t.Errorf("led to a token server on this machine: %v", err)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the token server was asked %d times", n)
	}
}

// Credentials do not follow a redirect to another host (CVE-2020-15157).
func TestCVE202015157CredentialsStay(t *testing.T) {
	t.Parallel()
	var leaked atomic.Value
	content := []byte("content")
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization") + r.Header.Get("Cookie"); a != "" {
			leaked.Store(a)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
	ref := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="here"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, "http://"+elsewhere.Host+"/storage", http.StatusTemporaryRedirect)
	})
	c := newClient(t, Config{Credentials: func(host string) (string, string) {
		if host != ref.Host {
			t.Errorf("asked for the password of %s", host)
		}
		return "user", "secret"
	}})
	body, err := c.Blob(t.Context(), ref, digest.FromBytes(content), 2, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if b, err := io.ReadAll(body); err != nil || string(b) != "ntent" {
		t.Errorf("read %q, %v", b, err)
	}
	if l := leaked.Load(); l != nil {
		t.Errorf("%q went along", l)
	}
}

// A token is asked for once, with the scope and the password, and used.
func TestBearerToken(t *testing.T) {
	t.Parallel()
	var tokens atomic.Int32
	var host string
	ref := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			tokens.Add(1)
			if u, p, _ := r.BasicAuth(); u != "user" || p != "secret" || r.URL.Query().Get("scope") != "repository:org/app:pull" || r.URL.Query().Get("service") != "a, b" {
				t.Errorf("asked for a token with %s", r.URL)
			}
			fmt.Fprint(w, `{"token":"t0ken","expires_in":300}`)
		case r.Header.Get("Authorization") != "Bearer t0ken":
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+host+`/token",service="a, b",scope="repository:org/app:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			giveManifest(w)
		}
	})
	host = ref.Host
	c := newClient(t, Config{Credentials: func(string) (string, string) { return "user", "secret" }})
	for range 3 {
		d, b, err := c.Manifest(t.Context(), ref)
		if err != nil || string(b) != manifest || d.Digest != digest.FromString(manifest) || d.Size != int64(len(manifest)) {
			t.Fatalf("%v %q %v", d, b, err)
		}
	}
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	other := digest.FromString("other")
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		want   error
	}{
		"not found":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, ErrNotFound},
		"forbidden":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, ErrDenied},
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, ErrDenied},
		"broken":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, ErrUnreachable},
		"rate limit":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, ErrRateLimited},
		"a web page":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, ErrUnreachable},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for range image.MaxManifest/4096 + 2 {
				_, _ = w.Write(make([]byte, 4096))
			}
		}, ErrUnreachable},
		"another digest": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Docker-Content-Digest", other.String())
			giveManifest(w)
		}, ErrUnreachable},
		"in circles": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ref := serve(t, tt.answer)
			if _, b, err := newClient(t, Config{}).Manifest(t.Context(), ref); !errors.Is(err, tt.want) {
				t.Errorf("%d bytes, %v; want %v", len(b), err, tt.want)
			}
		})
	}
	ref := serve(t, func(w http.ResponseWriter, _ *http.Request) { giveManifest(w) })
	ref.Tag, ref.Digest = "", other
	if _, _, err := newClient(t, Config{}).Manifest(t.Context(), ref); err == nil {
		t.Error("a manifest of another digest than was asked for")
	}
}

// What a registry forbids is not asked again before its time.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var asked atomic.Int32
	ref := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "100")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	c := newClient(t, Config{Now: func() time.Time { return now }})
	for range 3 {
		_, err := c.Head(t.Context(), ref)
		var re *RateError
		if !errors.As(err, &re) || !re.Until.Equal(now.Add(100*time.Second)) {
			t.Errorf("%v", err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	now = now.Add(101 * time.Second)
	_, _ = c.Head(t.Context(), ref)
	if asked.Load() != 2 || c.Stats().RateLimited != 2 {
		t.Errorf("asked %d times, %+v", asked.Load(), c.Stats())
	}
}

// A registry that knows no ranges gives the part that was asked for all the same,
// and one that gives another part is refused.
func TestRanges(t *testing.T) {
	t.Parallel()
	content := "0123456789"
	for name, h := range map[string]http.HandlerFunc{
		"none": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, content) },
		"right": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
		},
		"other": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 2-8/10")
			w.WriteHeader(http.StatusPartialContent)
		},
	} {
		c := newClient(t, Config{PerHost: 1, InAll: 1, BytesPerSecond: 1 << 20})
		ref := serve(t, h)
		for range 2 { // the transfer before was left
			body, err := c.Blob(t.Context(), ref, digest.FromString(content), 3, 8)
			if name == "other" {
				if err == nil {
					t.Error("another part was taken")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(body); err != nil || string(b) != "34567" {
				t.Errorf("%s: %q, %v", name, b, err)
			}
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A registry on loopback is asked over HTTP, others are not.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"127.0.0.1:5000": "http", "localhost": "http", "localhost:80": "http", "127.8.9.1": "http",
		"quay.io": "https", "127.0.0.1.nip.io": "https", "10.0.0.1:5000": "https", "registry.lan:5000": "http",
	} {
		if got := newSite(New(Config{Insecure: []string{"registry.lan:5000"}}), host).scheme; got != want {
			t.Errorf("%s is asked over %s", host, got)
		}
	}
}

func TestParseRef(t *testing.T) {
	t.Parallel()
	d := digest.FromString("x").String()
	for in, want := range map[string]string{
		"quay.io/org/app":                "quay.io /v2/org/app latest",
		"quay.io/org/app:1.0":            "quay.io /v2/org/app 1.0",
		"localhost:5001/app@" + d:        "localhost:5001 /v2/app " + d,
		"docker.io/nginx:1":              "registry-1.docker.io /v2/library/nginx 1",
		"docker.io/bitnami/nginx:1@" + d: "registry-1.docker.io /v2/bitnami/nginx " + d,
		"127.0.0.1:4000/a/b/c:x":         "127.0.0.1:4000 /v2/a/b/c x",
		"alice/app":                      "", "quay.io": "", "quay.io/": "", "quay.io/App": "", "-a.io/x": "", "a..b/x": "",
		"quay.io/../x": "", "quay.io/a:b:c": "", "quay.io/a@sha256:../x": "", "quay.io:123456/a": "", "[::1]:5/a": "", "a.b@c/d": "",
	} {
		r, err := ParseRef(in)
		got := ""
		if err == nil {
			got = fmt.Sprintf("%s /v2/%s %s", r.api(), r.path(), r.reference())
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%v)", in, got, want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("quay.io/org/app:1.0@" + digest.FromString("x").String())
	f.Add(`Bearer realm="https://auth.example/token",service="x",scope=repository:a:pull`)
	f.Add(`{"access_token":"x","expires_in":99999999999}`)
	f.Add("bytes 5-9/10")
	f.Add("Fri, 27 Nov 2026 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRef(s); err == nil {
			again, err := ParseRef(r.String())
			if err != nil || again != r || strings.ContainsAny(r.Host+r.Repo, " \n\"%?#\\") || strings.Contains(r.Repo, "..") {
				t.Errorf("%q is read as %+v, and that as %+v (%v)", s, r, again, err)
			}
		}
		if scheme, params, err := parseChallenge(s); err == nil && (strings.Contains(scheme, " ") || len(params) > len(s)) {
			t.Errorf("%q: %q", s, scheme)
		}
		if text, lives, err := decodeToken([]byte(s)); err == nil && (text == "" || strings.ContainsAny(text, "\r\n ") || lives <= 0 || lives > time.Hour) {
			t.Errorf("%q: %q for %v", s, text, lives)
		}
		if n, ok := rangeStart(s); ok && n < 0 {
			t.Errorf("%q begins at %d", s, n)
		}
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if w := retryAfter(s, now); w < time.Second || w > maxWait {
			t.Errorf("%q: %v", s, w)
		}
	})
}
