package registry

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
)

// What reads as both a manifest and an index, or as another type than it was
// declared, is taken under no type.
func TestManifestTypeConfusionCVE202141190(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.push("a/b", "v1", img)
	index := indexOf(t, img.descriptor())
	config, child := string(img.manifest[strings.Index(string(img.manifest), `"config"`):]), string(index.manifest[strings.Index(string(index.manifest), `"manifests"`):])
	both := strings.TrimSuffix(string(img.manifest), "}") + "," + strings.TrimSuffix(child, "}") + "}"
	for name, c := range map[string]struct{ mediaType, body string }{
		"a manifest with manifests":        {ocispec.MediaTypeImageManifest, both},
		"the same as an index":             {ocispec.MediaTypeImageIndex, strings.Replace(both, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, 1)},
		"no media type, and both":          {ocispec.MediaTypeImageManifest, `{"schemaVersion":2,` + strings.TrimSuffix(config, "}") + "," + child},
		"another type than declared":       {ocispec.MediaTypeImageIndex, string(img.manifest)},
		"Docker's type, the same shape":    {image.MediaTypeDockerManifest, string(img.manifest)},
		"declared an index, no media type": {ocispec.MediaTypeImageIndex, `{"schemaVersion":2,` + config},
		"a key twice":                      {img.mediaType, strings.Replace(string(img.manifest), `"layers"`, `"layers":[],"layers"`, 1)},
		"a key in another case":            {img.mediaType, strings.Replace(string(img.manifest), `"config"`, `"Config":null,"config"`, 1)},
		"schema 1":                         {"application/vnd.docker.distribution.manifest.v1+json", `{"schemaVersion":1,"fsLayers":[]}`},
		"no JSON":                          {img.mediaType, "<html>"},
		"a type that is none":              {"text/html", string(img.manifest)},
	} {
		if a := f.do("PUT", "/v2/a/b/manifests/evil", []byte(c.body), "Content-Type", c.mediaType); a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		} else {
			f.code(a, "MANIFEST_INVALID")
		}
	}
	f.want(f.do("GET", "/v2/a/b/manifests/evil", nil), 404)
	f.want(f.do("PUT", "/v2/a/b/manifests/ok", img.manifest, "Content-Type", img.mediaType+"; charset=utf-8"), 201)
}

