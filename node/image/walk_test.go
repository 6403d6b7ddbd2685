package image

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// walked is what a test expects of a walk; Blobs as "role size" lines.
type walked struct {
	Blobs     []Descriptor
	Roles     string // first letters
	Platforms string
	Label     string // of
	Annotated string // of
}

func summary(img *Image) walked {
	w := walked{Label: img.Labels["of"], Annotated: img.Annotations["of"]}
	for _, b := range img.Blobs {
		w.Blobs = append(w.Blobs, Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size})
		w.Roles += string(b.Role[0])
	}
	for _, p := range img.Platforms {
		w.Platforms += " " + FormatPlatform(p)
	}
	return w
}

func plain(ds ...Descriptor) []Descriptor {
	for i, d := range ds {
		ds[i] = Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
	}
	return ds
}

func TestWalk(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(s *shelf) (root Descriptor, want walked)
	}{
		{"one manifest", func(s *shelf) (Descriptor, walked) {
			c, l1, l2 := s.config("linux/amd64"), s.gzip(10), s.layer(ocispec.MediaTypeImageLayerZstd, 20)
			m := s.manifest(c, l1, l2)
			return m, walked{plain(m, c, l1, l2), "mcll", " linux/amd64", "linux/amd64", "manifest"}
		}},
		{"index of platforms", func(s *shelf) (Descriptor, walked) {
			ca, cb, shared, own := s.config("linux/arm/v7"), s.config("linux/amd64"), s.gzip(10), s.gzip(20)
			a, b := s.manifest(ca, shared), s.manifest(cb, shared, own)
			i := s.index(forPlatform("linux/arm/v7", a), b)
			return i, walked{plain(i, a, ca, shared, b, cb, own), "imclmcl", " linux/arm/v7 linux/amd64", "linux/arm/v7", "index"}
		}},
		{"nested index with attestations", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/arm64"), s.gzip(10)
			m := s.manifest(c, l)
			at := s.attestation(m)
			inner := s.index(m)
			i := s.index(at, inner)
			atConfig, atLayer := s.config("unknown/unknown"), s.layer("application/vnd.in-toto+json", 77)
			return i, walked{plain(i, at, atConfig, atLayer, inner, m, c, l), "imclimcl", " linux/arm64", "linux/arm64", "index"}
		}},
		{"one layer twice", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/amd64"), s.gzip(10)
			m := s.manifest(c, l, s.gzip(20), l, l)
			return m, walked{plain(m, c, l, s.gzip(20)), "mcll", " linux/amd64", "linux/amd64", "manifest"}
		}},
		{"empty layer", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/amd64"), s.layer(ocispec.MediaTypeImageLayer, 0)
			m := s.manifest(c, l)
			return m, walked{plain(m, c, l), "mcl", " linux/amd64", "linux/amd64", "manifest"}
		}},
		{"no layers", func(s *shelf) (Descriptor, walked) {
			c := s.config("linux/amd64")
			m := s.manifest(c)
			return m, walked{plain(m, c), "mc", " linux/amd64", "linux/amd64", "manifest"}
		}},
		{"no manifests", func(s *shelf) (Descriptor, walked) {
			i := s.index()
			return i, walked{plain(i), "i", "", "", "index"}
		}},
		{"foreign layers", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("windows/amd64"), s.gzip(10)
			foreign := s.layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", 1000)
			foreign.URLs = []string{"http://127.0.0.1/"}
			m := s.manifest(c, foreign, l, s.layer("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", 1001))
			return m, walked{plain(m, c, l), "mcl", " windows/amd64", "windows/amd64", "manifest"}
		}},
		{"Docker list", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/amd64"), s.layer(MediaTypeDockerLayer, 10)
			c.MediaType = MediaTypeDockerConfig
			m := s.put(MediaTypeDockerManifest, map[string]any{
				"schemaVersion": 2, "mediaType": MediaTypeDockerManifest, "config": c, "layers": []Descriptor{l}})
			i := s.put(MediaTypeDockerList, map[string]any{
				"schemaVersion": 2, "mediaType": MediaTypeDockerList, "manifests": []Descriptor{forPlatform("linux/amd64", m)}})
			return i, walked{plain(i, m, c, l), "imcl", " linux/amd64", "linux/amd64", ""}
		}},
		{"artifact with subject", func(s *shelf) (Descriptor, walked) {
			subject := s.image("linux/amd64", 5)
			c, l := s.put(ocispec.MediaTypeEmptyJSON, map[string]any{}), s.layer("text/plain", 10)
			m := s.put(ociManifest, map[string]any{
				"schemaVersion": 2, "mediaType": ociManifest, "artifactType": "application/vnd.example", "config": c,
				"layers": []Descriptor{l}, "subject": subject})
			return m, walked{plain(m, c, l), "mcl", "", "", ""}
		}},
		{"artifact whose config is no image's", func(s *shelf) (Descriptor, walked) {
			c := s.layer("application/vnd.cncf.helm.config.v1+json", 5<<20)
			m := s.manifest(c, s.gzip(10))
			return m, walked{plain(m, c, s.gzip(10)), "mcl", "", "", "manifest"}
		}},
		{"build cache: layers in an index", func(s *shelf) (Descriptor, walked) {
			l, c := s.gzip(10), s.layer("application/vnd.buildkit.cacheconfig.v0", 9)
			i := s.index(l, c)
			return i, walked{plain(i, l, c), "ill", "", "", "index"}
		}},
		{"manifest first named as a layer", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/amd64"), s.gzip(10)
			m := s.manifest(c, l)
			opaque := m
			opaque.MediaType = "application/octet-stream"
			i := s.index(opaque, m)
			return i, walked{plain(i, opaque, c, l), "ilcl", " linux/amd64", "linux/amd64", "index"}
		}},
		{"one manifest for two platforms, and its index twice", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/amd64"), s.gzip(10)
			m := s.manifest(c, l)
			inner := s.index(forPlatform("linux/arm64/v8", m), forPlatform("linux/amd64", m), forPlatform("linux/arm64", m))
			i := s.index(inner, inner)
			return i, walked{plain(i, inner, m, c, l), "iimcl", " linux/arm64 linux/amd64", "linux/amd64", "index"}
		}},
		{"a stranger's platform", func(s *shelf) (Descriptor, walked) {
			c, l := s.config("linux/amd64"), s.gzip(10)
			m := s.manifest(c, l)
			m.Platform = &ocispec.Platform{OS: "linux\x1b[2J", Architecture: "amd64"}
			i := s.index(m)
			return i, walked{plain(i, m, c, l), "imcl", "", "linux/amd64", "index"}
		}},
		{"200 layers", func(s *shelf) (Descriptor, walked) {
			c := s.config("linux/amd64")
			var layers []Descriptor
			for n := range 200 {
				layers = append(layers, s.gzip(100+n))
			}
			m := s.manifest(c, layers...)
			return m, walked{plain(append([]Descriptor{m, c}, layers...)...), "mc" + strings.Repeat("l", 200), " linux/amd64", "linux/amd64", "manifest"}
		}},
	}
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		for _, tt := range tests {
			t.Run(alg.String()+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				s := newShelf(t)
				s.algorithm = alg
				root, want := tt.make(s)
				img, err := Walk(t.Context(), root, s.Get)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, summary(img)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if img.Layers() != strings.Count(want.Roles, "l") || img.Root.Digest != root.Digest {
					t.Errorf("%d layers, root %s", img.Layers(), img.Root.Digest)
				}
				for _, b := range img.Blobs {
					if b.URLs != nil || b.Data != nil {
						t.Errorf("blob with urls or data: %+v", b)
					}
				}
			})
		}
	}
}

