package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNameAfter(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"debian:12":                           "me/debian:12",
		"debian":                              "me/debian:latest",
		"me/app:1.0":                          "me/app:1.0",
		"localhost:5000/me/app:1.0":           "me/app:1.0",
		"docker-daemon:debian:12":             "me/debian:12",
		"docker.io/library/debian:12":         "me/debian:12",
		"docker://ghcr.io/org/app:1.0":        "me/org/app:1.0",
		"docker://ghcr.io/app@sha256:abc":     "me/app:latest",
		"org/app":                             "me/org/app:latest",
		"oci:/tmp/my Layout":                  "me/my-layout:latest",
		"oci:layout:v2":                       "me/layout:v2",
		"oci:layout:docker.io/library/app:v2": "me/app:v2",
		"docker-archive:/x/app.tar.gz":        "me/app:latest",
		"oci-archive:/x/app.oci.tar":          "me/app:latest",
		"oci:/":                               "",
		"blobs:sha256:abc":                    "",
	} {
		if got := nameAfter(source); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func TestAbsoluteSource(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"debian:12":              "debian:12",
		"docker://host/a:1":      "docker://host/a:1",
		"oci:a":                  "oci:" + filepath.Join(wd, "a"),
		"oci:./a/../b:tag":       "oci:" + filepath.Join(wd, "b") + ":tag",
		"oci:a:docker.io/x//y:1": "oci:" + filepath.Join(wd, "a") + ":docker.io/x//y:1",
		"docker-archive:/x/a":    "docker-archive:/x/a",
		"oci-archive:a.tar":      "oci-archive:" + filepath.Join(wd, "a.tar"),
	} {
		if got, err := absoluteSource(source); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	if _, err := absoluteSource("oci:"); exitCode(err) != 2 {
		t.Errorf("no path: %v", err)
	}
}
