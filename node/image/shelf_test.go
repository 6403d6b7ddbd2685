package image

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// shelf is where a test makes its images; layers have no content there.
type shelf struct {
	Documents
	t         *testing.T
	algorithm digest.Algorithm
}

func newShelf(t *testing.T) *shelf {
	return &shelf{Documents{}, t, digest.SHA256}
}

// put keeps a document.
func (s *shelf) put(mediaType string, doc any) Descriptor {
	s.t.Helper()
	b, err := json.Marshal(doc)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.raw(mediaType, b)
}

func (s *shelf) raw(mediaType string, b []byte) Descriptor {
	d := s.algorithm.FromBytes(b)
	s.Documents[d] = b
	return Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(b))}
}

// layer describes a made-up layer of n bytes; one of none has the right digest.
func (s *shelf) layer(mediaType string, n int) Descriptor {
	d := Descriptor{MediaType: mediaType, Digest: s.algorithm.FromString(""), Size: int64(n)}
	if n > 0 {
		d.Digest = s.algorithm.FromString(fmt.Sprint(n))
	}
	return d
}

func (s *shelf) gzip(n int) Descriptor { return s.layer(ocispec.MediaTypeImageLayerGzip, n) }

// config makes one for a platform such as linux/amd64, with one label: its
// own name.
func (s *shelf) config(platform string) Descriptor {
	s.t.Helper()
	p, err := ParsePlatform(platform)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.put(ocispec.MediaTypeImageConfig, map[string]any{
		"os": p.OS, "architecture": p.Architecture, "variant": p.Variant, "created": "2024-05-06T07:08:09Z",
		"config": map[string]any{"Labels": map[string]string{"of": platform}},
	})
}

func (s *shelf) manifest(config Descriptor, layers ...Descriptor) Descriptor {
	s.t.Helper()
	return s.put(ociManifest, map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": layers,
		"annotations": map[string]string{"of": "manifest", "from": "manifest"},
	})
}

// image makes a manifest of one platform with one layer.
func (s *shelf) image(platform string, layer int) Descriptor {
	s.t.Helper()
	return s.manifest(s.config(platform), s.gzip(layer))
}

func (s *shelf) index(children ...Descriptor) Descriptor {
	s.t.Helper()
	return s.put(ociIndex, map[string]any{
		"schemaVersion": 2, "mediaType": ociIndex, "manifests": children, "annotations": map[string]string{"of": "index"},
	})
}

// forPlatform says in a descriptor what it is for.
func forPlatform(platform string, d Descriptor) Descriptor {
	p, err := ParsePlatform(platform)
	if err != nil {
		panic(err)
	}
	d.Platform = &p
	return d
}

// attestation makes what BuildKit adds to an index for an image.
func (s *shelf) attestation(of Descriptor) Descriptor {
	s.t.Helper()
	d := s.manifest(s.config("unknown/unknown"), s.layer("application/vnd.in-toto+json", 77))
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{
		"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of.Digest.String(),
	}
	return d
}

// without copies the shelf but for some documents.
func (s *shelf) without(gone ...Descriptor) Documents {
	docs := maps.Clone(s.Documents)
	for _, d := range gone {
		delete(docs, d.Digest)
	}
	return docs
}
