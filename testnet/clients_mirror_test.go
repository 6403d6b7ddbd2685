package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dockchains/dockchain/node"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// bridge makes one for the other Engine, which without would take away that of the
// first.
func bridge(t *testing.T) string {
	t.Helper()
	name := "dc" + unique()[:8]
	for _, args := range [][]string{{"link", "add", name, "type", "bridge"}, {"addr", "add", "198.18.213.1/29", "dev", name}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", name).Run() })
	return name
}

// engine starts another Docker Engine, which asks a mirror for what is at docker.io.
func engine(t *testing.T, mirror string) client {
	t.Helper()
	docker := newDocker(t)
	dockerd, err := exec.LookPath("dockerd")
	if err != nil || os.Geteuid() != 0 {
		if os.Getenv("DOCKCHAIN_REQUIRE_DOCKER") == "1" {
			t.Fatalf("no second Docker Engine can be started: %v", errors.Join(err, errors.New("root and dockerd are needed")))
		}
		t.Skip("a second Docker Engine needs root and dockerd")
	}
	dir, err := os.MkdirTemp("", "dockchain-engine-") // short: its sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := "unix://" + filepath.Join(dir, "d.sock")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte(`{"registry-mirrors":["`+mirror+`"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dockerd, "--config-file", config, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "-H", socket, "--storage-driver", "vfs", "--bridge", bridge(t), "--iptables=false", "--ip6tables=false", "--ip-forward=false")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		_ = log.Close()
	})
	docker.args = []string{"-H", socket}
	testnet.AwaitNil(t, "another Docker Engine", func() error {
		out, err := docker.try("version")
		if err != nil {
			said, _ := os.ReadFile(log.Name())
			err = errors.New(out + string(said))
		}
		return err
	})
	return docker
}

// A Docker Engine whose registry-mirrors name the node has images of docker.io from
// it, each blob read once at the hub.
func TestDockerMirror(t *testing.T) {
	t.Parallel()
	hub, first := newOrigin(t), newDocker(t)
	pushed := hub.host + "/library/hello:1"
	importImage(t, first, 1<<20, pushed)
	first.must("push", pushed)
	hub.set(func() { clear(hub.counts) })
	n := testnet.New(t, 1).Configure(func(_ int, cfg *node.Config) {
		cfg.Mirror = "127.0.0.1:0"
		cfg.Upstream.Instead = map[string]string{"docker.io": hub.host}
	}).Start().Node(0)
	docker := engine(t, "http://"+n.Addresses().Mirror)
	if out := docker.must("pull", "hello:1"); !strings.Contains(out, "docker.io/library/hello:1") {
		t.Errorf("docker says %s", out)
	}
	read := 0
	hub.set(func() {
		for path, times := range hub.counts {
			if strings.HasPrefix(path, "GET /v2/library/hello/blobs/") {
				read++
				if times != 1 {
					t.Errorf("%s, %d times", path, times)
				}
			}
		}
	})
	if read != 2 {
		t.Errorf("%d blobs were read at the hub, want a config and a layer", read)
	}
}
