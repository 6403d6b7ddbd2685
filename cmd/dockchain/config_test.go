package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// resolved runs "run" up to where the node would start, and gives what it was
// told.
func resolved(t *testing.T, env map[string]string, args ...string) (*global, *runOptions, error) {
	t.Helper()
	g := &global{ui: newUI(t.Output(), t.Output()), env: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	root := newRootCommand(g)
	for _, c := range root.Commands() {
		if c.Name() == "run" {
			root.RemoveCommand(c)
		}
	}
	o := &runOptions{}
	cmd := &cobra.Command{Use: "run", RunE: func(*cobra.Command, []string) error { return nil }}
	o.addFlags(cmd)
	root.AddCommand(cmd)
	root.SetArgs(append([]string{"run"}, args...))
	return g, o, root.Execute()
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "dockchain", "config.toml")
	writeFile(t, file, `
home = "/from/file"
registry = "file:1"
api = "file:2"
bootstrap = ["/file/a", "/file/b"]
mdns = true
log_level = "error"
`)
	env := map[string]string{
		"XDG_CONFIG_HOME": dir, "DOCKCHAIN_API": "env:2", "DOCKCHAIN_BITTORRENT": "env:3",
		"DOCKCHAIN_TRACKER": "udp://a,udp://b", "DOCKCHAIN_REGISTRY": "",
	}
	g, o, err := resolved(t, env, "--bittorrent", "flag:3")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{
		"home": g.home, "registry": o.node.Registry, "api": o.node.API, "bittorrent": o.node.BitTorrent,
		"bootstrap": o.node.Bootstrap, "tracker": o.node.Trackers, "mdns": o.node.MDNS, "level": o.logLevel.Level().String(),
	}
	want := map[string]any{
		"home": "/from/file", "registry": "file:1", "api": "env:2", "bittorrent": "flag:3",
		"bootstrap": []string{"/file/a", "/file/b"}, "tracker": []string{"udp://a", "udp://b"}, "mdns": true, "level": "ERROR",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"flag":         {map[string]string{"DOCKCHAIN_HOME": "/e"}, []string{"--home", "/f"}, "/f"},
		"environment":  {map[string]string{"DOCKCHAIN_HOME": "/e", "XDG_DATA_HOME": "/x"}, nil, "/e"},
		"xdg":          {map[string]string{"XDG_DATA_HOME": "/x", "HOME": "/h"}, nil, "/x/dockchain"},
		"xdg relative": {map[string]string{"XDG_DATA_HOME": "x", "HOME": "/h"}, nil, "/h/.local/share/dockchain"},
		"default":      {map[string]string{"HOME": "/h"}, nil, "/h/.local/share/dockchain"},
	} {
		g, _, err := resolved(t, tt.env, tt.args...)
		if err != nil || g.home != tt.want {
			t.Errorf("%s: home %q, err %v, want %q", name, g.home, err, tt.want)
		}
	}
}

func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file string
		env  map[string]string
		want string
	}{
		"unknown key":   {"registry = \"x\"\nregistri = \"x\"\n", nil, "line 2: unknown key registri"},
		"unknown table": {"[node]\napi = \"x\"\n", nil, "unknown key node"},
		"wrong type":    {"mdns = \"yes\"\n", nil, "line 1"},
		"broken":        {"mdns = \n", nil, "line 1"},
		"bad in env":    {"", map[string]string{"DOCKCHAIN_MDNS": "perhaps"}, "DOCKCHAIN_MDNS"},
		"bad level":     {"log_level = \"loud\"\n", nil, "the configuration file: log_level"},
		"bad output":    {"output = \"xml\"\n", nil, "-o xml"},
	} {
		file := filepath.Join(t.TempDir(), "c.toml")
		writeFile(t, file, tt.file)
		_, _, err := resolved(t, tt.env, "--config", file)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tt.want)
		}
	}
	if _, _, err := resolved(t, nil, "--config", filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a file that was named and is not there is no error")
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("registry = \"127.0.0.1:0\"\nbootstrap = [\"a\"]\nmdns = true\n")
	f.Add("[table]\nx = 1\n")
	f.Add("mdns = 1979-05-27T07:32:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "c.toml")
		writeFile(t, file, text)
		g := &global{env: noEnv, config: file}
		if c, err := g.readConfig(true); err == nil && len(c.settings()) == 0 {
			t.Error("no settings and no error")
		}
	})
}

// The help topic lists every setting, in its three spellings.
func TestEnvironmentTopicIsComplete(t *testing.T) {
	t.Parallel()
	topic := newEnvironmentTopic().Long
	for _, s := range (fileConfig{}).settings() {
		for _, word := range []string{"--" + s.flag() + " ", s.environment() + " ", storageKey(s.key) + " = "} {
			if !strings.Contains(topic, word) {
				t.Errorf("help environment does not tell %q", word)
			}
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
