package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/dockchains/dockchain/node"
)

func TestNotificationsConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "token"), "secret\n")
	file := filepath.Join(dir, "c.toml")
	writeFile(t, file, `
events = "127.0.0.1:4781"
[notifications]
ids = 7
id_age = "1h"
clients = 9
[[notifications.endpoints]]
name = "ci"
url = "https://ci.example/hook"
token_file = "`+filepath.Join(dir, "token")+`"
headers = { X-A = ["1", "2"] }
version = "v1"
timeout = "3s"
threshold = 4
backoff = "50ms"
ignore = { actions = ["pull"], media_types = ["a/b"] }
[[notifications.endpoints]]
name = "other"
url = "http://127.0.0.1:1/"
disabled = true
`)
	g, o, err := resolved(t, nil, "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.file.Notifications.config()
	if err != nil {
		t.Fatal(err)
	}
	want := node.NotifyConfig{
		IDs: 7, IDAge: time.Hour, Windows: 9,
		Endpoints: []node.NotifyEndpoint{{
			Name: "ci", URL: "https://ci.example/hook", Token: "secret", Headers: map[string][]string{"X-A": {"1", "2"}}, Version: "v1",
			Timeout: 3 * time.Second, Threshold: 4, Backoff: 50 * time.Millisecond,
			IgnoredActions: []string{"pull"}, IgnoredMediaTypes: []string{"a/b"},
		}, {Name: "other", URL: "http://127.0.0.1:1/", Disabled: true}},
	}
	if d := cmp.Diff(want, got, cmp.Transformer("now", func(func() time.Time) bool { return true })); d != "" || o.node.Events != "127.0.0.1:4781" {
		t.Errorf("events %q, -want +got\n%s", o.node.Events, d)
	}
	for text, want := range map[string]string{
		"[notifications]\nid_age = \"soon\"":                                "line 2",
		"[[notifications.endpoints]]\nnam = \"x\"":                          "unknown key",
		"[[notifications.endpoints]]\nname = \"x\"\ntimeout = 5":            "missing unit",
		"[[notifications.endpoints]]\nname = \"x\"\nca_file = \"/nowhere\"": "endpoint \"x\"",
	} {
		writeFile(t, file, text)
		g, _, err := resolved(t, nil, "--config", file)
		if err == nil {
			_, err = g.file.Notifications.config()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}

// The example in the help is one.
func TestNotificationsTopic(t *testing.T) {
	t.Parallel()
	var example []string
	for _, l := range strings.Split(newNotificationsTopic().Long, "\n") {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "[") || strings.Contains(l, " = ") && !strings.HasPrefix(l, "dockchain") {
			example = append(example, l)
		}
	}
	var c fileConfig
	d := toml.NewDecoder(strings.NewReader(strings.Join(example, "\n"))).DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(example, "\n"))
	}
	n := c.Notifications
	if n.IDs != 1_000_000 || n.DeadLetters != 1000 || len(n.Endpoints) != 1 || n.Endpoints[0].MaxAge.Duration != 168*time.Hour || len(n.Endpoints[0].Ignore.Actions) != 1 {
		t.Errorf("%+v", n)
	}
}

func FuzzFileDuration(f *testing.F) {
	f.Add("1h30m")
	f.Add("-1s")
	f.Fuzz(func(t *testing.T, s string) {
		var d, again fileDuration
		if d.UnmarshalText([]byte(s)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(d.Duration.String())); err != nil || again != d {
			t.Errorf("%q is %v, read again %v (%v)", s, d.Duration, again.Duration, err)
		}
	})
}
