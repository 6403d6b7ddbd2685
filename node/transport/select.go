package transport

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node/image"
)

// annotationName holds the whole name in layouts of containerd and Docker,
// where the OCI annotation holds only the tag.
const annotationName = "io.containerd.image.name"

// maxNamesShown bounds the names listed in an error.
const maxNamesShown = 8

// sameName compares as Docker does: debian is docker.io/library/debian:latest.
func sameName(a, b string) bool {
	return a == b || fullName(a) != "" && fullName(a) == fullName(b)
}

// fullName is the name with registry and tag, "" when Docker would refuse it.
func fullName(s string) string {
	n, err := reference.ParseDockerRef(s)
	if err != nil {
		return ""
	}
	return n.String()
}

// selectRoot picks the descriptor of an index.json that ref means: a name, a
// tag, a digest, or nothing when there is only one image.
func selectRoot(all []image.Descriptor, ref string) (image.Descriptor, error) {
	var found []image.Descriptor
	for _, d := range all {
		if ref != "" && !describes(d, ref) {
			continue
		}
		if !slices.ContainsFunc(found, func(f image.Descriptor) bool { return f.Digest == d.Digest }) {
			found = append(found, d)
		}
	}
	var names []string
	for _, d := range all {
		names = append(names, nameOf(d))
	}
	if err := checkSelection(len(found), ref, names); err != nil {
		return image.Descriptor{}, err
	}
	return found[0], nil
}

func describes(d image.Descriptor, ref string) bool {
	tag, name := d.Annotations[ocispec.AnnotationRefName], d.Annotations[annotationName]
	return d.Digest == digest.Digest(ref) ||
		tag != "" && sameName(tag, ref) ||
		name != "" && sameName(name, ref)
}

func nameOf(d image.Descriptor) string {
	for _, key := range []string{annotationName, ocispec.AnnotationRefName} {
		if s := d.Annotations[key]; s != "" {
			return s
		}
	}
	return d.Digest.String()
}

// checkSelection turns "none" and "several" into errors that tell the choice.
func checkSelection(found int, ref string, names []string) error {
	if found == 1 {
		return nil
	}
	for i, s := range names {
		names[i] = fmt.Sprintf("%.100q", s)
	}
	if len(names) > maxNamesShown {
		names = append(names[:maxNamesShown:maxNamesShown], "…")
	}
	has := strings.Join(names, ", ")
	switch {
	case found > 1:
		return fmt.Errorf("%q means any of %s: %w", ref, has, ErrSeveral)
	case len(names) == 0:
		return fmt.Errorf("the source is empty: %w", ErrNoSuchImage)
	}
	return fmt.Errorf("no image %q (there is %s): %w", ref, has, ErrNoSuchImage)
}