func TestWalkDescribes(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	img, err := Walk(t.Context(), s.index(s.image("linux/amd64", 10), s.image("linux/arm64", 20)), s.Get)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"of": "index", "from": "manifest"}, img.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	if img.Created == nil || img.Created.Unix() != 1714979289 {
		t.Errorf("created %v", img.Created)
	}
}

func TestWalkBad(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(s *shelf) (Descriptor, Documents)
		want error
	}{
		{"manifest missing", func(s *shelf) (Descriptor, Documents) {
			m := s.image("linux/amd64", 1)
			return s.index(m), s.without(m)
		}, ErrNotFound},
		{"config missing", func(s *shelf) (Descriptor, Documents) {
			c := s.config("linux/amd64")
			return s.manifest(c), s.without(c)
		}, ErrNotFound},
		{"other content", func(s *shelf) (Descriptor, Documents) {
			m, other := s.image("linux/amd64", 11), s.image("linux/amd64", 22)
			s.Documents[m.Digest] = s.Documents[other.Digest]
			return m, s.Documents
		}, ErrBadManifest},
		{"longer content", func(s *shelf) (Descriptor, Documents) {
			m := s.image("linux/amd64", 11)
			s.Documents[m.Digest] = append(s.Documents[m.Digest], ' ')
			return m, s.Documents
		}, ErrBadManifest},
		{"root a layer", func(s *shelf) (Descriptor, Documents) { return s.gzip(1), s.Documents }, ErrBadManifest},
		{"root of no digest", func(s *shelf) (Descriptor, Documents) {
			return Descriptor{MediaType: ociManifest, Digest: "sha256:../../x", Size: 1}, s.Documents
		}, ErrBadManifest},
		{"manifest called index", func(s *shelf) (Descriptor, Documents) {
			m := s.image("linux/amd64", 1)
			m.MediaType = ociIndex
			return s.index(m), s.Documents
		}, ErrAmbiguous},
		{"one digest, two sizes", func(s *shelf) (Descriptor, Documents) {
			a, b := s.gzip(10), s.gzip(10)
			b.Size++
			return s.manifest(s.config("linux/amd64"), a, b), s.Documents
		}, ErrBadManifest},
		{"one manifest, two sizes", func(s *shelf) (Descriptor, Documents) {
			m := s.image("linux/amd64", 1)
			other := m
			other.Size++
			return s.index(m, other), s.Documents
		}, ErrBadManifest},
		{"config no JSON", func(s *shelf) (Descriptor, Documents) {
			return s.manifest(s.raw(ocispec.MediaTypeImageConfig, []byte("config"))), s.Documents
		}, ErrBadManifest},
		{"config with labels twice", func(s *shelf) (Descriptor, Documents) {
			return s.manifest(s.raw(ocispec.MediaTypeImageConfig, []byte(`{"config":{"Labels":{"a":"1","a":"2"}}}`))), s.Documents
		}, ErrAmbiguous},
		{"config with labels in two cases", func(s *shelf) (Descriptor, Documents) {
			return s.manifest(s.raw(ocispec.MediaTypeImageConfig, []byte(`{"config":{"Labels":{},"labels":{"a":"2"}}}`))), s.Documents
		}, ErrAmbiguous},
		{"config of a wrong type", func(s *shelf) (Descriptor, Documents) {
			return s.manifest(s.raw(ocispec.MediaTypeImageConfig, []byte(`{"config":[]}`))), s.Documents
		}, ErrBadManifest},
		{"document above the limit", func(s *shelf) (Descriptor, Documents) {
			return s.index(Descriptor{MediaType: ociManifest, Digest: s.gzip(1).Digest, Size: MaxManifest + 1}), s.Documents
		}, ErrTooLarge},
		{"nested too deep", func(s *shelf) (Descriptor, Documents) {
			d := s.image("linux/amd64", 1)
			for range MaxDepth {
				d = s.index(d)
			}
			return d, s.Documents
		}, ErrTooLarge},
		{"too many bytes", func(s *shelf) (Descriptor, Documents) {
			var layers []Descriptor
			for n := range 3 {
				l := s.gzip(n + 1)
				l.Size = MaxSize / 2
				layers = append(layers, l)
			}
			return s.manifest(s.config("linux/amd64"), layers...), s.Documents
		}, ErrTooLarge},
		{"too many blobs", func(s *shelf) (Descriptor, Documents) {
			var manifests []Descriptor
			for m := range 3 {
				var layers []Descriptor
				for n := range 8_000 {
					layers = append(layers, s.gzip(8_000*m+n+10))
				}
				manifests = append(manifests, s.manifest(s.config("linux/amd64"), layers...))
			}
			return s.index(manifests...), s.Documents
		}, ErrTooLarge},
		{"too many bytes of documents", func(s *shelf) (Descriptor, Documents) {
			var manifests []Descriptor
			c := s.config("linux/amd64")
			for n := range 20 {
				manifests = append(manifests, s.put(ociManifest, map[string]any{
					"schemaVersion": 2, "mediaType": ociManifest, "config": c,
					"annotations": map[string]string{fmt.Sprint(n): strings.Repeat("x", MaxManifest-1000)}}))
			}
			return s.index(manifests...), s.Documents
		}, ErrTooLarge},
	}
	for _, tt := range tests {
		if testing.Short() && strings.HasPrefix(tt.name, "too many") {
			continue // megabytes of JSON; slow under the race detector
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, docs := tt.make(newShelf(t))
			img, err := Walk(t.Context(), root, docs.Get)
			if !errors.Is(err, tt.want) {
				t.Errorf("Walk: %+v, %v, want %v", img, err, tt.want)
			}
		})
	}
}

