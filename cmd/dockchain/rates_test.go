package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/api"
)

func TestRatesAreResolved(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.toml")
	writeFile(t, file, `
upload_limit = "1MB"
download_limit = "1.5MiB"
class_limit = ["client=100kB:1MB", "lan=0"]
lan_limited = true
[limits]
connections = 300
request_memory = "100MiB"
[[limits.schedule]]
days = "mon-fri"
from = "08:00"
to = "18:00"
upload = "500kB"
class = ["node=1MB"]
[[limits.schedule]]
from = "02:00"
to = "03:00"
pause = true
`)
	env := map[string]string{"DOCKCHAIN_DOWNLOAD_LIMIT": "2MB/s"}
	g, o, err := resolved(t, env, "--config", file, "--upload-limit", "5MB", "--class-limit", "relay=64KiB")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.file.Limits.apply(&o.node); err != nil {
		t.Fatal(err)
	}
	if err := o.node.Validate(); err != nil && !strings.Contains(err.Error(), "home") {
		t.Error(err)
	}
	want := node.Limits{Rates: node.Rates{Upload: 5_000_000, Download: 2_000_000}, LimitLAN: true}
	want.Classes[3] = node.Rates{Upload: 64 << 10, Download: 64 << 10} // a flag goes before the file
	if diff := cmp.Diff(want, o.node.Bandwidth.Limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if b := o.node.Budget; b.Connections != 300 || b.RequestMemory != 100<<20 || b.Peers != 0 {
		t.Errorf("budget %+v", b)
	}
	s := o.node.Bandwidth.Schedule
	if len(s) != 2 || s[0].String() != "mon-fri 08:00-18:00" || *s[0].Upload != 500_000 || s[0].Download != nil || s[0].Classes["node"].Download != 1_000_000 || !s[1].Pause {
		t.Errorf("schedule %+v", s)
	}
}

func TestBadRates(t *testing.T) {
	t.Parallel()
	for flag, values := range map[string][]string{
		"--upload-limit": {"", "x", "-1", "5XB", "1e999"},
		"--class-limit":  {"", "lan", "wan=1MB", "lan=", "lan=1MB:", "lan=1MB:2MB:3MB"},
	} {
		for _, v := range values {
			if _, _, err := resolved(t, nil, flag, v); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s %q: %v", flag, v, err)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "c.toml")
	for text, want := range map[string]string{
		"upload_limit = \"5kB\"":    "upload of 5000 bytes",
		"lan_limited = 1":           "bool",
		"[limits]\nconnections = 1": "1 connections",
		"[limits]\nconnections = 400\nrequest_memory = \"1MiB\"": "request memory",
		"[limits]\npeers = 3":                                                   "3 peers",
		"[limits]\nspeed = 3":                                                   "unknown key",
		"[[limits.schedule]]\nfrom = \"8\"\nto = \"9\"":                         "HH:MM",
		"[[limits.schedule]]\nfrom = \"08:00\"\nto = \"09:00\"":                 "changes nothing",
		"[[limits.schedule]]\nfrom = \"08:00\"\nto = \"09:00\"\nupload = \"x\"": "schedule 1",
		"[[limits.schedule]]\nfrom = \"08:00\"\nto = \"09:00\"\ndays = \"x\"":   "days",
	} {
		writeFile(t, file, text)
		g, o, err := resolved(t, nil, "--config", file)
		if err == nil {
			err = g.file.Limits.apply(&o.node)
		}
		if err == nil {
			o.node.Home = t.TempDir()
			err = o.node.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", text, err, want)
		}
	}
}

// The table in the help is the one that is read, and means what it says.
func TestLimitsHelpParses(t *testing.T) {
	t.Parallel()
	_, text, ok := strings.Cut(newLimitsCommand(&global{}).Long, "  [limits]\n")
	if !ok {
		t.Fatal("the help shows no [limits]")
	}
	var c fileConfig
	if err := toml.NewDecoder(strings.NewReader("[limits]\n" + text)).DisallowUnknownFields().Decode(&c); err != nil {
		t.Fatal(err)
	}
	n := node.DefaultConfig()
	n.Home = t.TempDir()
	if err := c.Limits.apply(&n); err != nil {
		t.Fatal(err)
	}
	if err := n.Validate(); err != nil {
		t.Fatal(err)
	}
	if n.Budget.RequestMemory != 768<<20 || len(n.Bandwidth.Schedule) != 2 || !n.Bandwidth.Schedule[1].Pause {
		t.Errorf("%+v, %+v", n.Budget, n.Bandwidth)
	}
}

func TestLimitsRequest(t *testing.T) {
	t.Parallel()
	up, limited := int64(5_000_000), true
	for line, want := range map[string]api.LimitsRequest{
		"--upload 5MB --lan limited":         {Change: api.LimitsChange{Upload: &up, LimitLAN: &limited}},
		"--class lan=0 --class node=1MB:2MB": {Change: api.LimitsChange{Classes: map[string]node.Rates{"lan": {}, "node": {Upload: 1_000_000, Download: 2_000_000}}}},
		"--pause":                            {Pause: true},
		"--pause=30m":                        {Pause: true, For: 1800e9},
		"--resume --reset":                   {Resume: true, Reset: true},
	} {
		got, asked, err := requestOf(t, line)
		if err != nil || !asked {
			t.Errorf("%s: %v, %v", line, asked, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	for _, line := range []string{"--upload x", "--class wan=1", "--pause --resume", "--lan maybe"} {
		if _, _, err := requestOf(t, line); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
	if _, asked, err := requestOf(t, ""); asked || err != nil {
		t.Errorf("without flags: %v, %v", asked, err)
	}
}

func requestOf(t *testing.T, line string) (api.LimitsRequest, bool, error) {
	t.Helper()
	var o limitsOptions
	cmd := &cobra.Command{}
	o.addFlags(cmd)
	if err := cmd.ParseFlags(strings.Fields(line)); err != nil {
		t.Fatal(err)
	}
	return o.request()
}

// Each frame of --watch takes the place of the one before.
func TestFramesFit(t *testing.T) {
	t.Parallel()
	frame, n := fit("one\ntwo, which is long\nthree\n", 10, 24, 0)
	if n != 3 || frame != "one\x1b[K\ntwo, whi…\x1b[K\nthree\x1b[K\n\x1b[J" {
		t.Errorf("%d lines: %q", n, frame)
	}
	frame, n = fit("one\ntwo\nthree\n", 80, 3, 5)
	if n != 2 || frame != "\x1b[2A\rone\x1b[K\ntwo\x1b[K\n\x1b[J" {
		t.Errorf("%d lines: %q", n, frame)
	}
}

// FuzzRate reads what it writes back as the same.
func FuzzRate(f *testing.F) {
	f.Add("5MB", "client=1MB:2MB", "08:00", "mon-fri")
	f.Add("0", "lan=0", "24:00", "sat")
	f.Fuzz(func(t *testing.T, rate, class, clock, days string) {
		if n, err := parseRate(rate); err == nil {
			if again, err := parseRate(rateText(n)); err != nil || again != n {
				t.Errorf("%q is %d, written %q, read %d, %v", rate, n, rateText(n), again, err)
			}
		}
		if name, r, err := parseClassRate(class); err == nil {
			again, r2, err := parseClassRate(name + "=" + rateText(r.Upload) + ":" + rateText(r.Download))
			if err != nil || again != name || r2 != r {
				t.Errorf("%q is %s %+v, read again %s %+v, %v", class, name, r, again, r2, err)
			}
		}
		w := windowConfig{From: clock, To: clock, Days: days, Upload: rate, Class: []string{class}}
		if got, err := w.window(); err == nil && got.From != got.To {
			t.Errorf("%q begins and ends at %v and %v", clock, got.From, got.To)
		}
	})
}