// A digest becomes a path only when it is one, on every route that takes one.
func TestDigestConfusionCVE20243727(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.push("a/b", "v1", img)
	if err := os.WriteFile(filepath.Join(f.dir, "peer.key"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	hex := img.digest.Encoded()
	for _, d := range []string{
		"sha256:..%2F..%2Fpeer.key", "sha256:%2e%2e%2f%2e%2e%2fpeer.key", "sha256:" + strings.ToUpper(hex), "SHA256:" + hex, "sha256:" + hex[1:],
		"sha256:" + hex + "0", "sha512:" + hex, "md5:d41d8cd98f00b204e9800998ecf8427e", "sha384:" + hex + hex[:32], "sha256:" + hex[:63] + "%00", "sha256:",
		"sha256:" + strings.Repeat("a", 5000), "sha256+b64u:" + hex, hex,
	} {
		loc := f.begin("a/b", "")
		for method, paths := range map[string][]string{
			"GET":    {"manifests/" + d, "blobs/" + d, "referrers/" + d},
			"HEAD":   {"manifests/" + d, "blobs/" + d},
			"DELETE": {"manifests/" + d, "blobs/" + d},
			"PUT":    {"manifests/" + d, strings.TrimPrefix(loc, "/v2/a/b/") + "?digest=" + d},
			"POST":   {"blobs/uploads/?digest=" + d, "blobs/uploads/?mount=" + d, "blobs/uploads/?mount=" + d + "&from=a/b"},
		} {
			for _, path := range paths {
				if d == hex && strings.HasPrefix(path, "manifests/") {
					continue // a good tag
				}
				var body []byte
				if method == "PUT" {
					body = img.manifest
				}
				a := f.do(method, "/v2/a/b/"+path, body, "Content-Type", img.mediaType)
				if a.status != 400 && a.status != 404 {
					t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
				}
				if strings.Contains(string(a.body), "secret") {
					t.Errorf("%s %s gives a key away", method, path)
				}
			}
		}
	}
}

// Names and tags that would be paths, or that are endless, are none.
func TestNamesAreNoPaths(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.push("a/b", "v1", makeImage(t))
	for _, name := range []string{
		"..%2Fa", "a%2F..%2F..%2Fb", "A/b", "a/B", "a%2F%2Fb", "a%2F", "%2Fa", "a/-b", "a/b..c", "a/b%00", "a/b:c", "me/..%2Fx", "alice/..%2Fx",
		strings.Repeat("a", 256), strings.Repeat("a/", 200) + "a", "quay.io:port/x", "quay.io:443443/x", "%F0%9F%90%B3/x",
	} {
		for _, path := range []string{"/manifests/v1", "/tags/list", "/blobs/uploads/"} {
			method := "GET"
			if strings.HasSuffix(path, "/") {
				method = "POST"
			}
			if a := f.do(method, "/v2/"+name+path, nil); a.status != 400 && a.status != 404 && a.status != 403 {
				t.Errorf("%s %s: %d", method, name+path, a.status)
			}
		}
	}
	for _, tag := range []string{"..", "..%2Fx", "-x", ".x", strings.Repeat("a", 129), "a%20b", "%00"} {
		img := makeImage(t)
		if a := f.do("PUT", "/v2/a/b/manifests/"+tag, img.manifest, "Content-Type", img.mediaType); a.status != 400 && a.status != 404 {
			t.Errorf("tag %q: %d", tag, a.status)
		}
	}
}

// No length of a list that a client asks for costs memory.
func TestEndlessPageCVE20232253(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Page = 2 })
	img := makeImage(t)
	for _, tag := range []string{"a", "b", "c"} {
		f.push("a/b", tag, img)
		f.push("x/"+tag, tag, img)
	}
	for _, n := range []string{"1000000000", "99999999999999999999999", "3", "0000000003"} {
		if a := f.tags("/v2/a/b/tags/list?n="+n, []string{"a", "b"}); !strings.Contains(a.header.Get("Link"), "last=b") {
			t.Errorf("Link %q", a.header.Get("Link"))
		}
		if a := f.want(f.do("GET", "/v2/_catalog?n="+n, nil), 200); !strings.Contains(string(a.body), `["a/b","x/a"]`) {
			t.Errorf("catalog %s", a.body)
		}
	}
	f.want(f.do("GET", "/v2/a/b/tags/list?n=-1", nil), 400)
	f.want(f.do("GET", "/v2/a/b/tags/list?last="+strings.Repeat("x", 1000), nil), 400)
}

// However many manifests refer to one, an answer has only so many, and the next
// page the next.
func TestEndlessReferrersCVE202333957CVE202333958(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	subject := makeImage(t).descriptor()
	const n = maxReferrers + 10
	for i := range n {
		r := referring(t, subject, "application/x.a", fmt.Sprint("r", i))
		if i == 0 {
			f.pushBlob("a/b", []byte("{}"))
		}
		f.want(f.do("PUT", "/v2/a/b/manifests/"+r.digest.String(), r.manifest, "Content-Type", r.mediaType), 201)
	}
	seen := 0
	for next := "/v2/a/b/referrers/" + subject.Digest.String() + "?n=1000000000"; next != ""; {
		a := f.want(f.do("GET", next, nil), 200)
		got := strings.Count(string(a.body), `"artifactType"`)
		if seen += got; got > maxReferrers || got == 0 {
			t.Fatalf("a page of %d", got)
		}
		next = strings.TrimSuffix(strings.TrimPrefix(a.header.Get("Link"), "<"), `>; rel="next"`)
	}
	if seen != n {
		t.Errorf("%d referrers in all pages, want %d", seen, n)
	}
}

