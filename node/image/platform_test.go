package image

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestParsePlatform(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"linux/amd64": "linux/amd64", "Linux/x86_64": "linux/amd64", "linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3",
		"linux/aarch64": "linux/arm64", "linux/arm64/v8": "linux/arm64", "linux/arm64/v9": "linux/arm64/v9",
		"linux/arm": "linux/arm/v7", "linux/armhf": "linux/arm/v7", "linux/armel": "linux/arm/v6", "linux/arm/6": "linux/arm/v6",
		"linux/i386": "linux/386", "macos/arm64": "darwin/arm64", "windows/amd64": "windows/amd64", "wasi/wasm": "wasi/wasm",
		"linux/riscv64": "linux/riscv64", "linux/ppc64le": "linux/ppc64le",
	} {
		p, err := ParsePlatform(in)
		if err != nil || FormatPlatform(p) != want {
			t.Errorf("ParsePlatform(%q) = %s, %v, want %s", in, FormatPlatform(p), err, want)
		}
	}
	for _, in := range badPlatforms {
		if p, err := ParsePlatform(in); !errors.Is(err, ErrNoPlatform) || len(err.Error()) > 500 {
			t.Errorf("ParsePlatform(%.100q) = %+v, %v", in, p, err)
		}
	}
}

var badPlatforms = []string{
	"", "/", "linux", "linux/", "/amd64", "linux//v7", "linux/arm/", "linux/arm/v7/x", "linux/amd 64", "linux/\x1b[2J",
	"lin\nux/amd64", "linux/" + strings.Repeat("a", 1<<20), "linux/amd64\n",
}

func FuzzParsePlatform(f *testing.F) {
	for _, s := range append([]string{"linux/amd64", "linux/arm/v7", "windows/x86_64", "LINUX/armhf"}, badPlatforms...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlatform(s)
		if err != nil {
			return
		}
		again, err := ParsePlatform(FormatPlatform(p))
		if diff := cmp.Diff(p, again); err != nil || diff != "" {
			t.Errorf("%q parses as %+v, again %v\n%s", s, p, err, diff)
		}
		if !isPlatform(p) || suits(p, p) != exact {
			t.Errorf("%q parses as %+v, which does not suit itself", s, p)
		}
	})
}

func TestSelect(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	amd64, v3 := s.image("linux/amd64", 1), s.image("linux/amd64/v3", 2)
	arm5, arm6, arm64 := s.image("linux/arm/v5", 3), s.image("linux/arm/v6", 4), s.image("linux/arm64", 5)
	windows, undeclared := s.image("windows/amd64", 6), s.image("linux/s390x", 7)
	old, recent := windows, s.image("windows/amd64", 8)
	old.Platform = &ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.17763.1"}
	recent.Platform = &ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1"}
	arm64v8 := arm64
	arm64v8.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	root := s.index(
		s.attestation(amd64), forPlatform("linux/arm/v5", arm5), forPlatform("linux/amd64/v3", v3), forPlatform("linux/arm/v6", arm6),
		s.index(forPlatform("linux/amd64", amd64), arm64v8), undeclared, old, recent, s.gzip(99),
	)
	artifact := s.manifest(s.put(ocispec.MediaTypeEmptyJSON, map[string]any{}))
	tests := []struct {
		name     string
		root     Descriptor
		platform ocispec.Platform
		want     *Descriptor // nil: none
	}{
		{"exact in a nested index", root, platform("linux/amd64"), &amd64},
		{"spelled otherwise", root, ocispec.Platform{OS: "linux", Architecture: "x86_64"}, &amd64},
		{"variant", root, platform("linux/amd64/v3"), &v3},
		{"higher variant", root, platform("linux/amd64/v4"), &v3},
		{"arm: the closest lower one", root, platform("linux/arm/v7"), &arm6},
		{"arm: none low enough", root, platform("linux/arm/v4"), nil},
		{"arm64 is arm64/v8", root, platform("linux/arm64"), &arm64},
		{"arm64/v9 runs v8", root, platform("linux/arm64/v9"), &arm64},
		{"unknown variant", root, platform("linux/arm64/gracious"), nil},
		{"told by the config alone", root, platform("linux/s390x"), &undeclared},
		{"OS version", root, *recent.Platform, &recent},
		{"any OS version", root, platform("windows/amd64"), &old},
		{"not there", root, platform("plan9/amd64"), nil},
		{"attestations are not for choice", root, platform("unknown/unknown"), nil},
		{"any", root, ocispec.Platform{}, &arm5},
		{"a manifest that suits", amd64, platform("linux/amd64"), &amd64},
		{"a manifest that does not", amd64, platform("linux/arm64"), nil},
		{"a manifest, any", amd64, ocispec.Platform{}, &amd64},
		{"an artifact", artifact, platform("linux/amd64"), nil},
		{"an artifact, any", artifact, ocispec.Platform{}, &artifact},
		{"empty index, any", s.index(), ocispec.Platform{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Select(t.Context(), tt.root, tt.platform, s.Get)
			if tt.want == nil {
				if !errors.Is(err, ErrNoPlatform) {
					t.Errorf("Select: %v, %v", got.Digest, err)
				}
				return
			}
			if err != nil || got.Digest != tt.want.Digest {
				t.Errorf("Select: %s, %v, want %s", got.Digest, err, tt.want.Digest)
			}
		})
	}
	if _, err := Select(t.Context(), root, platform("plan9/amd64"), s.Get); err == nil || !strings.Contains(err.Error(), "linux/arm/v5") {
		t.Errorf("error does not name what there is: %v", err)
	}
}

func platform(s string) ocispec.Platform { return *forPlatform(s, Descriptor{}).Platform }

// Choosing one platform does not read the documents of the others.
func TestSelectReads(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	root := s.index(forPlatform("linux/arm64", s.image("linux/arm64", 1)), forPlatform("linux/amd64", s.image("linux/amd64", 2)))
	var reads []digest.Digest
	_, err := Select(t.Context(), root, platform("linux/amd64"), func(ctx context.Context, d Descriptor) ([]byte, error) {
		reads = append(reads, d.Digest)
		return s.Get(ctx, d)
	})
	if err != nil || !slices.Equal(reads, []digest.Digest{root.Digest}) {
		t.Errorf("Select read %q, %v", reads, err)
	}
}
