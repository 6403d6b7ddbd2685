package registry

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// Pulls of what was not pushed here: others' releases, this node's, third-party
// registries'.
func TestPull(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "0123456789")
	layer := digest.FromString("0123456789")
	f.exchange.release(img, "alice/app:1", "me/app:1", "quay.io/org/app:1", "docker.io/library/app:1")
	for _, c := range []struct {
		name, method, path string
		rng                string
		status             int
		body               string // or a part of it
	}{
		{"ping", "GET", "/v2/", "", 200, "{}"},
		{"manifest by tag", "GET", "/v2/alice/app/manifests/1", "", 200, string(img.manifest)},
		{"manifest by digest", "GET", "/v2/alice/app/manifests/" + img.digest.String(), "", 200, string(img.manifest)},
		{"manifest head", "HEAD", "/v2/alice/app/manifests/1", "", 200, ""},
		{"blob", "GET", "/v2/alice/app/blobs/" + layer.String(), "", 200, "0123456789"},
		{"blob from where it was cut", "GET", "/v2/alice/app/blobs/" + layer.String(), "bytes=4-", 206, "456789"},
		{"refused by the verdict", "GET", "/v2/alice/forged/manifests/1", "", 403, "not properly signed"},
		{"a name nobody has", "GET", "/v2/carol/app/manifests/1", "", 404, "NAME_UNKNOWN"},
		{"nobody has it", "GET", "/v2/alice/other/manifests/1", "", 404, "MANIFEST_UNKNOWN"},
		{"unknown blob", "GET", "/v2/alice/app/blobs/" + digest.FromString("x").String(), "", 404, "BLOB_UNKNOWN"},
		{"my release", "GET", "/v2/me/app/manifests/1", "", 200, string(img.manifest)},
		{"my release by my id", "GET", "/v2/" + myID + "/app/manifests/1", "", 200, string(img.manifest)},
		{"my release by digest", "GET", "/v2/me/app/manifests/" + img.digest.String(), "", 200, string(img.manifest)},
		{"blob of my release", "GET", "/v2/me/app/blobs/" + layer.String(), "", 200, "0123456789"},
		{"what I did not release", "GET", "/v2/me/app/manifests/2", "", 404, "UNKNOWN"},
		{"third party", "GET", "/v2/quay.io/org/app/manifests/1", "", 200, string(img.manifest)},
		{"third party by ns", "GET", "/v2/org/app/manifests/1?ns=quay.io", "", 200, string(img.manifest)},
		{"blob by ns", "GET", "/v2/org/app/blobs/" + layer.String() + "?ns=quay.io", "", 200, "0123456789"},
		{"ns of no registry", "GET", "/v2/org/app/manifests/1?ns=../quay.io", "", 400, "NAME_INVALID"},
		{"push to another author", "POST", "/v2/alice/app/blobs/uploads/", "", 403, "another author"},
		{"push to a third party", "POST", "/v2/quay.io/org/app/blobs/uploads/", "", 403, "registry of its own"},
		{"delete at another author", "DELETE", "/v2/alice/app/manifests/1", "", 403, "DENIED"},
		{"tags of others", "GET", "/v2/alice/app/tags/list", "", 404, "NAME_UNKNOWN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.rng != "" {
				header = []string{"Range", c.rng}
			}
			a := f.do(c.method, c.path, nil, header...)
			if a.status != c.status || !strings.Contains(string(a.body), c.body) {
				t.Errorf("%d %q, want %d %q", a.status, a.body, c.status, c.body)
			}
			if c.status == 200 && strings.Contains(c.path, "manifests") && a.header.Get("Docker-Content-Digest") != img.digest.String() {
				t.Errorf("digest header %q", a.header.Get("Docker-Content-Digest"))
			}
			if stale := a.header.Get("Warning"); (stale != "") != (c.status == 200 && strings.Contains(c.path, "quay.io") && strings.Contains(c.path, "manifests")) {
				t.Errorf("Warning: %q", stale)
			}
		})
	}
}

// A plain local repository asks nobody, whatever is missing.
func TestLocalAsksNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.exchange.release(img, "team/app:1")
	f.push("team/other", "1", img)
	for _, path := range []string{"manifests/1", "manifests/" + img.digest.String(), "blobs/" + digest.FromString("layer").String()} {
		f.want(f.do("GET", "/v2/team/app/"+path, nil), 404)
	}
	if len(f.exchange.pulled) > 0 {
		t.Errorf("pulled %q", f.exchange.pulled)
	}
}

// What a mirror is asked for is another registry's, without saying so.
func TestMirror(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := makeImage(t, "layer")
	f.exchange.release(img, "docker.io/library/app:1")
	f.push("library/app", "1", makeImage(t, "not this one"))
	f.server.Config.Handler = f.registry.Mirror("docker.io")
	f.want(f.do("GET", "/v2/", nil), 200)
	if a := f.want(f.do("GET", "/v2/library/app/manifests/1", nil), 200); string(a.body) != string(img.manifest) {
		t.Errorf("got %s", a.body)
	}
	f.want(f.do("POST", "/v2/library/app/blobs/uploads/", nil), 403)
}
