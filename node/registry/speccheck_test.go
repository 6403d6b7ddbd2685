package registry

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// checkReferrers pushes manifests that refer to one that is here, and to one that
// is not.
func (f *fixture) checkReferrers() {
	img := makeImage(f.t, "layer")
	f.referrers("/v2/no/such/referrers/"+img.digest.String(), "")
	f.push("a/b", "v1", img)
	missing := &image.Descriptor{MediaType: img.mediaType, Digest: digest.FromString("missing"), Size: 123}
	for _, subject := range []*image.Descriptor{img.descriptor(), missing} {
		typed, plain := referring(f.t, subject, "application/x.a", "hello"), referring(f.t, subject, "", "hi")
		index := indexOf(f.t)
		index.encode(f.t, ocispec.Index{Versioned: index.index.Versioned, MediaType: index.mediaType, Manifests: []image.Descriptor{}, Subject: subject, Annotations: map[string]string{"x": "index"}})
		want := []testImage{typed, plain, index}
		for _, m := range want {
			f.push("a/b", m.digest.String(), m)
		}
		path := "/v2/a/b/referrers/" + subject.Digest.String()
		f.referrers(path, "", want...)
		a := f.referrers(path+"?artifactType="+url.QueryEscape("application/x.a"), "application/x.a", typed)
		if a.header.Get("OCI-Filters-Applied") != "artifactType" {
			f.t.Errorf("OCI-Filters-Applied %v", a.header)
		}
		f.referrers(path+"?artifactType="+url.QueryEscape(ocispec.MediaTypeEmptyJSON), ocispec.MediaTypeEmptyJSON, plain)
		f.referrers(path+"?artifactType=no/such", "")
		f.want(f.do("DELETE", "/v2/a/b/manifests/"+typed.digest.String(), nil), 202)
		f.referrers(path, "", plain, index)
	}
	f.want(f.do("DELETE", "/v2/a/b/manifests/"+img.digest.String(), nil), 202)
	if a := f.want(f.do("GET", "/v2/a/b/referrers/"+img.digest.String(), nil), 200); strings.Count(string(a.body), "digest") != 2 {
		f.t.Errorf("referrers of what was deleted: %s", a.body)
	}
}

// referrers wants a list of exactly those.
func (f *fixture) referrers(path, artifactType string, want ...testImage) answer {
	f.t.Helper()
	a := f.want(f.do("GET", path, nil), 200)
	var got ocispec.Index
	if err := json.Unmarshal(a.body, &got); err != nil {
		f.t.Fatal(err)
	}
	if got.SchemaVersion != 2 || got.MediaType != ocispec.MediaTypeImageIndex || a.header.Get("Content-Type") != ocispec.MediaTypeImageIndex || got.Manifests == nil {
		f.t.Errorf("no index: %s %v", a.body, a.header)
	}
	if len(got.Manifests) != len(want) {
		f.t.Fatalf("%s: %d referrers, want %d: %s", path, len(got.Manifests), len(want), a.body)
	}
	for _, w := range want {
		i := slices.IndexFunc(got.Manifests, func(d image.Descriptor) bool { return d.Digest == w.digest })
		if i < 0 {
			f.t.Fatalf("%s is missing: %s", w.digest, a.body)
		}
		d := got.Manifests[i]
		if d.Size != int64(len(w.manifest)) || d.MediaType != w.mediaType || artifactType != "" && d.ArtifactType != artifactType || d.Annotations["x"] == "" {
			f.t.Errorf("described as %+v", d)
		}
	}
	return a
}

// begin begins an upload.
func (f *fixture) begin(repo, query string) string {
	f.t.Helper()
	a := f.want(f.do("POST", "/v2/"+repo+"/blobs/uploads/?"+query, nil), 202)
	if a.location() == "" || a.header.Get("Range") == "" {
		f.t.Fatalf("%v", a.header)
	}
	return a.location()
}

// pushed wants an answer to be that of a push, and the blob where it says.
func (f *fixture) pushed(a answer, content string, alg digest.Algorithm) {
	f.t.Helper()
	f.want(a, 201)
	d := alg.FromString(content)
	if a.header.Get("Docker-Content-Digest") != d.String() {
		f.t.Errorf("%v", a.header)
	}
	f.content(f.do("GET", a.location(), nil), "GET", content, d)
}

// content wants an answer to give some, as the specification says.
func (f *fixture) content(a answer, method, content string, d digest.Digest) {
	f.t.Helper()
	f.want(a, 200)
	if a.header.Get("Docker-Content-Digest") != d.String() || a.header.Get("Content-Length") != strconv.Itoa(len(content)) {
		f.t.Errorf("%s: %v", method, a.header)
	}
	if body := string(a.body); method == "GET" && body != content || method == "HEAD" && body != "" {
		f.t.Errorf("%s: %d bytes", method, len(body))
	}
}

func (f *fixture) tags(path string, want []string) answer {
	f.t.Helper()
	a := f.want(f.do("GET", path, nil), 200)
	var got struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil || got.Name != "a/b" || got.Tags == nil {
		f.t.Fatalf("%s: %v", a.body, err)
	}
	if fmt.Sprint(got.Tags) != fmt.Sprint(want) {
		f.t.Errorf("%s: %q, want %q", path, got.Tags, want)
	}
	return a
}

// code wants the specification's form of a refusal.
func (f *fixture) code(a answer, code string) {
	f.t.Helper()
	var got struct {
		Errors []struct{ Code, Message string } `json:"errors"`
	}
	if err := json.Unmarshal(a.body, &got); err != nil || len(got.Errors) != 1 || got.Errors[0].Code != code || got.Errors[0].Message == "" {
		f.t.Errorf("%s (%v), want %s", a.body, err, code)
	}
}

func (img testImage) descriptor() *image.Descriptor {
	return &image.Descriptor{MediaType: img.mediaType, Digest: img.digest, Size: int64(len(img.manifest))}
}

// configOf is the descriptor of an image's config.
func configOf(img testImage) image.Descriptor {
	var m ocispec.Manifest
	_ = json.Unmarshal(img.manifest, &m)
	return m.Config
}

// indexOf makes an index.
func indexOf(t testing.TB, manifests ...*image.Descriptor) testImage {
	t.Helper()
	img := testImage{mediaType: ocispec.MediaTypeImageIndex}
	img.index = ocispec.Index{MediaType: img.mediaType, Manifests: []image.Descriptor{}}
	img.index.SchemaVersion = 2
	for _, m := range manifests {
		img.index.Manifests = append(img.index.Manifests, *m)
	}
	img.encode(t, img.index)
	return img
}

// referring makes an artifact that refers to a subject.
func referring(t testing.TB, subject *image.Descriptor, artifactType, annotation string) testImage {
	t.Helper()
	img := testImage{mediaType: ocispec.MediaTypeImageManifest, blobs: map[digest.Digest][]byte{digest.FromString("{}"): []byte("{}")}}
	empty := ocispec.DescriptorEmptyJSON
	empty.Data = nil
	m := ocispec.Manifest{MediaType: img.mediaType, ArtifactType: artifactType, Config: empty, Layers: []image.Descriptor{empty}, Subject: subject}
	m.SchemaVersion = 2
	if annotation != "" {
		m.Annotations = map[string]string{"x": annotation}
	}
	img.encode(t, m)
	return img
}
