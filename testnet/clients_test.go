package main_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/dockchains/dockchain/node"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// client is somebody else's program, as it is installed.
type client struct {
	t    *testing.T
	path string
	args []string // before all others
	env  []string
}

// newClient finds a program. DOCKCHAIN_REQUIRE_CLIENTS=1 makes its absence a
// failure.
func newClient(t *testing.T, name string, args ...string) client {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("%s is not installed, and DOCKCHAIN_REQUIRE_CLIENTS=1", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return client{t: t, path: path, args: args}
}

// toolClient builds a program of the module testnet/clients.
func toolClient(t *testing.T, name, pkg string) client {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg)
	cmd.Dir, cmd.Env = "clients", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return client{t: t, path: path}
}

// try runs it, and gives what it printed.
func (c client) try(args ...string) (string, error) {
	ctx, cancel := testnet.Deadline(c.t)
	defer cancel()
	return c.run(ctx, args...)
}

func (c client) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.path, append(append([]string{}, c.args...), args...)...)
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs it, which must succeed.
func (c client) must(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", filepath.Base(c.path), strings.Join(args, " "), err, out)
	}
	return out
}

// front is a node as clients know it: localhost and a port.
func front(t *testing.T) (*testnet.Node, string) {
	t.Helper()
	n := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) { cfg.Mirror = "127.0.0.1:0" }).Start().Node(0)
	return n, local(t, n.Addresses().Registry)
}

func local(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return "localhost:" + port
}

// unique is a word that no other test uses.
func unique() string { return strings.ToLower(rand.Text()) }

// tarLayer is a layer with one file of random bytes, and perhaps a program.
func tarLayer(t *testing.T, size int, program string) []byte {
	t.Helper()
	random := make([]byte, size)
	if _, err := mathrand.NewChaCha8([32]byte{byte(size)}).Read(random); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"random": random}
	if program != "" {
		b, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		files["hello"] = b
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpackable is an image that every client takes apart.
func unpackable(t *testing.T) *testnet.Layout {
	t.Helper()
	return testnet.Image{Seed: mathrand.Uint64(), Blobs: []testnet.Blob{
		{MediaType: ocispec.MediaTypeImageLayer, Data: tarLayer(t, 300_000, "")}, {MediaType: ocispec.MediaTypeImageLayer, Data: tarLayer(t, 70_000, "")},
	}}.Lay(t)
}

// digestAt is the digest that a registry tells of a tag.
func digestAt(t *testing.T, addr, name, tag string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+addr+"/v2/"+name+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Accept"] = []string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.v2+json"}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("HEAD of %s:%s: %s", name, tag, res.Status)
	}
	return res.Header.Get("Docker-Content-Digest")
}

func TestSkopeo(t *testing.T) {
	t.Parallel()
	skopeo := newClient(t, "skopeo", "--insecure-policy")
	_, addr := front(t)
	l := unpackable(t)
	for _, name := range []string{"me/app", "team/app", "app"} {
		ref := addr + "/" + name + ":1"
		skopeo.must("copy", "--preserve-digests", "--dest-tls-verify=false", "oci:"+l.Dir, "docker://"+ref)
		if got := digestAt(t, addr, name, "1"); got != l.Root.Digest.String() {
			t.Errorf("%s is %s, want %s", ref, got, l.Root.Digest)
		}
		back := filepath.Join(t.TempDir(), "back")
		skopeo.must("copy", "--preserve-digests", "--src-tls-verify=false", "docker://"+ref, "oci:"+back+":x")
		testnet.SameLayout(t, l, back)
	}
	skopeo.must("copy", "--dest-tls-verify=false", "--src-tls-verify=false", "docker://"+addr+"/me/app:1", "docker://"+addr+"/me/copy:2")
	if out := skopeo.must("list-tags", "--tls-verify=false", "docker://"+addr+"/me/copy"); !strings.Contains(out, `"2"`) {
		t.Errorf("tags: %s", out)
	}
	dir := t.TempDir()
	skopeo.must("sync", "--src-tls-verify=false", "--src", "docker", "--dest", "dir", addr+"/me/app", dir)
	if got, err := os.ReadFile(filepath.Join(dir, "app:1", "manifest.json")); err != nil || !bytes.Contains(got, []byte(`"layers"`)) {
		t.Errorf("synced %s, %v", got, err)
	}
	skopeo.must("sync", "--dest-tls-verify=false", "--src", "dir", "--dest", "docker", dir, addr+"/synced")
	if got := digestAt(t, addr, "synced/app", "1"); got != l.Root.Digest.String() {
		t.Errorf("synced is %s, want %s", got, l.Root.Digest)
	}
	skopeo.must("delete", "--tls-verify=false", "docker://"+addr+"/me/copy:2")
	if out, err := skopeo.try("inspect", "--raw", "--tls-verify=false", "docker://"+addr+"/me/copy:2"); err == nil {
		t.Errorf("deleted, and still there: %s", out)
	}
}

