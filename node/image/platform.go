package image

import (
	"fmt"
	"regexp"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const maxPlatform = 3*32 + 2

var platformGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,31}$`)

// ParsePlatform parses os/arch[/variant], taking the usual other names of
// architectures (x86_64, aarch64, armhf…) for what they mean.
func ParsePlatform(s string) (ocispec.Platform, error) {
	bad := func() (ocispec.Platform, error) {
		return ocispec.Platform{}, fmt.Errorf("%w: %q is not os/arch[/variant]", ErrNoPlatform, clip(s))
	}
	if len(s) > maxPlatform {
		return bad()
	}
	parts := strings.Split(strings.ToLower(s), "/")
	if len(parts) != 2 && len(parts) != 3 {
		return bad()
	}
	for _, part := range parts {
		if !platformGrammar.MatchString(part) {
			return bad()
		}
	}
	p := ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normalize(p), nil
}

// FormatPlatform writes a platform as os/arch[/variant].
func FormatPlatform(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// normalize gives each platform one spelling, as containerd's platforms
// package does: arm64/v8 is arm64, arm is arm/v7, amd64/v1 is amd64.
func normalize(p ocispec.Platform) ocispec.Platform {
	p.OS, p.Architecture, p.Variant = strings.ToLower(p.OS), strings.ToLower(p.Architecture), strings.ToLower(p.Variant)
	if p.OS == "macos" {
		p.OS = "darwin"
	}
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "i386", "i486", "i586", "i686":
		p.Architecture = "386"
	case "aarch64":
		p.Architecture = "arm64"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	switch p.Architecture + "/" + p.Variant {
	case "arm64/v8", "arm64/8", "amd64/v1":
		p.Variant = ""
	case "arm/", "arm/7":
		p.Variant = "v7"
	case "arm/5", "arm/6", "arm/8":
		p.Variant = "v" + p.Variant
	}
	return p
}

// isPlatform reports whether a stranger's platform is one to show and to keep.
func isPlatform(p ocispec.Platform) bool {
	p = normalize(p)
	return platformGrammar.MatchString(p.OS) && platformGrammar.MatchString(p.Architecture) &&
		(p.Variant == "" || platformGrammar.MatchString(p.Variant))
}

// exact is the score of a platform that is just the one wanted.
const exact = 100

// suits tells how well an image for one platform serves who wants another: 0
// not at all, more is better. A machine runs the lower variants of its own.
func suits(have, want ocispec.Platform) int {
	have, want = normalize(have), normalize(want)
	if have.OS != want.OS || have.Architecture != want.Architecture {
		return 0
	}
	if want.OSVersion != "" && have.OSVersion != want.OSVersion {
		return 0
	}
	if have.Variant == want.Variant {
		return exact
	}
	h, w := level(have), level(want)
	if h == 0 || w == 0 || h > w {
		return 0
	}
	return h
}

// level orders the variants of an architecture; 0 is a variant unknown to it.
func level(p ocispec.Platform) int {
	v := p.Variant
	if v == "" {
		v = map[string]string{"arm64": "v8", "amd64": "v1"}[p.Architecture]
	}
	if len(v) == 2 && v[0] == 'v' && v[1] >= '1' && v[1] <= '9' {
		return int(v[1] - '0')
	}
	return 0
}

// isAttestation recognises BuildKit's provenance and SBOM manifests, which sit
// in an index beside the images they speak of.
func isAttestation(d Descriptor) bool {
	if d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
		return true
	}
	return d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}
