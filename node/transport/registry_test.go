package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

// serve starts a registry; around sees each request first and answers by
// returning true.
func serve(t *testing.T, around func(w http.ResponseWriter, r *http.Request) bool) string {
	t.Helper()
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if around == nil || !around(w, r) {
			reg.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// push puts an image of the store into a registry, under app:1.0, by plain
// HTTP: it must not share code with what is tested.
func push(t *testing.T, host string, root image.Descriptor, src *blobs.Store) {
	t.Helper()
	img, err := image.Walk(t.Context(), root, Documents(src))
	if err != nil {
		t.Fatal(err)
	}
	var docs []image.Blob
	for _, b := range img.Blobs {
		if b.Role == image.RoleIndex || b.Role == image.RoleManifest {
			docs = append([]image.Blob{b}, docs...)
			continue
		}
		f, err := src.Open(b.Digest)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		send(t, http.MethodPost, fmt.Sprintf("http://%s/v2/app/blobs/uploads/?digest=%s", host, b.Digest), "application/octet-stream", content)
	}
	for _, d := range docs {
		content := blob(t, src, d.Descriptor)
		send(t, http.MethodPut, fmt.Sprintf("http://%s/v2/app/manifests/%s", host, d.Digest), d.MediaType, content)
		if d.Digest == root.Digest {
			send(t, http.MethodPut, fmt.Sprintf("http://%s/v2/app/manifests/1.0", host), d.MediaType, content)
		}
	}
}

func send(t *testing.T, method, url, contentType string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	// Not the default client, whose connections every test server that ends
	// closes.
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
}

func TestReadRegistry(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	for shape, root := range shapes(b) {
		if shape == "sha512" {
			continue // not in this registry's power
		}
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			host := serve(t, nil)
			push(t, host, root, b.s)
			for _, ref := range []string{host + "/app:1.0", host + "/app@" + root.Digest.String()} {
				dst := newStore(t)
				got, err := ReadRegistry(t.Context(), ref, RegistryOptions{}, dst, nil)
				if err != nil {
					t.Fatal(err)
				}
				assertRoot(t, got, root)
				assertImage(t, dst, root, b.s)
			}
		})
	}
}

func TestRegistryPlatform(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	amd, arm := b.manifest("amd64", b.layer("a", gzipped)), b.manifest("arm64", b.layer("b", gzipped))
	root := b.index(on("amd64", amd), on("arm64", arm))
	host := serve(t, nil)
	push(t, host, root, b.s)
	dst := newStore(t)
	got, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}, dst, nil)
	if err != nil {
		t.Fatal(err)
	}
	assertRoot(t, got, arm)
	if _, err := dst.Stat(amd.Digest); err == nil {
		t.Error("took the other platform too")
	}
	_, err = ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{Platform: &ocispec.Platform{OS: "linux", Architecture: "mips"}}, dst, nil)
	if !errors.Is(err, image.ErrNoPlatform) {
		t.Errorf("no such platform: %v", err)
	}
}

func TestRegistryIsAskedOnce(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	root := b.manifest("amd64", b.layer("x", gzipped))
	var gets atomic.Int64
	host := serve(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.URL.Path != "/v2/" {
			gets.Add(1)
		}
		return false
	})
	push(t, host, root, b.s)
	dst := newStore(t)
	for _, want := range []int64{4, 7} { // tag, manifest, config, layer; then no layer
		if _, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{}, dst, nil); err != nil {
			t.Fatal(err)
		}
		if got := gets.Load(); got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
	}
}

func TestBadRegistries(t *testing.T) {
	t.Parallel()
	hit := func(r *http.Request, part string) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, part)
	}
	for name, c := range map[string]struct {
		ref    string
		around func(w http.ResponseWriter, r *http.Request, layer digest.Digest) bool
		want   error
	}{
		"no such tag":        {ref: "/app:2.0", want: ErrNoSuchImage},
		"no such repository": {ref: "/nothing", want: ErrNoSuchImage},
		"bad reference":      {ref: "/APP:1.0", want: image.ErrBadReference},
		"wants credentials": {want: ErrDenied, around: func(w http.ResponseWriter, r *http.Request, _ digest.Digest) bool {
			if hit(r, "/manifests/") {
				http.Error(w, "no", http.StatusUnauthorized)
				return true
			}
			return false
		}},
		"layer is other content": {around: func(w http.ResponseWriter, r *http.Request, layer digest.Digest) bool {
			if hit(r, layer.String()) {
				fmt.Fprint(w, "something else")
				return true
			}
			return false
		}},
		"layer never ends": {around: func(w http.ResponseWriter, r *http.Request, layer digest.Digest) bool {
			if hit(r, layer.String()) {
				for err := error(nil); err == nil; {
					_, err = w.Write(make([]byte, 1<<16))
				}
				return true
			}
			return false
		}},
		"manifest never ends": {want: image.ErrTooLarge, around: func(w http.ResponseWriter, r *http.Request, _ digest.Digest) bool {
			if hit(r, "/manifests/") {
				for err := error(nil); err == nil; {
					_, err = w.Write(bytes.Repeat([]byte(" "), 1<<16))
				}
				return true
			}
			return false
		}},
		"manifest of another type": {want: image.ErrBadManifest, around: func(w http.ResponseWriter, r *http.Request, _ digest.Digest) bool {
			if hit(r, "/manifests/") {
				w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
				fmt.Fprint(w, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
				return true
			}
			return false
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBuilder(t)
			layer := b.layer("x", gzipped)
			host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
				return c.around != nil && c.around(w, r, layer.Digest)
			})
			push(t, host, b.manifest("amd64", layer), b.s)
			dst := newStore(t)
			ref := c.ref
			if ref == "" {
				ref = "/app:1.0"
			}
			_, err := ReadRegistry(t.Context(), host+ref, RegistryOptions{}, dst, nil)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if _, err := dst.Stat(layer.Digest); err == nil {
				t.Error("stored the layer")
			}
		})
	}
}

