package image

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	ociManifest = ocispec.MediaTypeImageManifest
	ociIndex    = ocispec.MediaTypeImageIndex
)

// desc writes a descriptor of made-up content.
func desc(mediaType string, n int) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064x","size":%d}`, mediaType, n, n)
}

var (
	configJSON = desc(ocispec.MediaTypeImageConfig, 1)
	layerJSON  = desc(ocispec.MediaTypeImageLayerGzip, 2)
)

func TestParse(t *testing.T) {
	t.Parallel()
	empty := ocispec.DescriptorEmptyJSON
	tests := []struct {
		name, declared, body string
		want                 Document
	}{
		{"OCI manifest", ociManifest,
			`{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":` + configJSON + `,"layers":[` + layerJSON + `],"annotations":{"a":"b","A":"c"}}`,
			Document{Kind: KindManifest, MediaType: ociManifest, Config: made(ocispec.MediaTypeImageConfig, 1),
				Layers: []Descriptor{*made(ocispec.MediaTypeImageLayerGzip, 2)}, Annotations: map[string]string{"a": "b", "A": "c"}}},
		{"OCI manifest that does not say so", ociManifest,
			`{"schemaVersion":2,"config":` + configJSON + `,"layers":[]}`,
			Document{Kind: KindManifest, MediaType: ociManifest, Config: made(ocispec.MediaTypeImageConfig, 1)}},
		{"nobody says", "", ` {"schemaVersion":2,"config":` + configJSON + "}\n",
			Document{Kind: KindManifest, MediaType: ociManifest, Config: made(ocispec.MediaTypeImageConfig, 1)}},
		{"only the body says", "", `{"schemaVersion":2,"mediaType":"` + MediaTypeDockerList + `","manifests":[]}`,
			Document{Kind: KindIndex, MediaType: MediaTypeDockerList}},
		{"nobody says, index", "", `{"schemaVersion":2,"manifests":null}`, Document{Kind: KindIndex, MediaType: ociIndex}},
		{"Docker manifest", MediaTypeDockerManifest,
			`{"schemaVersion":2,"mediaType":"` + MediaTypeDockerManifest + `","config":` + desc(MediaTypeDockerConfig, 1) + `,"layers":[` + desc(MediaTypeDockerLayer, 2) + `]}`,
			Document{Kind: KindManifest, MediaType: MediaTypeDockerManifest, Config: made(MediaTypeDockerConfig, 1),
				Layers: []Descriptor{*made(MediaTypeDockerLayer, 2)}}},
		{"Docker list", MediaTypeDockerList,
			`{"schemaVersion":2,"mediaType":"` + MediaTypeDockerList + `","manifests":[` + strings.TrimSuffix(desc(MediaTypeDockerManifest, 3), "}") + `,"platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}`,
			Document{Kind: KindIndex, MediaType: MediaTypeDockerList, Manifests: []Descriptor{{
				MediaType: MediaTypeDockerManifest, Digest: made("", 3).Digest, Size: 3,
				Platform: &ocispec.Platform{Architecture: "arm", OS: "linux", Variant: "v7"}}}}},
		{"artifact with subject and unknown members", ociManifest,
			`{"schemaVersion":2,"mediaType":"` + ociManifest + `","artifactType":"application/vnd.example+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},"layers":[` + layerJSON + `],"subject":` + desc(ociIndex, 9) + `,"vendor":{"size":"big","Digest":[1,{"x":null}]}}`,
			Document{Kind: KindManifest, MediaType: ociManifest, ArtifactType: "application/vnd.example+json", Config: &empty,
				Layers: []Descriptor{*made(ocispec.MediaTypeImageLayerGzip, 2)}, Subject: made(ociIndex, 9)}},
		{"urls are kept, not followed", ociManifest,
			`{"schemaVersion":2,"config":` + configJSON + `,"layers":[` + strings.TrimSuffix(layerJSON, "}") + `,"urls":["http://169.254.169.254/"]}],"subject":null}`,
			Document{Kind: KindManifest, MediaType: ociManifest, Config: made(ocispec.MediaTypeImageConfig, 1),
				Layers: []Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: made("", 2).Digest, Size: 2, URLs: []string{"http://169.254.169.254/"}}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(tt.declared, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got, equateEmpty); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// equateEmpty takes a list without elements for none.
var equateEmpty = cmp.FilterValues(
	func(a, b []Descriptor) bool { return len(a) == 0 && len(b) == 0 },
	cmp.Comparer(func(a, b []Descriptor) bool { return true }),
)

func made(mediaType string, n int) *Descriptor {
	return &Descriptor{MediaType: mediaType, Digest: digest.Digest(fmt.Sprintf("sha256:%064x", n)), Size: int64(n)}
}

// badDocument is refused: as ambiguous, or just as bad.
type badDocument struct {
	name, declared, body string
	ambiguous            bool
}

func badDocuments() []badDocument {
	list := func(members string) string { return `{"schemaVersion":2,` + members + `}` }
	descriptor := func(d string) string { return list(`"config":` + configJSON + `,"layers":[` + d + `]`) }
	return []badDocument{
		// CVE-2021-41190: one document, two readings.
		{"manifests and layers", "", list(`"manifests":[],"layers":[]`), true},
		{"manifests and config", ociManifest, list(`"config":` + configJSON + `,"manifests":[]`), true},
		{"manifests null and config", ociManifest, list(`"config":` + configJSON + `,"manifests":null`), true},
		{"layers null in an index", ociIndex, list(`"manifests":[],"layers":null`), true},
		{"schema 1 layers", ociManifest, list(`"config":` + configJSON + `,"layers":[],"fsLayers":[]`), true},
		{"declared otherwise", ociIndex, list(`"mediaType":"` + ociManifest + `","config":` + configJSON), true},
		{"declared Docker, says OCI", MediaTypeDockerManifest, list(`"mediaType":"` + ociManifest + `","config":` + configJSON), true},
		{"declared Docker, says nothing", MediaTypeDockerManifest, list(`"config":` + configJSON), true},
		{"index with the shape of a manifest", ociIndex, list(`"config":` + configJSON + `,"layers":[]`), true},
		{"manifest with the shape of an index", ociManifest, list(`"manifests":[]`), true},
		{"says manifest, shape of an index", "", list(`"mediaType":"` + ociManifest + `","manifests":[]`), true},
		{"key twice", ociManifest, list(`"config":` + configJSON + `,"layers":[],"layers":[` + layerJSON + `]`), true},
		{"key twice, once escaped", ociManifest, list(`"config":` + configJSON + `,"layers":[],"l\u0061yers":[]`), true},
		{"mediaType twice", "", list(`"mediaType":"` + ociManifest + `","mediaType":"` + ociIndex + `","manifests":[]`), true},
		{"other case", ociManifest, list(`"config":` + configJSON + `,"layers":[],"Layers":[` + layerJSON + `]`), true},
		{"other case alone", ociIndex, list(`"Manifests":[]`), true},
		{"Kelvin sign and long s", ociManifest, list(`"config":` + configJSON + `,"layer\u017f":[]`), true},
		{"digest twice", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","digest":"sha256:` + hexA + `","size":1}`), true},
		{"Digest", ociManifest, descriptor(strings.TrimSuffix(layerJSON, "}") + `,"Digest":"sha256:` + hexA + `"}`), true},
		{"annotation twice", ociManifest, list(`"config":` + configJSON + `,"annotations":{"a":"1","a":"2"}`), true},
		{"unknown member twice", ociManifest, list(`"config":` + configJSON + `,"x":[{"y":{"z":1,"z":1}}]`), true},
		{"platform in other case", ociIndex, list(`"manifests":[` + strings.TrimSuffix(desc(ociManifest, 1), "}") + `,"platform":{"OS":"linux"}}]`), true},

		{"nothing", "", "", false},
		{"no JSON", ociManifest, "manifest", false},
		{"null", ociManifest, "null", false},
		{"array", ociManifest, "[]", false},
		{"cut short", ociManifest, `{"schemaVersion":2,"config":`, false},
		{"two values", ociManifest, list(`"config":`+configJSON) + "{}", false},
		{"trailing garbage", ociManifest, list(`"config":`+configJSON) + "\x00", false},
		{"comma", ociManifest, list(`"config":` + configJSON + `,`), false},
		{"not UTF-8", ociManifest, list(`"config":` + configJSON + `,"annotations":{"a":"` + "\xff" + `"}`), false},
		{"byte order mark", ociManifest, "\ufeff" + list(`"config":`+configJSON), false},
		{"deep", ociManifest, list(`"config":` + configJSON + `,"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), false},
		{"schema version 1", ociManifest, `{"schemaVersion":1,"config":` + configJSON + `}`, false},
		{"schema version missing", ociManifest, `{"config":` + configJSON + `}`, false},
		{"schema version text", ociManifest, `{"schemaVersion":"2","config":` + configJSON + `}`, false},
		{"no members", "", `{"schemaVersion":2}`, false},
		{"config missing", ociManifest, list(`"layers":[]`), false},
		{"config null", ociManifest, list(`"config":null,"layers":[]`), false},
		{"layers an object", ociManifest, list(`"config":` + configJSON + `,"layers":{}`), false},
		{"unknown media type", "application/json", list(`"config":` + configJSON), false},
		{"says an unknown media type", "", list(`"mediaType":"application/vnd.oci.artifact.manifest.v1+json","config":` + configJSON), false},
		{"artifact type", ociManifest, list(`"artifactType":"\u001b[31m","config":` + configJSON), false},
		{"annotation a number", ociManifest, list(`"annotations":{"a":1},"config":` + configJSON), false},

		// CVE-2024-3727: a digest that is a path.
		{"digest a path", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:../../x","size":1}`), false},
		{"digest upper case", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + strings.ToUpper(hexA) + `","size":1}`), false},
		{"digest short", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA[1:] + `","size":1}`), false},
		{"digest unknown", ociManifest, descriptor(`{"mediaType":"a/b","digest":"md5:` + hexA[:32] + `","size":1}`), false},
		{"digest missing", ociManifest, descriptor(`{"mediaType":"a/b","size":1}`), false},
		{"size missing", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `"}`), false},
		{"size null", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":null}`), false},
		{"size negative", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":-1}`), false},
		{"size 2^63", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":9223372036854775808}`), false},
		{"size 2^63-1", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":9223372036854775807}`), false},
		{"size a fraction", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":1.5}`), false},
		{"size 0 of something", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":0}`), false},
		{"size 1 of nothing", ociManifest, descriptor(`{"mediaType":"a/b","digest":"` + string(digest.FromString("")) + `","size":1}`), false},
		{"media type missing", ociManifest, descriptor(`{"digest":"sha256:` + hexA + `","size":1}`), false},
		{"media type with a line feed", ociManifest, descriptor(`{"mediaType":"a/b\n","digest":"sha256:` + hexA + `","size":1}`), false},
		{"embedded data differs", ociManifest, descriptor(`{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":2,"data":"e30="}`), false},
		{"layer null", ociManifest, descriptor(`null`), false},
		{"layer a string", ociManifest, descriptor(`"x"`), false},
		{"subject bad", ociManifest, list(`"config":` + configJSON + `,"subject":{}`), false},
	}
}

func TestParseBad(t *testing.T) {
	t.Parallel()
	for _, tt := range badDocuments() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			doc, err := Parse(tt.declared, []byte(tt.body))
			if !errors.Is(err, ErrBadManifest) || errors.Is(err, ErrAmbiguous) != tt.ambiguous {
				t.Fatalf("Parse: %+v, %v", doc, err)
			}
			if len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("unprintable error %.300q", err)
			}
		})
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	if _, err := Parse(ociIndex, make([]byte, MaxManifest+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("document above the limit: %v", err)
	}
	children := func(n int) []byte {
		return []byte(`{"schemaVersion":2,"manifests":[` + strings.TrimSuffix(strings.Repeat(desc(ociManifest, 1)+",", n), ",") + `]}`)
	}
	doc, err := Parse(ociIndex, children(MaxChildren))
	if err != nil || len(doc.Manifests) != MaxChildren {
		t.Errorf("as many children as allowed: %v", err)
	}
	if _, err := Parse(ociIndex, children(MaxChildren+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one child too many: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, d := range badDocuments() {
		if len(d.body) < 10_000 {
			f.Add(d.declared, []byte(d.body))
		}
	}
	f.Add(ociManifest, []byte(`{"schemaVersion":2,"config":`+configJSON+`,"layers":[`+layerJSON+`]}`))
	f.Add("", []byte(`{"schemaVersion":2,"mediaType":"`+MediaTypeDockerList+`","manifests":[`+desc(MediaTypeDockerManifest, 5)+`]}`))
	f.Fuzz(func(t *testing.T, mediaType string, b []byte) {
		doc, err := Parse(mediaType, b)
		if err != nil {
			if !errors.Is(err, ErrBadManifest) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("error %v", err)
			}
			return
		}
		if mediaType != "" && doc.MediaType != mediaType {
			t.Errorf("declared %q, parsed %q", mediaType, doc.MediaType)
		}
		index := IsIndex(doc.MediaType)
		if index == IsManifest(doc.MediaType) || index != (doc.Kind == KindIndex) || index != (doc.Config == nil) ||
			index && doc.Layers != nil || !index && doc.Manifests != nil {
			t.Errorf("ambiguous: %+v", doc)
		}
		for _, d := range append(doc.Layers, doc.Manifests...) {
			if err := CheckDescriptor(d); err != nil {
				t.Errorf("accepted %+v: %v", d, err)
			}
		}
	})
}
