package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestQuickstart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out, told strings.Builder
	u := newUI(&out, &told)
	if code := execute(t.Context(), []string{"quickstart", "-o", "json"}, u, noEnv); code != 0 {
		t.Fatalf("exit code %d\n%s", code, told.String())
	}
	var res quickstartResult
	if err := json.Unmarshal([]byte(out.String()), &res); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if !strings.HasPrefix(res.Magnet, "magnet:?xt=urn:btih:") || digest.Digest(res.Digest).Validate() != nil || res.Author == "" {
		t.Errorf("got %+v", res)
	}
	if !res.Verdict.Accepted || len(res.Verdict.Reasons) == 0 || res.BytesFromPeers == 0 {
		t.Errorf("got %+v", res)
	}
	if docker := hasDocker(t) && runtime.GOOS == "linux"; res.DockerRan != docker {
		t.Errorf("docker_ran %v, an Engine answers: %v", res.DockerRan, docker)
	}
	for _, step := range []string{"start", "build", "publish", "search", "join", "fetch", "verify", "export", "docker"} {
		if _, ok := res.Seconds[step]; !ok {
			t.Errorf("no seconds for %s", step)
		}
	}
	if left, _ := filepath.Glob(os.Getenv("TMPDIR") + "/*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// lacks skips a test that this machine cannot run, but where none may be skipped.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
		t.Fatalf("%s, and DOCKCHAIN_REQUIRE_CLIENTS=1", what)
	}
	t.Skip(what)
}

// A dynamic program's image holds its loader and everything that this needs.
func TestSharedFiles(t *testing.T) {
	t.Parallel()
	loader, libraries, err := sharedFiles("/bin/sh")
	if os.IsNotExist(err) || runtime.GOOS != "linux" {
		lacks(t, "no /bin/sh of this system to look at")
	}
	if err != nil {
		t.Fatal(err)
	}
	if loader == "" {
		lacks(t, "/bin/sh is static here")
	}
	for name, path := range libraries {
		if filepath.Base(path) != name || !filepath.IsAbs(path) {
			t.Errorf("%s is at %s", name, path)
		}
	}
	if len(libraries) == 0 {
		t.Error("no libraries")
	}
	text := filepath.Join(t.TempDir(), "script")
	writeFile(t, text, "#!/bin/sh\n")
	if loader, libraries, err := sharedFiles(text); loader != "" || libraries != nil || err != nil {
		t.Errorf("a script needs %q, %v, %v", loader, libraries, err)
	}
}

// The same program gives the same image.
func TestBuildLayoutIsReproducible(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	writeFile(t, program, "the same")
	var roots []digest.Digest
	for _, name := range []string{"a", "b"} {
		layout := filepath.Join(dir, name)
		if _, err := buildLayout(t.Context(), layout, program, "v1"); err != nil {
			t.Fatal(err)
		}
		root, err := layoutRoot(layout)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
	}
	if roots[0] != roots[1] {
		t.Errorf("got %v", roots)
	}
}

func TestBareLink(t *testing.T) {
	t.Parallel()
	const bare = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567"
	for _, link := range []string{bare, bare + "&dn=a&x.pe=127.0.0.1:1"} {
		if got := bareLink(link); got != bare {
			t.Errorf("got %s", got)
		}
	}
}
