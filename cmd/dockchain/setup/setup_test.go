package setup

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func options(root string) Options {
	return Options{Root: root, Registry: "127.0.0.1:5000", Mirror: "127.0.0.1:5005", Hosts: []string{"docker.io", "quay.io"}}
}

// tree is every path below a directory with what is in it.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		out[name] = info.Mode().String()
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			out[name] += " " + string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func apply(t *testing.T, client string, o Options) Plan {
	t.Helper()
	p, err := For(client, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	return p
}

func undo(t *testing.T, client, root string) {
	t.Helper()
	p, err := Undo(client, root)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
}

// found are configurations as they are found, by client.
var found = map[string][]map[string]string{
	"docker": {
		{},
		{"etc/docker/daemon.json": ""},
		{"etc/docker/daemon.json": "{}"},
		{"etc/docker/daemon.json": "{ }\n"},
		{"etc/docker/daemon.json": `{"data-root": "/var/lib/docker", "mtu": 1400}`},
		{"etc/docker/daemon.json": "{\n\t\"debug\": true,\n\t\"log-opts\": {\"max-size\": \"10m\"}\n}\n"},
		{"etc/docker/daemon.json": `{"registry-mirrors": []}`},
		{"etc/docker/daemon.json": "{\n  \"a\": 1, \"registry-mirrors\": [\n    \"https://mirror.example\"\n  ]\r\n}"},
	},
	"containerd": {
		{},
		{"etc/containerd/config.toml": "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n"},
		{"etc/containerd/config.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"\"\n  [plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors]\n"},
		{"etc/containerd/config.toml": "version = 3\n[plugins]\n  [plugins.'io.containerd.cri.v1.images'.registry]\n    config_path = '/etc/elsewhere:/etc/docker/certs.d'"},
		{"etc/containerd/config.toml": "version = 3\nroot = \"/x\""},
		{"etc/containerd/config.toml": "version = 2\ndisabled_plugins = [\"cri\"]\n"},
		{"etc/containerd/config.toml": "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\n  endpoint = [\"https://m.example\"]\n"},
		{"etc/containerd/certs.d/quay.io/hosts.toml": "server = \"https://quay.io\"\n\n[host.\"https://mirror.example\"]\n  capabilities = [\"pull\"]\n"},
	},
	"podman": {
		{},
		{"etc/containers/registries.conf": "unqualified-search-registries = [\"docker.io\"]\n"},
		{"etc/containers/registries.conf.d/10-mine.conf": "[[registry]]\nprefix = \"quay.io\"\nlocation = \"mirror.example/quay\"\n"},
		{"etc/containers/registries.conf.d/50-dockchain.conf": "# mine\n[[registry]]\nlocation = \"other.example\""},
	},
}

// Whatever was there is there again, byte for byte, and setting up twice is setting
// up once.
func TestUndoLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	for client, cases := range found {
		for _, files := range cases {
			root := lay(t, files)
			before := tree(t, root)
			apply(t, client, options(root))
			after := tree(t, root)
			if maps.Equal(before, after) {
				t.Errorf("%s: nothing was set up in %q", client, files)
			}
			for _, f := range apply(t, client, options(root)).Files {
				if f.Action != Keep {
					t.Errorf("%s: %s once more: %s", client, f.Path, f.Action)
				}
			}
			if d := cmp.Diff(after, tree(t, root)); d != "" {
				t.Errorf("%s: setting up twice: %s", client, d)
			}
			undo(t, client, root)
			if d := cmp.Diff(before, tree(t, root)); d != "" {
				t.Errorf("%s: undone is not as before: %s", client, d)
			}
			if _, err := Undo(client, root); !errors.Is(err, ErrNothing) {
				t.Errorf("%s: undoing twice: %v", client, err)
			}
		}
	}
}