func TestBuildah(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	buildah := newClient(t, "buildah", "--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"))
	policy := filepath.Join(dir, "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	n, addr := front(t)
	l := unpackable(t)
	n.PublishLayout("app:1", l)
	id := strings.TrimSpace(buildah.must("pull", "--quiet", "--signature-policy", policy, "--tls-verify=false", "docker://"+addr+"/me/app:1"))
	buildah.must("push", "--signature-policy", policy, "--tls-verify=false", id, "docker://"+addr+"/team/app:2")
	if out := buildah.must("pull", "--quiet", "--signature-policy", policy, "--tls-verify=false", "docker://"+addr+"/team/app:2"); out == "" {
		t.Error("nothing was pulled")
	}
	if got := digestAt(t, addr, "team/app", "2"); !strings.HasPrefix(got, "sha256:") {
		t.Errorf("team/app:2 is %q", got)
	}
}

func TestCrane(t *testing.T) {
	t.Parallel()
	crane := toolClient(t, "crane", "github.com/google/go-containerregistry/cmd/crane")
	_, addr := front(t)
	l := unpackable(t)
	crane.must("push", l.Dir, addr+"/me/app:1")
	if got := strings.TrimSpace(crane.must("digest", addr+"/me/app:1")); got != l.Root.Digest.String() {
		t.Errorf("digest %s, want %s", got, l.Root.Digest)
	}
	crane.must("copy", addr+"/me/app:1", addr+"/other/app:2") // mounts the layers
	crane.must("tag", addr+"/other/app:2", "latest")
	if got := strings.Fields(crane.must("ls", addr+"/other/app")); strings.Join(got, " ") != "2 latest" {
		t.Errorf("tags %q", got)
	}
	if got := crane.must("catalog", addr); !strings.Contains(got, "me/app") || !strings.Contains(got, "other/app") {
		t.Errorf("catalogue %q", got)
	}
	back := filepath.Join(t.TempDir(), "back")
	crane.must("pull", "--format=oci", addr+"/me/app@"+l.Root.Digest.String(), back)
	testnet.SameLayout(t, l, back)
	crane.must("delete", addr+"/other/app@"+l.Root.Digest.String())
	if out, err := crane.try("manifest", addr+"/other/app:latest"); err == nil {
		t.Errorf("deleted, and still there: %s", out)
	}
}

func TestOras(t *testing.T) {
	t.Parallel()
	oras := toolClient(t, "oras", "oras.land/oras/cmd/oras")
	_, addr := front(t)
	l := unpackable(t)
	app := addr + "/me/app:1"
	oras.must("cp", "--from-oci-layout", "--to-plain-http", l.Dir+"@"+l.Root.Digest.String(), app)
	dir := t.TempDir()
	oras.env = []string{"HOME=" + dir}
	sbom := filepath.Join(dir, "sbom.json")
	if err := os.WriteFile(sbom, []byte(`{"bomFormat":"CycloneDX"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	oras.must("attach", "--plain-http", "--disable-path-validation", "--artifact-type", "application/vnd.cyclonedx+json", app, sbom)
	found := oras.must("discover", "--plain-http", "--format", "json", app)
	if !strings.Contains(found, "application/vnd.cyclonedx+json") {
		t.Errorf("discovered %s", found)
	}
	if found := oras.must("discover", "--plain-http", "--format", "json", "--artifact-type", "application/x-none", app); strings.Contains(found, "cyclonedx") {
		t.Errorf("a filter lets through %s", found)
	}
	oras.must("push", "--plain-http", "--disable-path-validation", addr+"/team/text:1", sbom+":application/json")
	oras.must("pull", "--plain-http", "-o", filepath.Join(dir, "out"), "--allow-path-traversal", addr+"/team/text:1")
	oras.must("cp", "-r", "--from-plain-http", "--to-plain-http", app, addr+"/team/copy:1") // with what is attached
	if found := oras.must("discover", "--plain-http", "--format", "json", addr+"/team/copy:1"); !strings.Contains(found, "cyclonedx") {
		t.Errorf("copied without what is attached: %s", found)
	}
}
