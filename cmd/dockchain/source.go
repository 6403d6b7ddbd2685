package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// pathTransports are the kinds of source and target that name a file or a
// directory.
func pathTransports() []string { return []string{"oci", "docker-archive", "oci-archive"} }

// splitPath takes "oci:DIR[:REF]" apart; ok is false for what names no path.
func splitPath(source string) (transport, path, ref string, ok bool) {
	for _, t := range pathTransports() {
		rest, found := strings.CutPrefix(source, t+":")
		if !found {
			continue
		}
		volume := filepath.VolumeName(rest)
		path, ref, _ := strings.Cut(rest[len(volume):], ":")
		return t, volume + path, ref, true
	}
	return "", "", "", false
}

// absoluteSource makes a path absolute, because the node runs elsewhere.
func absoluteSource(source string) (string, error) {
	transport, path, ref, ok := splitPath(source)
	if !ok {
		return source, nil
	}
	if path == "" {
		return "", &usageError{err: fmt.Errorf("%s names no path", source)}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", source, err)
	}
	if ref != "" {
		ref = ":" + ref
	}
	return transport + ":" + path + ref, nil
}

// nameAfter derives the reference to publish as from a source: the registry's
// host and library/ go, a file gives its base name. "" where nothing fits.
func nameAfter(source string) string {
	transport, path, ref, isPath := splitPath(source)
	switch {
	case isPath && strings.ContainsAny(ref, "/:"):
		source = ref
	case isPath:
		base := filepath.Base(path)
		for _, ext := range []string{".gz", ".tgz", ".tar", ".oci"} {
			base = strings.TrimSuffix(base, ext)
		}
		if transport != "oci" {
			ref = ""
		}
		return named(base, ref)
	case strings.HasPrefix(source, "blobs:"):
		return ""
	}
	source = strings.TrimPrefix(strings.TrimPrefix(source, "docker-daemon:"), "docker://")
	source, _, _ = strings.Cut(source, "@")
	repo, tag := source, ""
	if i := strings.LastIndexByte(source, ':'); i > strings.LastIndexByte(source, '/') {
		repo, tag = source[:i], source[i+1:]
	}
	if host, rest, ok := strings.Cut(repo, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		repo = rest
	}
	repo = strings.TrimPrefix(strings.TrimPrefix(repo, "library/"), "me/")
	return named(repo, tag)
}

// named writes me/repo:tag with a repo that the grammar takes.
func named(repo, tag string) string {
	var parts []string
	for _, part := range strings.Split(strings.ToLower(repo), "/") {
		part = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
				return r
			}
			return '-'
		}, part)
		if part = strings.Trim(part, "._-"); part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if tag == "" {
		tag = "latest"
	}
	return "me/" + strings.Join(parts, "/") + ":" + tag
}
