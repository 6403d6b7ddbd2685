package image

import (
	"context"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxNamed bounds how many platforms the error of Select names.
const maxNamed = 16

// Select finds the manifest for a platform from a root that is a manifest or
// a (nested) index. Of several the closest variant is taken, then the first.
// A zero platform takes the first image, whatever it is for. Manifests whose
// descriptors already tell that they are for another platform are not read.
// The error wraps [ErrNoPlatform] and names what there is instead.
func Select(ctx context.Context, root Descriptor, p ocispec.Platform, get Getter) (Descriptor, error) {
	s := selection{
		reader: reader{get: get},
		want:   p,
		any:    p.OS == "" && p.Architecture == "",
		seen:   map[candidate]bool{},
	}
	if err := s.consider(ctx, root, 1); err != nil {
		return Descriptor{}, fmt.Errorf("selecting %s of %s: %w", s.wanted(), root.Digest, err)
	}
	if s.score == 0 {
		return Descriptor{}, fmt.Errorf("%w: %s has no %s, only %q", ErrNoPlatform, root.Digest, s.wanted(), s.have)
	}
	return s.best, nil
}

type selection struct {
	reader
	want  ocispec.Platform
	any   bool
	best  Descriptor
	score int
	have  []string
	seen  map[candidate]bool
}

// candidate is a document as an index offers it; one that is offered again
// the same way needs no second look.
type candidate struct {
	visit
	platform string
}

func (s *selection) wanted() string {
	if s.any {
		return "image"
	}
	return FormatPlatform(s.want)
}

func (s *selection) consider(ctx context.Context, d Descriptor, depth int) error {
	c := candidate{visit: visit{d.Digest, d.MediaType}}
	if d.Platform != nil && IsManifest(d.MediaType) {
		c.platform = FormatPlatform(*d.Platform) + " " + d.Platform.OSVersion
	}
	if s.seen[c] {
		return nil
	}
	s.seen[c] = true
	if IsManifest(d.MediaType) {
		return s.judge(ctx, d)
	}
	if depth > MaxDepth {
		return fmt.Errorf("%w: indexes nested deeper than %d", ErrTooLarge, MaxDepth)
	}
	doc, err := s.open(ctx, d)
	if err != nil {
		return err
	}
	for _, child := range doc.Manifests {
		if s.score == exact {
			return nil
		}
		if !isDocument(child.MediaType) || isAttestation(child) {
			continue
		}
		if err := s.consider(ctx, child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) judge(ctx context.Context, d Descriptor) error {
	if s.any {
		s.best, s.score = d, exact
		return nil
	}
	is, err := s.platform(ctx, d)
	if err != nil {
		return err
	}
	if score := suits(is, s.want); score > s.score {
		s.best, s.score = d, score
	}
	if name := FormatPlatform(is); isPlatform(is) && len(s.have) < maxNamed && !slices.Contains(s.have, name) {
		s.have = append(s.have, name)
	}
	return nil
}

// platform tells what a manifest is for, from its descriptor or its config.
// It is zero for an artifact, which runs nowhere.
func (s *selection) platform(ctx context.Context, d Descriptor) (ocispec.Platform, error) {
	if d.Platform != nil {
		return *d.Platform, nil
	}
	doc, err := s.open(ctx, d)
	if err != nil {
		return ocispec.Platform{}, err
	}
	c, err := s.config(ctx, *doc.Config)
	return c.platform, err
}
