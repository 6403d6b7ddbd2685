package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// differences are where we answer otherwise than olareg, and why. The key is the
// step; what differs is "status" or a header.
var differences = map[string]map[string]string{
	"tags of a repository that is not there": {"status": "end-8: 404 is what the specification has for it; olareg makes none of that"},
	"referrers of a repository that is not there": {
		"Content-Length": "as the body",
		"body":           "an image index has a list of manifests, and null is none",
	},
	"begin":                         {"Range": "distribution says 0-0 of an empty upload, which docker is used to"},
	"begin for pieces":              {"Range": "as begin"},
	"begin for another digest":      {"Range": "as begin"},
	"begin to cancel":               {"Range": "as begin"},
	"mount of what is not there":    {"Range": "as begin"},
	"cancel":                        {"status": "end-14: 204, in 1.2-dev"},
	"status of what was cancelled":  {"status": "end-13: 404"},
	"manifest without its blobs":    {"status": "end-7: 404, with MANIFEST_BLOB_UNKNOWN as olareg's 400"},
	"manifest with a foreign layer": {"status": "the specification lets such layers be absent; olareg wants them"},
	"manifest of another type":      {"status": "CVE-2021-41190: the type of the body is the one it was sent as"},
	"manifest that is two things":   {"status": "CVE-2021-41190: refused under any type; olareg takes the body at its word"},
	"get by a bad digest":           {"status": "what is no digest cannot be asked for; 400 or 404 will do"},
	"referrers of a bad digest":     {"status": "end-12: 400 where the digest is none"},
}

// compared are the headers that should be the same.
var compared = []string{
	"Content-Type", "Content-Length", "Content-Range", "Docker-Content-Digest", "Range", "OCI-Subject", "OCI-Filters-Applied", "Link",
}

// step is a request to both. {loc} in the path is the last upload's location.
type step struct {
	name, method, path string
	body               []byte
	header             []string
}