// What somebody writes into the files afterwards stays.
func TestUndoAfterEdits(t *testing.T) {
	t.Parallel()
	const cri = "etc/containerd/config.toml"
	for name, c := range map[string]struct{ client, file, before, edit, with, want string }{
		"docker, a member before":  {"docker", "etc/docker/daemon.json", `{"mtu": 1400}`, `{`, `{"debug": true,`, `{"debug": true,"mtu": 1400}`},
		"docker, a new file":       {"docker", "etc/docker/daemon.json", "", "\n}\n", ",\n  \"debug\": true\n}\n", "{\n  \"debug\": true\n}\n"},
		"docker, a mirror before":  {"docker", "etc/docker/daemon.json", `{"registry-mirrors": []}`, `[`, `["https://a.example", `, `{"registry-mirrors": ["https://a.example"]}`},
		"docker, a mirror after":   {"docker", "etc/docker/daemon.json", `{"mtu": 1}`, `005"]`, `005", "https://a.example"]`, `{"registry-mirrors": [ "https://a.example"],"mtu": 1}`},
		"docker, ours taken out":   {"docker", "etc/docker/daemon.json", `{"mtu": 1}`, `"http://127.0.0.1:5005"`, ``, `{"registry-mirrors": [],"mtu": 1}`},
		"containerd, a line":       {"containerd", cri, "version = 2\n", "version = 2\n", "version = 2\nroot = \"/x\"\n", "version = 2\nroot = \"/x\"\n"},
		"containerd, empty before": {"containerd", cri, "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"\"\n", "version = 2\n", "version = 2\nroot = \"/x\"\n", "version = 2\nroot = \"/x\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n  config_path = \"\"\n"},
		"podman, a new file":       {"podman", "etc/containers/registries.conf.d/50-dockchain.conf", "", blockBegin, "# mine\n" + blockBegin, "# mine\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			if c.before != "" {
				files[c.file] = c.before
			}
			root := lay(t, files)
			apply(t, c.client, options(root))
			path := filepath.Join(root, c.file)
			text := read(t, path)
			if !strings.Contains(text, c.edit) {
				t.Fatalf("%q is not in %q", c.edit, text)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(text, c.edit, c.with, 1)), 0o640); err != nil {
				t.Fatal(err)
			}
			undo(t, c.client, root)
			if got := read(t, path); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A file that does not parse is not touched, and neither are the others.
func TestUnreadableFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ client, file, text string }{
		{"docker", "etc/docker/daemon.json", `{"a": 1,}`},
		{"docker", "etc/docker/daemon.json", `["a"]`},
		{"docker", "etc/docker/daemon.json", `{"a": 1} x`},
		{"docker", "etc/docker/daemon.json", `{"a": 1, "a": 2}`},
		{"docker", "etc/docker/daemon.json", `{"registry-mirrors": "https://a.example"}`},
		{"docker", "etc/docker/daemon.json", `{"registry-mirrors": [1]}`},
		{"docker", "etc/docker/daemon.json", strings.Repeat(" ", maxFile) + "{}"},
		{"containerd", "etc/containerd/config.toml", "version = 2\n[[["},
		{"containerd", "etc/containerd/config.toml", "root = \"/x\"\n"},
		{"containerd", "etc/containerd/config.toml", "version = 2\n[plugins]\n\"io.containerd.grpc.v1.cri\" = { registry = { } }\n"},
		{"containerd", "etc/containerd/certs.d/quay.io/hosts.toml", "host = 1 2"},
		{"podman", "etc/containers/registries.conf", "= 1"},
	} {
		root := lay(t, map[string]string{c.file: c.text})
		before := tree(t, root)
		if _, err := For(c.client, options(root)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %.60q: %v", c.file, c.text, err)
		}
		if d := cmp.Diff(before, tree(t, root)); d != "" {
			t.Errorf("%s: %.60q was changed: %s", c.file, c.text, d)
		}
	}
}