// The urls of a descriptor are asked by nobody, whoever pushes or pulls it.
func TestForeignLayersAreNotFetchedCVE202015157(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(target.Close)
	f := newFixture(t)
	img := makeImage(t)
	layer := image.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: digest.FromString("x"), Size: 1, URLs: []string{target.URL, "http://169.254.169.254/"}}
	m := ocispec.Manifest{MediaType: img.mediaType, Config: configOf(img), Layers: []image.Descriptor{layer}}
	m.SchemaVersion = 2
	img.encode(t, m)
	f.push("a/b", "v1", img)
	f.want(f.do("GET", "/v2/a/b/manifests/v1", nil), 200)
	f.want(f.do("GET", "/v2/a/b/blobs/"+layer.Digest.String(), nil), 404)
	if asked.Load() > 0 {
		t.Error("a url was asked")
	}
}

// A body without end is cut at what a manifest may have, before it is read.
func TestEndlessManifestCVE201711468CVE202429902(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	read := &counter{}
	req, err := http.NewRequestWithContext(t.Context(), "PUT", f.server.URL+"/v2/a/b/manifests/v1", read)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	res, err := f.server.Client().Do(req)
	if err == nil {
		res.Body.Close()
		if res.StatusCode != 413 {
			t.Errorf("status %d", res.StatusCode)
		}
	}
	if n := read.n.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

// counter is a body without end.
type counter struct{ n atomic.Int64 }

func (c *counter) Read(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// Uploads that nobody ends are bounded in number and bytes, and expire.
func TestUploadsAreBoundedCVE201711468(t *testing.T) {
	t.Parallel()
	now := time.Now()
	limit := func(c *Config) {
		c.Uploads = blobs.UploadLimits{Sessions: 3, Bytes: 10, Idle: time.Hour}
		c.Now = func() time.Time { return now }
	}
	f := newFixture(t, limit)
	var locs []string
	for range 3 {
		locs = append(locs, f.begin("a/b", ""))
	}
	if a := f.want(f.do("POST", "/v2/a/b/blobs/uploads/", nil), 429); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	f.want(f.do("PATCH", locs[0], []byte("12345678")), 202)
	f.want(f.do("PATCH", locs[1], []byte("12345678")), 429)
	f.want(f.do("DELETE", locs[0], nil), 204)
	f.want(f.do("PATCH", locs[1], []byte("12345678")), 202)
	now = now.Add(2 * time.Hour)
	f.begin("a/b", "") // takes the last place
	f.begin("a/b", "") // takes those of the expired
	f.want(f.do("GET", locs[1], nil), 404)
}

// Who sends nothing, or takes nothing, is cut.
func TestSlowClientsAreCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Stall = 50 * time.Millisecond })
	d := f.pushBlob("a/b", make([]byte, 32<<20))
	loc := f.begin("a/b", "")
	for name, request := range map[string]string{
		"a push":     "PATCH " + loc + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nsome",
		"a manifest": "PUT /v2/a/b/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
		"a pull":     "GET /v2/a/b/blobs/" + d.String() + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", f.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		awaitIdle(t, name, f)
		conn.Close()
	}
	if a := f.want(f.do("GET", loc, nil), 204); a.header.Get("Range") != "0-3" {
		t.Errorf("what came is not kept: %v", a.header)
	}
}

// awaitIdle waits until a request was seen and none is served any more.
func awaitIdle(t *testing.T, name string, f *fixture) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for began := false; ; runtime.Gosched() {
		n := len(f.registry.requests)
		began = began || n > 0
		if began && n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s goes on for ever", name)
		}
	}
}

