package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPodman has podman pull what the node published, push it under other names, and
// pull that again, into storage of its own.
func TestPodman(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	podman := newClient(t, "podman", "--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"),
		"--tmpdir", filepath.Join(dir, "tmp"), "--cgroup-manager", "cgroupfs", "--events-backend", "none")
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	n, addr := front(t)
	l := unpackable(t)
	n.PublishLayout("app:1", l)
	pull := func(ref string) podmanInspected {
		t.Helper()
		podman.must("pull", "--quiet", "--signature-policy", policy, "--tls-verify=false", ref)
		return podmanImage(t, podman, ref)
	}
	pulled := pull(addr + "/me/app:1")
	if want := addr + "/me/app@" + l.Root.Digest.String(); !slices.Contains(pulled.RepoDigests, want) {
		t.Errorf("it pulled %q, want %s", pulled.RepoDigests, want)
	}

	other := addr + "/team/app:2"
	podman.must("tag", addr+"/me/app:1", other)
	pushed := filepath.Join(dir, "pushed")
	podman.must("push", "--quiet", "--signature-policy", policy, "--tls-verify=false", "--digestfile", pushed, other)
	want, err := os.ReadFile(pushed)
	if err != nil {
		t.Fatal(err)
	}
	if got := digestAt(t, addr, "team/app", "2"); got != string(want) {
		t.Errorf("team/app:2 is %s, podman pushed %s", got, want)
	}
	podman.must("rmi", "--force", pulled.ID)
	if out, err := podman.try("image", "inspect", other); err == nil {
		t.Fatalf("removed, and still there: %s", out)
	}
	if again := pull(other); again.ID != pulled.ID || !slices.Equal(again.RootFS.Layers, pulled.RootFS.Layers) {
		t.Errorf("it pulled %+v of what it pushed, want %+v", again, pulled)
	}
	if found := podman.must("search", "--tls-verify=false", addr+"/app"); !strings.Contains(found, "app") {
		t.Errorf("it found %q", found)
	}
}

// podmanInspected is what podman tells of an image.
type podmanInspected struct {
	ID          string `json:"Id"`
	RepoDigests []string
	RootFS      struct{ Layers []string }
}

func podmanImage(t *testing.T, podman client, ref string) podmanInspected {
	t.Helper()
	var images []podmanInspected
	if out := podman.must("image", "inspect", ref); json.Unmarshal([]byte(out), &images) != nil || len(images) != 1 {
		t.Fatalf("podman image inspect printed %s", out)
	}
	return images[0]
}