// As deep as allowed still works.
func TestWalkDeep(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	d := s.image("linux/amd64", 1)
	for range MaxDepth - 1 {
		d = s.index(d)
	}
	img, err := Walk(t.Context(), d, s.Get)
	if err != nil || len(img.Blobs) != MaxDepth+2 {
		t.Errorf("Walk: %v", err)
	}
	if _, err := Select(t.Context(), d, ocispec.Platform{OS: "linux", Architecture: "amd64"}, s.Get); err != nil {
		t.Error(err)
	}
}

// Indexes that list each other's children many times are read once each.
func TestWalkReadsOnce(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	d := s.image("linux/amd64", 1)
	for range MaxDepth - 1 {
		children := make([]Descriptor, 1000)
		for i := range children {
			children[i] = d
		}
		d = s.index(children...)
	}
	reads := 0
	count := func(ctx context.Context, d Descriptor) ([]byte, error) { reads++; return s.Get(ctx, d) }
	if _, err := Walk(t.Context(), d, count); err != nil || reads != MaxDepth+1 {
		t.Errorf("Walk: %d reads, %v", reads, err)
	}
	reads = 0
	if _, err := Select(t.Context(), d, ocispec.Platform{OS: "plan9", Architecture: "amd64"}, count); !errors.Is(err, ErrNoPlatform) || reads > 2*MaxDepth {
		t.Errorf("Select: %d reads, %v", reads, err)
	}
}

func TestWalkCancelled(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Walk(ctx, s.image("linux/amd64", 1), s.Get); !errors.Is(err, context.Canceled) {
		t.Errorf("Walk: %v", err)
	}
}