// Other choices take the place of the ones before.
func TestSettingUpAnew(t *testing.T) {
	t.Parallel()
	root := lay(t, nil)
	before := tree(t, root)
	apply(t, "containerd", options(root))
	o := options(root)
	o.Registry, o.Hosts = "127.0.0.1:6000", []string{"ghcr.io"}
	apply(t, "containerd", o)
	certs := filepath.Join(root, "etc/containerd/certs.d")
	if got := read(t, filepath.Join(certs, "ghcr.io/hosts.toml")); !strings.Contains(got, `[host."http://127.0.0.1:6000"]`) {
		t.Errorf("hosts.toml is %q", got)
	}
	for _, gone := range []string{"quay.io/hosts.toml", "localhost:5000/hosts.toml"} {
		if _, err := os.Stat(filepath.Join(certs, gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", gone, err)
		}
	}
	undo(t, "containerd", root)
	if d := cmp.Diff(before, tree(t, root)); d != "" {
		t.Error(d)
	}
}

func TestWhatIsWritten(t *testing.T) {
	t.Parallel()
	root := lay(t, map[string]string{"etc/docker/daemon.json": `{"mtu": 1400, "registry-mirrors": ["https://m.example"]}`})
	for _, c := range Clients() {
		apply(t, c, options(root))
	}
	var daemon struct {
		MTU     int      `json:"mtu"`
		Mirrors []string `json:"registry-mirrors"`
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(root, "etc/docker/daemon.json"))), &daemon); err != nil {
		t.Fatal(err)
	}
	if daemon.MTU != 1400 || !slices.Equal(daemon.Mirrors, []string{"http://127.0.0.1:5005", "https://m.example"}) {
		t.Errorf("daemon.json says %+v", daemon)
	}
	hosts, err := tomlIn([]byte(read(t, filepath.Join(root, "etc/containerd/certs.d/quay.io/hosts.toml"))))
	if err != nil || !slices.Equal(texts(at(hosts, "host", "http://127.0.0.1:5000", "capabilities")), []string{"pull", "resolve"}) {
		t.Errorf("hosts.toml says %v, %v", hosts, err)
	}
	cri, err := tomlIn([]byte(read(t, filepath.Join(root, "etc/containerd/config.toml"))))
	if err != nil || at(cri, "plugins", "io.containerd.grpc.v1.cri", "registry", "config_path") != defaultCerts {
		t.Errorf("config.toml says %v, %v", cri, err)
	}
	podman := read(t, filepath.Join(root, "etc/containers/registries.conf.d/50-dockchain.conf"))
	if !strings.Contains(podman, "[[registry.mirror]]\nlocation = \"localhost:5000/quay.io\"\ninsecure = true\n") {
		t.Errorf("podman's says %q", podman)
	}
}

// A link stays a link; what it points to keeps its mode.
func TestLinksAndModesStay(t *testing.T) {
	t.Parallel()
	root := lay(t, map[string]string{"shared/daemon.json": "{}"})
	if err := os.MkdirAll(filepath.Join(root, "etc/docker"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../shared/daemon.json", filepath.Join(root, "etc/docker/daemon.json")); err != nil {
		t.Fatal(err)
	}
	apply(t, "docker", options(root))
	info, err := os.Stat(filepath.Join(root, "shared/daemon.json"))
	if err != nil || info.Mode().Perm() != 0o640 || info.Size() < 10 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Lstat(filepath.Join(root, "etc/docker/daemon.json")); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAddressesAreChecked(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Options){
		func(o *Options) { o.Hosts = []string{"../../etc"} },
		func(o *Options) { o.Hosts = []string{"quay.io/x"} },
		func(o *Options) { o.Hosts = []string{"a\"\n[x"} },
		func(o *Options) { o.Registry = "127.0.0.1:0" },
		func(o *Options) { o.Mirror = "5005" },
	} {
		o := options(t.TempDir())
		change(&o)
		if _, err := For("podman", o); !errors.Is(err, ErrBadAddress) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A setup that was cut off between the record and the files can be undone.
func TestUndoOfHalf(t *testing.T) {
	t.Parallel()
	root := lay(t, map[string]string{"etc/docker/daemon.json": `{"mtu": 1}`})
	before := tree(t, root)
	apply(t, "docker", options(root))
	if err := os.WriteFile(filepath.Join(root, "etc/docker/daemon.json"), []byte(`{"mtu": 1}`), 0o640); err != nil {
		t.Fatal(err)
	}
	undo(t, "docker", root)
	if d := cmp.Diff(before, tree(t, root)); d != "" {
		t.Error(d)
	}
}
