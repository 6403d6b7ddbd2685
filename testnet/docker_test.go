package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// needDocker skips without a Docker Engine, but for where there must be one.
func needDocker(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", "version").CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("DOCKCHAIN_REQUIRE_DOCKER") == "1":
		t.Fatalf("no Docker Engine answers, and DOCKCHAIN_REQUIRE_DOCKER=1: %v\n%s", err, out)
	default:
		t.Skip("no Docker Engine answers")
	}
}

// docker runs the client, and gives what it says.
func docker(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustDocker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := docker(t, args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// hello makes an image of one static program in the Engine, and gives its name.
func hello(t *testing.T, name string) {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\"hello from "+name+"\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "root", "hello"), source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	tar := exec.CommandContext(t.Context(), "tar", "-C", filepath.Join(dir, "root"), "-c", ".")
	load := exec.CommandContext(t.Context(), "docker", "import", "--change", `CMD ["/hello"]`, "-", name)
	var said bytes.Buffer
	load.Stderr = &said
	pipe, err := tar.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	load.Stdin = pipe
	if err := errors.Join(load.Start(), tar.Run(), load.Wait()); err != nil {
		t.Fatalf("importing: %v\n%s", err, &said)
	}
	t.Cleanup(func() { _, _ = docker(t, "rmi", "-f", name) })
}

// TestDockerPushPullRun pushes with the real client to a node that publishes on
// push, and pulls and runs the image at another, which has it from the first.
func TestDockerPushPullRun(t *testing.T) {
	t.Parallel()
	needDocker(t)
	net := testnet.New(t, 2).Start().Connect().AwaitPeers(1)
	pusher, puller := net.Node(0), net.Node(1)
	unique := fmt.Sprintf("dockchain-test-%d", os.Getpid())
	local := unique + ":1"
	hello(t, local)

	on := true
	repo := "me/" + unique
	if _, err := pusher.Registry().SetRepo(t.Context(), repo, exchange.RepositorySettings{PublishOnPush: &on}); err != nil {
		t.Fatal(err)
	}
	pushed := pusher.Addresses().Registry + "/" + repo + ":1"
	mustDocker(t, "tag", local, pushed)
	t.Cleanup(func() { _, _ = docker(t, "rmi", "-f", pushed) })
	if out := mustDocker(t, "push", pushed); !strings.Contains(out, "digest: sha256:") {
		t.Errorf("docker push: %s", out)
	}
	if out := mustDocker(t, "push", pushed); !strings.Contains(out, "already exists") {
		t.Errorf("docker push again: %s", out)
	}
	testnet.AwaitNil(t, "publication", func() error {
		got, err := pusher.Registry().Repo(t.Context(), repo)
		if err == nil && (got.Waiting > 0 || len(got.Tags) != 1) {
			err = fmt.Errorf("%+v", got)
		}
		return err
	})

	author := string(pusher.Exchange().Me.ID)
	pulled := puller.Addresses().Registry + "/" + author + "/" + unique + ":1"
	t.Cleanup(func() { _, _ = docker(t, "rmi", "-f", pulled) })
	mustDocker(t, "rmi", pushed)
	mustDocker(t, "pull", pulled)
	if a, b := mustDocker(t, "inspect", "-f", "{{.Id}}", pulled), mustDocker(t, "inspect", "-f", "{{.Id}}", local); a != b {
		t.Errorf("pulled %s, pushed %s", a, b)
	}
	if out := mustDocker(t, "run", "--rm", "--network", "none", pulled); out != "hello from "+local {
		t.Errorf("docker run: %s", out)
	}
	if out, err := docker(t, "push", pulled); err == nil || !strings.Contains(out, "another author") {
		t.Errorf("a push under the name of another: %v: %s", err, out)
	}
}