func TestRegistryCredentials(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	root := b.manifest("amd64", b.layer("x", gzipped))
	var locked atomic.Bool
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if user, pass, _ := r.BasicAuth(); !locked.Load() || user == "alice" && pass == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	push(t, host, root, b.s)
	locked.Store(true)
	if _, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{}, newStore(t), nil); !errors.Is(err, ErrDenied) {
		t.Errorf("anonymous: %v", err)
	}
	got, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{Keychain: oneKey{host, "alice", "secret"}}, newStore(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	assertRoot(t, got, root)
}

type oneKey struct{ host, user, pass string }

func (k oneKey) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if r.RegistryStr() != k.host {
		return authn.Anonymous, nil
	}
	return &authn.Basic{Username: k.user, Password: k.pass}, nil
}

// TestForeignURLsAreNotAsked has a manifest that names another server.
func TestForeignURLsAreNotAsked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	bait := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer bait.Close()
	b := newBuilder(t)
	foreign := part{image.Descriptor{MediaType: foreignLayer, Digest: digest.FromString("far"), Size: 3, URLs: []string{bait.URL + "/x"}}, digest.FromString("far")}
	lost := b.layer("lost", gzipped)
	lost.URLs = []string{bait.URL + "/y"}
	root := b.manifest("amd64", foreign, lost)
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, lost.Digest.String()) {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	push(t, host, root, b.s)
	if _, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{}, newStore(t), nil); err == nil {
		t.Error("read an image without its layer")
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("asked the other server %d times", n)
	}
}

func TestGuardKeepsItsDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		registry, to string
		allowed      bool
	}{
		{"93.184.216.34", "1.1.1.1", true},
		{"93.184.216.34", "127.0.0.1", false},
		{"93.184.216.34", "10.0.0.1", false},
		{"93.184.216.34", "169.254.169.254", false},
		{"93.184.216.34", "100.100.100.200", false},
		{"93.184.216.34", "::1", false},
		{"93.184.216.34", "::ffff:127.0.0.1", false},
		{"93.184.216.34", "fe80::1", false},
		{"93.184.216.34", "fd00::1", false},
		{"93.184.216.34", "0.0.0.0", false},
		{"10.0.0.1", "10.0.0.2", true},
		{"10.0.0.1", "1.1.1.1", true},
		{"10.0.0.1", "127.0.0.1", false},
		{"10.0.0.1", "169.254.169.254", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "10.0.0.1", true},
		{"", "127.0.0.1", false},
		{"", "1.1.1.1", true},
	} {
		g := &guard{registry: "registry.example"}
		if c.registry != "" {
			if err := g.learn(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(c.registry), 443).String(), nil); err != nil {
				t.Fatal(err)
			}
		}
		err := g.check(t.Context(), "tcp", netip.AddrPortFrom(netip.MustParseAddr(c.to), 443).String(), nil)
		if (err == nil) != c.allowed || err != nil && !errors.Is(err, ErrDenied) {
			t.Errorf("registry at %q leads to %s: %v", c.registry, c.to, err)
		}
	}
}

// TestRedirectIsGuarded goes through the transport itself: a registry that was
// never found to be near may not send us to this machine.
func TestRedirectIsGuarded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	bait := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer bait.Close()
	rt := guardedTransport("registry.example", false, stallTimeout)
	for _, url := range []string{bait.URL, strings.Replace(bait.URL, "127.0.0.1", "localhost", 1)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := rt.RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: answered %s", url, resp.Status)
		} else if !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestGuardNoticesRebinding(t *testing.T) {
	t.Parallel()
	g := &guard{registry: "registry.example"}
	if err := g.learn(t.Context(), "tcp", "93.184.216.34:443", nil); err != nil {
		t.Fatal(err)
	}
	if err := g.learn(t.Context(), "tcp", "127.0.0.1:443", nil); !errors.Is(err, ErrDenied) {
		t.Errorf("name came to mean loopback: %v", err)
	}
	if err := g.learn(t.Context(), "tcp", "93.184.216.35:443", nil); err != nil {
		t.Errorf("another public address: %v", err)
	}
}

func TestSilentRegistry(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	layer := b.layer("x", gzipped)
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(layer.Size))
		w.Write([]byte{0x1f})
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	push(t, host, b.manifest("amd64", layer), b.s)
	rt := guardedTransport(host, false, 200*time.Millisecond)
	_, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{Transport: rt}, newStore(t), nil)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestRedirectFromANearRegistry is how blob storage beside a registry works.
func TestRedirectFromANearRegistry(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	layer := b.layer("x", gzipped)
	root := b.manifest("amd64", layer)
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(blob(t, b.s, layer.Descriptor))
	}))
	defer storage.Close()
	host := serve(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, layer.Digest.String()) {
			http.Redirect(w, r, storage.URL, http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	push(t, host, root, b.s)
	got, err := ReadRegistry(t.Context(), host+"/app:1.0", RegistryOptions{}, newStore(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	assertRoot(t, got, root)
}