// More requests than are served at once are turned away, but not the ping.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *Config) { c.Requests = 1 })
	f.registry.requests <- struct{}{}
	f.want(f.do("GET", "/v2/a/b/tags/list", nil), 429)
	f.want(f.do("GET", "/v2/", nil), 200)
	<-f.registry.requests
	f.want(f.do("GET", "/v2/a/b/tags/list", nil), 404)
}

// The switch that forbids deleting forbids it of tags, manifests and blobs alike.
func TestDeleteBypassCVE202641888(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.exchange.release(img, "alice/app:1", "quay.io/org/app:1")
	for _, name := range []string{"alice/app", "quay.io/org/app"} {
		for _, path := range []string{"/manifests/1", "/manifests/" + img.digest.String(), "/blobs/" + digest.FromString("layer").String()} {
			f.code(f.want(f.do("DELETE", "/v2/"+name+path, nil), 403), "DENIED")
			f.want(f.do("GET", "/v2/"+name+path, nil), 200)
		}
	}
}

// Nobody puts a manifest of theirs under the name of another.
func TestTagPoisoningCVE202650195(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img, evil := makeImage(t, "layer"), makeImage(t, "evil")
	f.exchange.release(img, "alice/app:1")
	f.push("me/app", "1", evil)
	d := digest.FromString("evil").String()
	for method, paths := range map[string][]string{
		"PUT":   {"manifests/1", "manifests/" + evil.digest.String() + "?tag=1"},
		"POST":  {"blobs/uploads/?mount=" + d + "&from=me/app", "blobs/uploads/?digest=" + d, "blobs/uploads/?mount=" + d},
		"PATCH": {"blobs/uploads/00000000-0000-4000-8000-000000000000"},
	} {
		for _, path := range paths {
			f.code(f.want(f.do(method, "/v2/alice/app/"+path, evil.manifest, "Content-Type", evil.mediaType), 403), "DENIED")
		}
	}
	if a := f.want(f.do("GET", "/v2/alice/app/manifests/1", nil), 200); string(a.body) != string(img.manifest) {
		t.Errorf("alice's image is %s", a.body)
	}
}

// A blob is read only where it was pushed or mounted, whoever knows its digest.
func TestBlobsBelongToRepositories(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := f.pushBlob("private/app", []byte("content"))
	for _, name := range []string{"public/app", "me/app", "alice/app", "quay.io/org/app"} {
		f.want(f.do("GET", "/v2/"+name+"/blobs/"+d.String(), nil), 404)
	}
	img := makeImage(t, "content")
	for layer, b := range img.blobs {
		if layer != d {
			f.pushBlob("public/app", b)
		}
	}
	f.want(f.do("PUT", "/v2/public/app/manifests/v1", img.manifest, "Content-Type", img.mediaType), 404)
}

// A document that was damaged on the disk is not answered.
func TestServedBytesAreVerifiedCVE202333959(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.push("a/b", "v1", img)
	path := filepath.Join(f.dir, "blobs", "sha256", img.digest.Encoded())
	damaged := []byte(strings.Replace(string(img.manifest), "linux", "winux", 1) + " ")[:len(img.manifest)]
	damaged[20] ^= 1
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, damaged, 0o600)); err != nil {
		t.Fatal(err)
	}
	f.want(f.do("GET", "/v2/a/b/manifests/v1", nil), 500)
}

// A request whose header is cut short or odd gets an answer or nothing.
func TestOddLengthsAndPathsCVE202121404(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, raw := range []string{
		"GET /v2/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /v2/a/b/blobs/../../../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"PATCH /v2/a/b/blobs/uploads/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
		"PATCH /v2/a/b/blobs/uploads/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"PUT /v2/a/b/manifests/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
	} {
		conn, err := net.Dial("tcp", f.server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && (res.StatusCode < 300 || res.StatusCode >= 500) {
			t.Errorf("%q: %d", raw, res.StatusCode)
		}
		conn.Close()
	}
}