func steps(t *testing.T) []step {
	img := makeImage(t, "0123456789")
	layer, config := digest.FromString("0123456789"), configOf(img).Digest
	configBytes := img.blobs[config]
	octet := []string{"Content-Type", "application/octet-stream"}
	as := func(m testImage) []string { return []string{"Content-Type", m.mediaType} }
	referrer := referring(t, img.descriptor(), "application/x.a", "hello")
	foreign := makeImage(t)
	m := ocispec.Manifest{MediaType: img.mediaType, Config: configOf(img), Layers: []image.Descriptor{{MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar", Digest: digest.FromString("f"), Size: 1}}}
	m.SchemaVersion = 2
	foreign.encode(t, m)
	index := indexOf(t, img.descriptor())
	two := []byte(strings.TrimSuffix(string(img.manifest), "}") + `,"manifests":[]}`)
	missing := makeImage(t, "not pushed")
	unknown := digest.FromString("unknown").String()
	repo := "/v2/team/app/"
	return []step{
		{"ping", "GET", "/v2/", nil, nil},
		{"tags of a repository that is not there", "GET", "/v2/no/such/tags/list", nil, nil},
		{"referrers of a repository that is not there", "GET", "/v2/no/such/referrers/" + unknown, nil, nil},
		{"manifest of a repository that is not there", "GET", "/v2/no/such/manifests/v1", nil, nil},
		{"begin", "POST", repo + "blobs/uploads/", nil, nil},
		{"put", "PUT", "{loc}?digest=" + layer.String(), []byte("0123456789"), octet},
		{"begin for pieces", "POST", repo + "blobs/uploads/", nil, nil},
		{"a piece out of order", "PATCH", "{loc}", configBytes[5:], append([]string{"Content-Range", fmt.Sprintf("5-%d", len(configBytes)-1)}, octet...)},
		{"first piece", "PATCH", "{loc}", configBytes[:5], append([]string{"Content-Range", "0-4"}, octet...)},
		{"status", "GET", "{loc}", nil, nil},
		{"second piece", "PATCH", "{loc}", configBytes[5:], append([]string{"Content-Range", fmt.Sprintf("5-%d", len(configBytes)-1)}, octet...)},
		{"end of pieces", "PUT", "{loc}?digest=" + config.String(), nil, octet},
		{"begin for another digest", "POST", repo + "blobs/uploads/", nil, nil},
		{"put under another digest", "PUT", "{loc}?digest=" + unknown, []byte("0123456789"), octet},
		{"begin to cancel", "POST", repo + "blobs/uploads/", nil, nil},
		{"cancel", "DELETE", "{loc}", nil, nil},
		{"status of what was cancelled", "GET", "{loc}", nil, nil},
		{"whole", "POST", repo + "blobs/uploads/?digest=" + digest.SHA512.FromString("x").String(), []byte("x"), octet},
		{"whole under another digest", "POST", repo + "blobs/uploads/?digest=" + unknown, []byte("x"), octet},
		{"blob", "GET", repo + "blobs/" + layer.String(), nil, nil},
		{"blob's head", "HEAD", repo + "blobs/" + layer.String(), nil, nil},
		{"blob of sha512", "GET", repo + "blobs/" + digest.SHA512.FromString("x").String(), nil, nil},
		{"range", "GET", repo + "blobs/" + layer.String(), nil, []string{"Range", "bytes=2-4"}},
		{"range from the end", "GET", repo + "blobs/" + layer.String(), nil, []string{"Range", "bytes=-4"}},
		{"range beyond", "GET", repo + "blobs/" + layer.String(), nil, []string{"Range", "bytes=20-30"}},
		{"unknown blob", "GET", repo + "blobs/" + unknown, nil, nil},
		{"a digest that is none", "GET", repo + "blobs/sha256:x", nil, nil},
		{"mount", "POST", "/v2/team/other/blobs/uploads/?mount=" + layer.String() + "&from=team/app", nil, nil},
		{"mount of what is not there", "POST", "/v2/team/other/blobs/uploads/?mount=" + unknown + "&from=team/app", nil, nil},
		{"manifest", "PUT", repo + "manifests/v1", img.manifest, as(img)},
		{"manifest by digest", "PUT", repo + "manifests/" + img.digest.String(), img.manifest, as(img)},
		{"manifest under another digest", "PUT", repo + "manifests/" + unknown, img.manifest, as(img)},
		{"manifest without its blobs", "PUT", repo + "manifests/v2", missing.manifest, as(missing)},
		{"manifest with a foreign layer", "PUT", repo + "manifests/foreign", foreign.manifest, as(foreign)},
		{"manifest of another type", "PUT", repo + "manifests/another", img.manifest, as(index)},
		{"manifest that is two things", "PUT", repo + "manifests/another", two, as(img)},
		{"manifest that is no JSON", "PUT", repo + "manifests/another", []byte("<html>"), as(img)},
		{"index", "PUT", repo + "manifests/index", index.manifest, as(index)},
		{"empty blob of a referrer", "POST", repo + "blobs/uploads/?digest=" + digest.FromString("{}").String(), []byte("{}"), octet},
		{"referrer", "PUT", repo + "manifests/" + referrer.digest.String(), referrer.manifest, as(referrer)},
		{"get by tag", "GET", repo + "manifests/v1", nil, []string{"Accept", img.mediaType}},
		{"head by digest", "HEAD", repo + "manifests/" + img.digest.String(), nil, []string{"Accept", img.mediaType}},
		{"get the index", "GET", repo + "manifests/index", nil, []string{"Accept", index.mediaType}},
		{"get by a bad digest", "GET", repo + "manifests/sha256:baddigeststring", nil, nil},
		{"referrers", "GET", repo + "referrers/" + img.digest.String(), nil, nil},
		{"referrers of a type", "GET", repo + "referrers/" + img.digest.String() + "?artifactType=application/x.b", nil, nil},
		{"referrers of a bad digest", "GET", repo + "referrers/x", nil, nil},
		{"tag again", "PUT", repo + "manifests/v3", img.manifest, as(img)},
		{"tags", "GET", repo + "tags/list?last=foreign", nil, nil},
		{"delete a tag", "DELETE", repo + "manifests/v3", nil, nil},
		{"get a deleted tag", "GET", repo + "manifests/v3", nil, nil},
		{"delete a tag again", "DELETE", repo + "manifests/v3", nil, nil},
		{"delete a manifest", "DELETE", repo + "manifests/" + img.digest.String(), nil, nil},
		{"get a deleted manifest", "GET", repo + "manifests/" + img.digest.String(), nil, nil},
		{"get a tag of a deleted manifest", "GET", repo + "manifests/v1", nil, nil},
		{"delete a blob", "DELETE", repo + "blobs/" + layer.String(), nil, nil},
		{"get a deleted blob", "GET", repo + "blobs/" + layer.String(), nil, nil},
		{"delete a blob again", "DELETE", repo + "blobs/" + layer.String(), nil, nil},
	}
}

// TestAsOlaregDoes sends the same requests to us and to olareg, whose author wrote
// the conformance tests.
func TestAsOlaregDoes(t *testing.T) {
	t.Parallel()
	on := true
	var conf config.Config
	conf.Storage.StoreType = config.StoreMem
	conf.API.DeleteEnabled, conf.API.Blob.DeleteEnabled = &on, &on
	theirs := httptest.NewServer(olareg.New(conf))
	t.Cleanup(theirs.Close)
	f := newFixture(t)
	var locs [2]string
	met := map[string]bool{}
	for _, s := range steps(t) {
		var answers [2]answer
		for i, url := range []string{f.server.URL, theirs.URL} {
			path := strings.Replace(s.path, "{loc}", locs[i], 1)
			if strings.Count(path, "?") > 1 { // theirs has a query of its own
				path = replaceLast(path, "?", "&")
			}
			if !strings.HasPrefix(path, "http") {
				path = url + path
			}
			answers[i] = send(t, http.DefaultClient, s.method, path, s.body, s.header...)
			if loc := answers[i].location(); loc != "" && strings.Contains(loc, "/uploads/") {
				locs[i] = loc
			}
		}
		compare(t, s, answers[0], answers[1], met)
	}
	for name, what := range differences {
		for key := range what {
			if !met[name+" "+key] {
				t.Errorf("%s: %s does not differ any more", name, key)
			}
		}
	}
}

func replaceLast(s, old, with string) string {
	i := strings.LastIndex(s, old)
	return s[:i] + with + s[i+len(old):]
}

func compare(t *testing.T, s step, ours, theirs answer, met map[string]bool) {
	t.Helper()
	differs := func(key string, a, b any) {
		if fmt.Sprint(a) == fmt.Sprint(b) {
			return
		}
		met[s.name+" "+key] = true
		if differences[s.name][key] == "" {
			t.Errorf("%s: %s: we %v, olareg %v (%s; %s)", s.name, key, a, b, ours.body, theirs.body)
		}
	}
	differs("status", ours.status, theirs.status)
	if ours.status != theirs.status || ours.status >= 400 {
		return // refusals are worded otherwise
	}
	for _, h := range compared {
		if h == "Docker-Content-Digest" && theirs.header.Get(h) == "" {
			continue // 1.2-dev demands it everywhere
		}
		differs(h, ours.header.Get(h), theirs.header.Get(h))
	}
	if s.method == "GET" && s.name != "ping" && strings.TrimSpace(string(ours.body)) != strings.TrimSpace(string(theirs.body)) {
		differs("body", string(ours.body), string(theirs.body))
	}
}
