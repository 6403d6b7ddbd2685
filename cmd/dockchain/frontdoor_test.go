package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/dockchains/dockchain/node"
)

// The table in the help is the one that is read, and changes nothing.
func TestRegistryTopic(t *testing.T) {
	t.Parallel()
	_, text, ok := strings.Cut(newRegistryTopic().Long, "  [door]\n")
	if !ok {
		t.Fatal("the help shows no [door]")
	}
	var c fileConfig
	d := toml.NewDecoder(strings.NewReader("[door]\n" + text)).DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	n := node.DefaultConfig()
	if err := c.applyDoor(&n); err != nil {
		t.Fatal(err)
	}
	if n.Door.Uploads.Sessions != 1024 || n.Door.Requests != 1024 || n.Pull.Patience != 30*time.Second || n.Upstream.InAll != 24 || !n.UpstreamLogin {
		t.Errorf("%+v, %+v, %+v", n.Door, n.Pull, n.Upstream)
	}
}

func TestDoorConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.toml")
	writeFile(t, file, "[door]\nuploads = 3\nstall = \"5s\"\n[upstream]\ninsecure = [\"reg.example:5000\"]\nlogin = false\nfresh = \"-1s\"\n")
	g, o, err := resolved(t, nil, "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.file.applyDoor(&o.node); err != nil {
		t.Fatal(err)
	}
	n := o.node
	if n.Door.Uploads.Sessions != 3 || n.Door.Stall != 5*time.Second || n.UpstreamLogin || n.Pull.Fresh != -time.Second ||
		!slices.Equal(n.Upstream.Insecure, []string{"reg.example:5000"}) {
		t.Errorf("%+v, %+v, %+v", n.Door, n.Pull, n.Upstream)
	}
	for text, want := range map[string]string{
		"[door]\nuploads = -1":            "door: uploads: -1 is below 0",
		"[upstream]\nstall = \"-1s\"":     "upstream: stall",
		"[upstream]\nbytes = 1":           "unknown key",
		"[door]\nstall = 5":               "missing unit",
		"[upstream]\nswarm_budget = \"\"": "line 2",
	} {
		writeFile(t, file, text)
		g, o, err := resolved(t, nil, "--config", file)
		if err == nil {
			err = g.file.applyDoor(&o.node)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}
