package main_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// newDocker is the docker command, where an Engine answers.
func newDocker(t *testing.T) client {
	t.Helper()
	docker := newClient(t, "docker")
	if out, err := docker.try("version", "--format", "{{.Server.Version}}"); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_DOCKER") == "1" {
			t.Fatalf("no Docker Engine answers: %v: %s", err, out)
		}
		t.Skipf("no Docker Engine answers: %v", err)
	}
	docker.env = []string{"DOCKER_CONFIG=" + t.TempDir()}
	return docker
}

// importImage makes an image in the Engine that prints a word, with so many random
// bytes; its names are removed in the end.
func importImage(t *testing.T, docker client, size int, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	word := unique()
	source := "package main\n\nfunc main() { println(\"" + word + "\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "hello"), filepath.Join(dir, "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "docker", "import", "--change", `CMD ["/hello"]`, "-", names[0])
	cmd.Stdin = bytes.NewReader(tarLayer(t, size, filepath.Join(dir, "hello")))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("docker import: %v\n%s", err, out)
	}
	for _, name := range names {
		docker.must("tag", names[0], name)
		t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", name).Run() })
	}
	return word
}

// TestDocker pushes, pulls and runs.
func TestDocker(t *testing.T) {
	t.Parallel()
	docker := newDocker(t)
	_, addr := front(t)
	mine, plain := addr+"/me/"+unique()+":1", addr+"/"+unique()+":1"
	word := importImage(t, docker, 1<<20, mine, plain)
	for _, name := range []string{mine, plain} {
		out := docker.must("push", name)
		repo, tag, _ := strings.Cut(strings.TrimPrefix(name, addr+"/"), ":")
		if d := digestAt(t, addr, repo, tag); !strings.Contains(out, d) {
			t.Errorf("docker pushed %s, and %s is told", out, d)
		}
	}
	docker.must("rmi", mine, plain)
	for _, name := range []string{mine, plain} {
		docker.must("pull", name)
		if out := docker.must("run", "--rm", "--network", "none", name); strings.TrimSpace(out) != word {
			t.Errorf("%s says %q, want %q", name, out, word)
		}
	}
	if out, err := docker.try("pull", addr+"/me/none:1"); err == nil {
		t.Errorf("pulled nothing: %s", out)
	}
	docker.must("tag", mine, addr+"/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku/app:1")
	out, err := docker.try("push", addr+"/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku/app:1")
	docker.must("rmi", addr+"/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku/app:1")
	if err == nil || !strings.Contains(out, "denied: bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku is another author") {
		t.Errorf("pushing for another author: %v: %s", err, out)
	}
}

// cutting is a proxy that breaks the first long answers off in the middle.
type cutting struct {
	target string
	after  int64

	mu     sync.Mutex
	cuts   int      // to come
	ranges []string // asked for
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+c.target+r.URL.RequestURI(), r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	req.Header = r.Header.Clone()
	req.ContentLength = r.ContentLength
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	if c.cut(r, res) {
		_, _ = io.CopyN(w, res.Body, c.after)
		panic(http.ErrAbortHandler)
	}
	_, _ = io.Copy(w, res.Body)
}

func (c *cutting) cut(r *http.Request, res *http.Response) bool {
	if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") || res.ContentLength <= c.after {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ranges := r.Header.Get("Range"); ranges != "" {
		c.ranges = append(c.ranges, ranges)
	}
	c.cuts--
	return c.cuts >= 0
}

// TestDockerResumes: a layer that is cut off goes on from where it was.
func TestDockerResumes(t *testing.T) {
	t.Parallel()
	docker := newDocker(t)
	n, addr := front(t)
	repo := "me/" + unique()
	word := importImage(t, docker, 12<<20, addr+"/"+repo+":1")
	docker.must("push", addr+"/"+repo+":1")
	docker.must("rmi", addr+"/"+repo+":1")
	proxy := &cutting{target: n.Addresses().Registry, after: 2 << 20, cuts: 2}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	name := local(t, srv.Listener.Addr().String()) + "/" + repo + ":1"
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", name).Run() })
	docker.must("pull", name)
	if out := docker.must("run", "--rm", "--network", "none", name); strings.TrimSpace(out) != word {
		t.Errorf("it says %q, want %q", out, word)
	}
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if proxy.cuts > 0 || len(proxy.ranges) < 2 || !strings.HasPrefix(proxy.ranges[0], "bytes=") || strings.HasPrefix(proxy.ranges[0], "bytes=0-") {
		t.Errorf("%d cuts were left, and it asked for %q", proxy.cuts, proxy.ranges)
	}
}

// TestDockerSearch finds what was published, whatever its author wrote about it.
func TestDockerSearch(t *testing.T) {
	t.Parallel()
	docker := newDocker(t)
	n, addr := front(t)
	n.Publish("debian:12", testnet.Image{Seed: 31, Layers: []int64{1000}})
	n.Publish("debian:11", testnet.Image{Seed: 32, Layers: []int64{1000}})
	out := docker.must("search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", addr+"/debian")
	if strings.Count(out, "me/debian 0") != 1 {
		t.Errorf("found %q", out)
	}
	if out := docker.must("search", "--limit", "1", "--format", "{{.Name}}", addr+"/"+unique()); strings.TrimSpace(out) != "" {
		t.Errorf("found %q", out)
	}
}
