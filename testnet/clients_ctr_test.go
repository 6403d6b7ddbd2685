package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dockchains/dockchain/cmd/dockchain/setup"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// containerdSockets are where containerd is found, the Docker Engine's included.
var containerdSockets = []string{"/run/containerd/containerd.sock", "/run/docker/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock"}

func newCtr(t *testing.T) client {
	t.Helper()
	ctr := newClient(t, "ctr")
	for _, socket := range containerdSockets {
		namespace := "dockchain-" + unique()
		c := client{t: t, path: ctr.path, args: []string{"--address", socket, "--namespace", namespace}}
		if _, err := os.Stat(socket); err != nil {
			continue
		}
		if _, err := c.try("version"); err != nil {
			continue
		}
		t.Cleanup(func() {
			run := func(args ...string) string {
				out, _ := exec.Command(ctr.path, append(append([]string{}, c.args...), args...)...).Output()
				return string(out)
			}
			for _, image := range strings.Fields(run("images", "ls", "-q")) {
				run("images", "rm", "--sync", image)
			}
			run("namespaces", "rm", namespace)
		})
		return c
	}
	if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
		t.Fatal("no containerd answers, and DOCKCHAIN_REQUIRE_CLIENTS=1")
	}
	t.Skip("no containerd answers")
	return client{}
}

// TestCtr pulls by the hosts.toml that setup writes: a name of this machine, and one
// of another registry, which containerd names by ?ns=.
func TestCtr(t *testing.T) {
	t.Parallel()
	ctr := newCtr(t)
	skopeo := newClient(t, "skopeo", "--insecure-policy")
	n, addr := front(t)
	l := unpackable(t)
	n.PublishLayout("app:1", l)
	upstream := newOrigin(t)
	other := unpackable(t)
	skopeo.must("copy", "--preserve-digests", "--dest-tls-verify=false", "oci:"+other.Dir, "docker://"+upstream.host+"/org/app:1")
	root := t.TempDir()
	p, err := setup.For("containerd", setup.Options{Root: root, Registry: n.Addresses().Registry, Mirror: n.Addresses().Mirror, Hosts: []string{upstream.host}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	hosts := filepath.Join(root, "etc", "containerd", "certs.d")
	for name, want := range map[string]string{addr + "/me/app:1": l.Root.Digest.String(), upstream.host + "/org/app:1": other.Root.Digest.String()} {
		ctr.must("images", "pull", "--hosts-dir", hosts, "--snapshotter", "native", name)
		if out := ctr.must("images", "ls", "name=="+name); !strings.Contains(out, want) {
			t.Errorf("%s is %s, want %s", name, out, want)
		}
	}
	// It was the node that asked, for the clients of the upstream saw nothing else.
	if got := digestAt(t, addr, upstream.host+"/org/app", "1"); got != other.Root.Digest.String() {
		t.Errorf("the node has %s", got)
	}
	upstream.srv.Close()
	ctr.must("images", "pull", "--hosts-dir", hosts, "--snapshotter", "native", upstream.host+"/org/app@"+other.Root.Digest.String())
}

// TestPodmanConfiguration: skopeo, which reads the same files as podman, knows by what
// setup writes that localhost speaks plain HTTP, and asks it first for another
// registry's images.
func TestPodmanConfiguration(t *testing.T) {
	t.Parallel()
	skopeo := newClient(t, "skopeo", "--insecure-policy")
	n, addr := front(t)
	l := unpackable(t)
	n.PublishLayout("app:1", l)
	p, err := setup.For("podman", setup.Options{Root: t.TempDir(), Registry: n.Addresses().Registry, Mirror: n.Addresses().Mirror, Hosts: []string{"registry.invalid", "127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "127.0.0.1:1") {
		t.Errorf("notes %q", p.Notes)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	// A user's files have the same names as the system's, and take their place.
	home := t.TempDir()
	conf := filepath.Join(home, ".config", "containers")
	if err := os.CopyFS(filepath.Join(conf, "registries.conf.d"), os.DirFS(filepath.Dir(p.Files[0].Path))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conf, "registries.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	skopeo.env = []string{"HOME=" + home, "XDG_CONFIG_HOME="}
	back := filepath.Join(t.TempDir(), "back")
	skopeo.must("copy", "--preserve-digests", "docker://"+addr+"/me/app:1", "oci:"+back+":x")
	testnet.SameLayout(t, l, back)
	// Nobody has that one; what was asked is told.
	out, err := skopeo.try("inspect", "docker://registry.invalid/org/app:1")
	if err == nil || !strings.Contains(out, addr+"/registry.invalid/org/app:1") {
		t.Errorf("asked elsewhere: %v: %s", err, out)
	}
}
