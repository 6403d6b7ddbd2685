package registry

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

// Whatever a client asks for, nothing outside of the blobs is given, nothing
// fails, and a refusal has the form of the specification.
func FuzzRequest(f *testing.F) {
	x := newFixture(f)
	const secret = "secret"
	if err := os.WriteFile(filepath.Join(x.dir, "peer.key"), []byte(secret), 0o600); err != nil {
		f.Fatal(err)
	}
	img := makeImage(f, "layer")
	x.push("team/app", "1", img)
	x.exchange.release(img, "alice/app:1")
	d := img.digest.String()
	for _, path := range []string{
		"/v2/", "/v2/_catalog?n=1", "/v2/alice/app/manifests/1", "/v2/team/app/manifests/" + d, "/v2/team/app/blobs/sha256:../../peer.key",
		"/v2/alice/a//b/blobs/sha256:..%2fpeer.key", "/v2/team/app/tags/list?n=5&last=a", "/v2/team/app/referrers/" + d + "?artifactType=x",
		"/v2/team/app/blobs/uploads/", "/v2/team/app/blobs/uploads/?mount=" + d + "&from=a", "/v2/team/app/blobs/uploads/?digest=" + d,
		"/v2/team/app/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=" + d, "/v2/a/manifests/1?ns=quay.io",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"} {
			f.Add(method, path, "bytes=4-,1-2", "0-3", "application/json", []byte("body"))
		}
	}
	f.Add("PUT", "/v2/team/app/manifests/2?tag=a&tag=b", "", "", img.mediaType, img.manifest)
	h := x.registry.Handler()
	f.Fuzz(func(t *testing.T, method, target, ranges, contentRange, contentType string, body []byte) {
		if !strings.HasPrefix(target, "/") {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Range", ranges)
		req.Header.Set("Content-Range", contentRange)
		req.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if strings.Contains(w.Body.String(), secret) {
			t.Fatalf("%s %q gives a file that is no blob", method, target)
		}
		isV2 := strings.HasPrefix(req.URL.Path, "/v2/") && w.Header().Get("Docker-Distribution-Api-Version") != ""
		if w.Code >= 500 || isV2 && w.Code >= 400 && w.Code != http.StatusRequestedRangeNotSatisfiable && method != "HEAD" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %q: %d %q", method, target, w.Code, w.Body)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"/v2/a/b/manifests/1", "/v2/blobs/uploads/blobs/uploads/", "0-1023", "bytes 0-1/2", "sha256:" + strings.Repeat("a", 64), "n=5&last=x",
		"me/app", "quay.io:443/a", "99999999999999999999-1", "1.0", "sha512", "1048576 1795737600",
	} {
		f.Add(s)
	}
	r := newFixture(f).registry
	f.Fuzz(func(t *testing.T, s string) {
		if verb, name, last, ok := parsePath(s); ok && (verb == "" || strings.Contains(last, "/")) {
			t.Errorf("path %q: %q %q %q", s, verb, name, last)
		}
		if first, last, err := parseContentRange(s); err == nil && (first < 0 || last < first) {
			t.Errorf("range %q: %d-%d", s, first, last)
		}
		if d, err := parseDigest(s); err == nil && (d.String() != s || image.CheckDigest(d) != nil || strings.ContainsAny(s, "/\\")) {
			t.Errorf("digest %q", s)
		}
		if ref, err := parseReference(s); err == nil && (ref.String() != s || (ref.tag == "") == (ref.digest == "")) {
			t.Errorf("reference %q: %v", s, ref)
		}
		if size, at, err := parseLink([]byte(s)); err == nil && !at.IsZero() {
			if again, then, err := parseLink(encodeLink(size, at)); err != nil || again != size || !then.Equal(at) {
				t.Errorf("link %q: %d at %s, then %d at %s (%v)", s, size, at, again, then, err)
			}
		}
		if a, err := parseAlgorithm(s); err == nil && a != digest.SHA256 && a != digest.SHA512 {
			t.Errorf("algorithm %q", s)
		}
		if repo, err := r.parseRepository(s); err == nil && (strings.Contains(repo.name, "..") && strings.Contains(repo.name, "/../") || len(repo.asked) > maxName || repo.name == "") {
			t.Errorf("name %q: %v", s, repo)
		}
		q, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		if p, err := parsePage(q, 100); err == nil && (p.n < 0 || p.n > 100 || len(p.last) > maxName) {
			t.Errorf("page %q: %v", s, p)
		}
	})
}
