package registry

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// requirements are what the distribution specification demands, by endpoint.
var requirements = []struct {
	endpoint, requirement string
	check                 func(f *fixture)
}{
	{"end-1", "GET /v2/ is 200", func(f *fixture) {
		if a := f.want(f.do("GET", "/v2/", nil), 200); a.header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
			f.t.Errorf("version header %q", a.header)
		}
	}},
	{"end-2", "GET and HEAD of a blob give it, its length and digest", func(f *fixture) {
		d := f.pushBlob("a/b", []byte("content"))
		for _, method := range []string{"GET", "HEAD"} {
			f.content(f.do(method, "/v2/a/b/blobs/"+d.String(), nil), method, "content", d)
		}
	}},
	{"end-2", "a blob that is not there is 404", func(f *fixture) {
		f.want(f.do("GET", "/v2/a/b/blobs/"+digest.FromString("x").String(), nil), 404)
		f.want(f.do("HEAD", "/v2/a/b/blobs/"+digest.FromString("x").String(), nil), 404)
	}},
	{"end-2", "ranges of a blob, and 416 beyond it", func(f *fixture) {
		d := f.pushBlob("a/b", []byte("0123456789"))
		for rng, want := range map[string]string{"2-4": "234", "5-": "56789", "-3": "789", "8-20": "89"} {
			a := f.want(f.do("GET", "/v2/a/b/blobs/"+d.String(), nil, "Range", "bytes="+rng), 206)
			if string(a.body) != want || a.header.Get("Docker-Content-Digest") != d.String() || !strings.HasSuffix(a.header.Get("Content-Range"), "/10") {
				f.t.Errorf("range %s: %q %v", rng, a.body, a.header)
			}
		}
		for _, rng := range []string{"5-2", "10-20", "x"} {
			f.want(f.do("GET", "/v2/a/b/blobs/"+d.String(), nil, "Range", "bytes="+rng), 416)
		}
	}},
	{"end-3", "a manifest by tag and digest, as it was pushed", func(f *fixture) {
		img := makeImage(f.t, "layer")
		f.push("a/b", "v1", img)
		for _, ref := range []string{"v1", img.digest.String()} {
			for _, method := range []string{"GET", "HEAD"} {
				a := f.do(method, "/v2/a/b/manifests/"+ref, nil)
				f.content(a, method, string(img.manifest), img.digest)
				if a.header.Get("Content-Type") != img.mediaType {
					f.t.Errorf("Content-Type %q", a.header.Get("Content-Type"))
				}
			}
		}
		f.want(f.do("GET", "/v2/a/b/manifests/v1", nil, "If-None-Match", `"`+img.digest.String()+`"`), 304)
	}},
	{"end-3", "a manifest or repository that is not there is 404", func(f *fixture) {
		f.want(f.do("GET", "/v2/no/such/manifests/v1", nil), 404)
		f.push("a/b", "v1", makeImage(f.t))
		f.want(f.do("GET", "/v2/a/b/manifests/v2", nil), 404)
		f.want(f.do("GET", "/v2/a/b/manifests/"+digest.FromString("x").String(), nil), 404)
	}},
	{"end-4a", "POST begins an upload at a location with a UUID, POST and PUT push a blob", func(f *fixture) {
		loc := f.begin("a/b", "")
		if !regexp.MustCompile(`/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(loc) {
			f.t.Errorf("no UUID in %s", loc)
		}
		f.pushed(f.do("PUT", loc+"?digest="+digest.FromString("content").String(), []byte("content")), "content", digest.SHA256)
	}},
	{"end-4b", "POST with a digest pushes a blob", func(f *fixture) {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			f.pushed(f.do("POST", "/v2/a/b/blobs/uploads/?digest="+alg.FromString("content").String(), []byte("content")), "content", alg)
		}
	}},
	{"end-4b", "an empty blob", func(f *fixture) {
		f.pushed(f.do("POST", "/v2/a/b/blobs/uploads/?digest="+digest.FromString("").String(), nil), "", digest.SHA256)
	}},
	{"end-5", "PATCH in pieces, with and without Content-Range; PUT ends it", func(f *fixture) {
		for _, last := range []string{"", "89"} {
			loc := f.begin("a/b", "")
			a := f.want(f.do("PATCH", loc, []byte("0123"), "Content-Range", "0-3"), 202)
			if a.header.Get("Range") != "0-3" || a.location() == "" {
				f.t.Errorf("%v", a.header)
			}
			a = f.want(f.do("PATCH", a.location(), []byte("4567")), 202)
			if a.header.Get("Range") != "0-7" {
				f.t.Errorf("%v", a.header)
			}
			content := "01234567" + last
			var header []string
			if last != "" {
				header = []string{"Content-Range", "8-9"}
			}
			f.pushed(f.do("PUT", a.location()+"?digest="+digest.FromString(content).String(), []byte(last), header...), content, digest.SHA256)
		}
	}},
	{"end-5", "a piece out of order is 416, and the status tells where it goes on", func(f *fixture) {
		loc := f.begin("a/b", "")
		f.want(f.do("PATCH", loc, []byte("4567"), "Content-Range", "4-7"), 416)
		f.want(f.do("PATCH", loc, []byte("0123"), "Content-Range", "0-3"), 202)
		for _, at := range []string{"0-3", "8-11"} {
			if a := f.want(f.do("PATCH", loc, []byte("89ab"), "Content-Range", at), 416); a.header.Get("Range") != "0-3" || a.location() == "" {
				f.t.Errorf("%v", a.header)
			}
			f.want(f.do("PUT", loc+"?digest="+digest.FromString("01234567").String(), []byte("89ab"), "Content-Range", at), 416)
		}
		if a := f.want(f.do("GET", loc, nil), 204); a.header.Get("Range") != "0-3" || a.location() != loc {
			f.t.Errorf("%v", a.header)
		}
		f.want(f.do("PATCH", loc, []byte("4567"), "Content-Range", "4-7"), 202)
		f.pushed(f.do("PUT", loc+"?digest="+digest.FromString("01234567").String(), nil), "01234567", digest.SHA256)
	}},
	{"end-5", "digest-algorithm says what is expected, and any digest may come", func(f *fixture) {
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			for _, expected := range []string{"", "sha256", "sha512"} {
				loc := f.begin("a/b", "digest-algorithm="+expected)
				f.want(f.do("PATCH", loc, []byte("content")), 202)
				f.pushed(f.do("PUT", loc+"?digest="+alg.FromString("content").String(), nil), "content", alg)
			}
		}
		f.want(f.do("POST", "/v2/a/b/blobs/uploads/?digest-algorithm=md5", nil), 400)
	}},
	{"end-6", "content that is not what its digest says is 400", func(f *fixture) {
		d := digest.FromString("other").String()
		f.want(f.do("POST", "/v2/a/b/blobs/uploads/?digest="+d, []byte("content")), 400)
		f.want(f.do("PUT", f.begin("a/b", "")+"?digest="+d, []byte("content")), 400)
		loc := f.begin("a/b", "")
		f.want(f.do("PATCH", loc, []byte("content")), 202)
		f.want(f.do("PUT", loc+"?digest="+d, nil), 400)
		f.want(f.do("PUT", loc+"?digest=nonsense", nil), 400)
		f.want(f.do("GET", "/v2/a/b/blobs/"+d, nil), 404)
	}},
	{"end-7", "a manifest that refers to what is not there", func(f *fixture) {
		img := makeImage(f.t, "layer")
		a := f.want(f.do("PUT", "/v2/a/b/manifests/v1", img.manifest, "Content-Type", img.mediaType), 404)
		f.code(a, "MANIFEST_BLOB_UNKNOWN")
		f.want(f.do("GET", "/v2/a/b/manifests/v1", nil), 404)
	}},
	{"end-7", "a manifest under another digest is 400", func(f *fixture) {
		img := makeImage(f.t)
		f.push("a/b", "v1", img)
		f.want(f.do("PUT", "/v2/a/b/manifests/"+digest.FromString("x").String(), img.manifest, "Content-Type", img.mediaType), 400)
		f.want(f.do("PUT", "/v2/a/b/manifests/sha256:baddigeststring", img.manifest, "Content-Type", img.mediaType), 400)
	}},
	{"end-7", "location, digest and OCI-Subject of a push", func(f *fixture) {
		img := makeImage(f.t)
		for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := alg.FromBytes(img.manifest)
			ref := d.String()
			if alg == digest.SHA256 {
				ref = "v1"
			}
			a := f.push("a/b", ref, img)
			if a.header.Get("Docker-Content-Digest") != d.String() || a.header.Get("OCI-Subject") != "" {
				f.t.Errorf("%v", a.header)
			}
			f.content(f.do("GET", a.location(), nil), "GET", string(img.manifest), d)
		}
		referrer := referring(f.t, img.descriptor(), "application/x.a", "")
		if a := f.push("a/b", referrer.digest.String(), referrer); a.header.Get("OCI-Subject") != img.digest.String() {
			f.t.Errorf("OCI-Subject %v", a.header)
		}
	}},
	{"end-7", "?tag= tags what is pushed by digest", func(f *fixture) {
		img := makeImage(f.t)
		a := f.push("a/b", img.digest.String()+"?tag=x&tag=y", img)
		if d := cmp.Diff([]string{"x", "y"}, a.header.Values("OCI-Tag")); d != "" {
			f.t.Error(d)
		}
		f.content(f.do("GET", "/v2/a/b/manifests/y", nil), "GET", string(img.manifest), img.digest)
		f.want(f.do("PUT", "/v2/a/b/manifests/"+img.digest.String()+"?tag=ok&tag=..", img.manifest, "Content-Type", img.mediaType), 400)
		f.want(f.do("GET", "/v2/a/b/manifests/ok", nil), 404)
		f.want(f.do("PUT", "/v2/a/b/manifests/"+img.digest.String()+"?tag=a"+strings.Repeat("&tag=a", maxTags), img.manifest, "Content-Type", img.mediaType), 414)
	}},
	{"end-7", "manifests of 4 MiB are taken, larger ones are 413", func(f *fixture) {
		img := makeImage(f.t)
		pad := func(n int) testImage {
			m := ocispec.Manifest{MediaType: img.mediaType, Config: configOf(img), Layers: []image.Descriptor{}, Annotations: map[string]string{"a": ""}}
			m.SchemaVersion = 2
			img.encode(f.t, m)
			m.Annotations["a"] = strings.Repeat("A", n-len(img.manifest))
			img.encode(f.t, m)
			return img
		}
		big := pad(image.MaxManifest)
		f.push("a/b", "big", big)
		f.content(f.do("GET", "/v2/a/b/manifests/big", nil), "GET", string(big.manifest), big.digest)
		big = pad(image.MaxManifest + 1)
		f.want(f.do("PUT", "/v2/a/b/manifests/bigger", big.manifest, "Content-Type", big.mediaType), 413)
	}},
	{"end-7", "layers that may not be distributed need not be there", func(f *fixture) {
		img := makeImage(f.t)
		m := ocispec.Manifest{MediaType: img.mediaType, Config: configOf(img), Layers: []image.Descriptor{{
			MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Digest: digest.FromString("x"), Size: 1,
			URLs: []string{f.server.URL + "/v2/_catalog"},
		}}}
		m.SchemaVersion = 2
		img.encode(f.t, m)
		f.push("a/b", "v1", img)
	}},
	{"end-7", "indexes of indexes, artifacts and empty ones", func(f *fixture) {
		img := makeImage(f.t, "layer")
		f.push("a/b", img.digest.String(), img)
		inner := indexOf(f.t, img.descriptor())
		f.want(f.do("PUT", "/v2/a/b/manifests/early", indexOf(f.t, inner.descriptor()).manifest, "Content-Type", inner.mediaType), 404)
		f.push("a/b", inner.digest.String(), inner)
		f.push("a/b", "outer", indexOf(f.t, inner.descriptor()))
		f.push("a/b", "empty", indexOf(f.t))
		f.push("a/b", "artifact", referring(f.t, nil, "application/x.a", ""))
	}},
	{"end-8", "tags are sorted, in pages, and a repository without any has an empty list", func(f *fixture) {
		f.want(f.do("GET", "/v2/a/b/tags/list", nil), 404)
		img := makeImage(f.t)
		f.push("a/b", img.digest.String(), img)
		f.tags("/v2/a/b/tags/list", nil)
		for _, tag := range []string{"v2", "latest", "V1", "v10", "_x"} {
			f.push("a/b", tag, img)
		}
		f.push("a/b/c", "not-this", img)
		f.tags("/v2/a/b/tags/list", []string{"V1", "_x", "latest", "v10", "v2"})
		a := f.tags("/v2/a/b/tags/list?n=2", []string{"V1", "_x"})
		next, ok := strings.CutSuffix(strings.TrimPrefix(a.header.Get("Link"), "<"), `>; rel="next"`)
		if !ok {
			f.t.Fatalf("Link %q", a.header.Get("Link"))
		}
		f.tags(next, []string{"latest", "v10"})
		for path, want := range map[string][]string{"n=2&last=v10": {"v2"}, "last=_x": {"latest", "v10", "v2"}, "n=0": nil, "last=zzz": nil, "n=5": {"V1", "_x", "latest", "v10", "v2"}} {
			if a := f.tags("/v2/a/b/tags/list?"+path, want); a.header.Get("Link") != "" {
				f.t.Errorf("%s: Link %q", path, a.header.Get("Link"))
			}
		}
		f.want(f.do("GET", "/v2/a/b/tags/list?n=x", nil), 400)
		f.want(f.do("GET", "/v2/a/b/tags/list?n=-1", nil), 400)
	}},
	{"end-9", "a deleted tag is gone at once; the manifest and other tags stay", func(f *fixture) {
		img := makeImage(f.t)
		f.push("a/b", "v1", img)
		f.push("a/b", "v2", img)
		f.want(f.do("DELETE", "/v2/a/b/manifests/v1", nil), 202)
		f.want(f.do("GET", "/v2/a/b/manifests/v1", nil), 404)
		f.want(f.do("GET", "/v2/a/b/manifests/v2", nil), 200)
		f.want(f.do("DELETE", "/v2/a/b/manifests/v1", nil), 404)
		f.tags("/v2/a/b/tags/list", []string{"v2"})
	}},
	{"end-9", "a deleted manifest is gone at once, with its tags", func(f *fixture) {
		img := makeImage(f.t)
		f.push("a/b", "v1", img)
		other := f.push("a/b", "v2", makeImage(f.t, "other"))
		f.want(f.do("DELETE", "/v2/a/b/manifests/"+img.digest.String(), nil), 202)
		for _, ref := range []string{"v1", img.digest.String()} {
			f.want(f.do("GET", "/v2/a/b/manifests/"+ref, nil), 404)
			f.want(f.do("HEAD", "/v2/a/b/manifests/"+ref, nil), 404)
		}
		f.want(f.do("GET", other.location(), nil), 200)
		f.want(f.do("DELETE", "/v2/a/b/manifests/"+img.digest.String(), nil), 404)
		f.want(f.do("DELETE", "/v2/no/such/manifests/v1", nil), 404)
		f.push("a/b", "v1", img)
		f.want(f.do("GET", "/v2/a/b/manifests/v1", nil), 200)
	}},
	{"end-10", "a deleted blob is gone at once, in this repository alone", func(f *fixture) {
		d := f.pushBlob("a/b", []byte("content"))
		f.pushBlob("c/d", []byte("content"))
		f.want(f.do("DELETE", "/v2/a/b/blobs/"+d.String(), nil), 202)
		f.want(f.do("HEAD", "/v2/a/b/blobs/"+d.String(), nil), 404)
		f.want(f.do("GET", "/v2/c/d/blobs/"+d.String(), nil), 200)
		f.want(f.do("DELETE", "/v2/a/b/blobs/"+d.String(), nil), 404)
	}},
	{"end-11", "mounting from a repository, from any, and from where it is not", func(f *fixture) {
		d := f.pushBlob("a/b", []byte("content"))
		f.pushed(f.do("POST", "/v2/c/d/blobs/uploads/?mount="+d.String()+"&from=a/b", nil), "content", digest.SHA256)
		f.pushed(f.do("POST", "/v2/e/f/blobs/uploads/?mount="+d.String(), nil), "content", digest.SHA256)
		for _, q := range []string{"mount=" + d.String() + "&from=no/such", "mount=" + digest.FromString("x").String(), "mount=" + digest.FromString("x").String() + "&from=a/b"} {
			if a := f.want(f.do("POST", "/v2/g/h/blobs/uploads/?"+q, nil), 202); a.location() == "" {
				f.t.Error("no location")
			}
		}
		f.want(f.do("POST", "/v2/g/h/blobs/uploads/?mount=nonsense", nil), 400)
	}},
	{"end-12", "referrers of what is here, of what is not, and of nothing", func(f *fixture) { f.checkReferrers() }},
	{"end-13", "the status of an upload that is not there is 404", func(f *fixture) {
		loc := f.begin("a/b", "")
		f.want(f.do("GET", strings.Replace(loc, "/a/b/", "/c/d/", 1), nil), 404)
		f.want(f.do("GET", "/v2/a/b/blobs/uploads/nonsense", nil), 404)
		f.want(f.do("PATCH", "/v2/a/b/blobs/uploads/nonsense", []byte("x")), 404)
		f.want(f.do("PUT", "/v2/a/b/blobs/uploads/nonsense?digest="+digest.FromString("x").String(), []byte("x")), 404)
	}},
	{"end-14", "a cancelled upload is gone", func(f *fixture) {
		loc := f.begin("a/b", "")
		f.want(f.do("PATCH", loc, []byte("content")), 202)
		f.want(f.do("DELETE", loc, nil), 204)
		f.want(f.do("DELETE", loc, nil), 404)
		f.want(f.do("GET", loc, nil), 404)
		if n, bytes := f.registry.uploads.Usage(); n != 0 || bytes != 0 {
			f.t.Errorf("%d uploads of %d bytes are left", n, bytes)
		}
	}},
	{"_catalog", "repositories are listed in pages", func(f *fixture) {
		for _, name := range []string{"b", "a/c", "a", "me/x"} {
			f.push(name, "v1", makeImage(f.t))
		}
		a := f.want(f.do("GET", "/v2/_catalog?n=3", nil), 200)
		if string(a.body) != `{"repositories":["a","a/c","b"]}` || !strings.Contains(a.header.Get("Link"), "last=b") {
			f.t.Errorf("%s %v", a.body, a.header)
		}
		if a := f.want(f.do("GET", "/v2/_catalog?n=3&last=b", nil), 200); string(a.body) != `{"repositories":["me/x"]}` || a.header.Get("Link") != "" {
			f.t.Errorf("%s %v", a.body, a.header)
		}
	}},
	{"errors", "refusals have codes, and methods that are not there say which are", func(f *fixture) {
		f.code(f.want(f.do("GET", "/v2/A/manifests/1", nil), 400), "NAME_INVALID")
		f.code(f.want(f.do("GET", "/v2/a/manifests/-x", nil), 400), "TAG_INVALID")
		f.code(f.want(f.do("GET", "/v2/a/blobs/x", nil), 400), "DIGEST_INVALID")
		f.code(f.want(f.do("GET", "/v2/a/referrers/x", nil), 400), "DIGEST_INVALID")
		f.code(f.want(f.do("GET", "/v2/a/nothing/x", nil), 404), "UNSUPPORTED")
		if a := f.want(f.do("POST", "/v2/a/manifests/x", nil), 405); a.header.Get("Allow") != "DELETE, GET, HEAD, PUT" {
			f.t.Errorf("Allow %q", a.header.Get("Allow"))
		}
	}},
}

func TestSpecification(t *testing.T) {
	t.Parallel()
	for _, r := range requirements {
		t.Run(r.endpoint+" "+r.requirement, func(t *testing.T) {
			t.Parallel()
			r.check(newFixture(t))
		})
	}
}
