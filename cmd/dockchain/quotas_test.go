package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dockchains/dockchain/node"
)

func TestLimitsAreResolved(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.toml")
	writeFile(t, file, `
limit_work = 20
limit_total = "1000:64MiB"
limit_peer_bytes = "1MB:2MB"
limit_room = "7:1kB"
limit_unused = "1h30m"
`)
	env := map[string]string{"DOCKCHAIN_LIMIT_AUTHOR_ENTRIES": "0.5:10", "DOCKCHAIN_LIMIT_WORK": "21"}
	_, o, err := resolved(t, env, "--config", file, "--limit-peer-bytes", "1KiB:1MiB", "--limit-work", "22")
	if err != nil {
		t.Fatal(err)
	}
	want := node.Quota{
		WorkBits: 22, Total: node.QuotaTotal{Authors: 1000, Bytes: 64 << 20}, PeerBytes: node.QuotaRate{PerSecond: 1 << 10, Burst: 1 << 20},
		Base: node.QuotaRoom{Entries: 7, Bytes: 1000}, AuthorEntries: node.QuotaRate{PerSecond: 0.5, Burst: 10}, Unused: 90 * time.Minute,
	}.Limits()
	for i, got := range o.node.Quota.Limits() {
		if got != want[i] {
			t.Errorf("%s is %v, want %v", got.Name, got.Value, want[i].Value)
		}
	}
	if err := o.node.Quota.Validate(); err != nil {
		t.Error(err)
	}
}

func TestBadLimits(t *testing.T) {
	t.Parallel()
	for flag, values := range map[string][]string{
		"--limit-peer-entries": {"", "5", "5:", ":5", "0:5", "5:0", "-1:5", "5:-1", "5:1.5", "5:5:5", "NaN:5", "Inf:5", "1e300:5", "5:9999999TiB", "5 :5", "0x5:5", "1_0:5"},
		"--limit-room":         {"", "5", "0:1MiB", "5:0", "5:x", "5:1XB", "1.5:5"},
		"--limit-work":         {"", "x", "0", "-2", "1.5"},
		"--limit-unused":       {"", "5", "-1h", "0s"},
	} {
		for _, v := range values {
			if _, _, err := resolved(t, nil, flag, v); err == nil || !strings.Contains(err.Error(), flag) {
				t.Errorf("%s %q: %v", flag, v, err)
			}
		}
	}
	for _, text := range []string{"limit_total = [1]", "limit_total = true", "limit_works = 3"} {
		file := filepath.Join(t.TempDir(), "c.toml")
		writeFile(t, file, text)
		if _, _, err := resolved(t, nil, "--config", file); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// FuzzLimit reads what it writes back as the same.
func FuzzLimit(f *testing.F) {
	for _, s := range []string{"2:1000", "1MiB:32MiB", "0.1:5", "1.5GB:1kB", "1e3:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var r, again node.QuotaRate
		if (rateValue{&r}).Set(s) == nil {
			if err := (rateValue{&again}).Set(rateValue{&r}.String()); err != nil || r != again {
				t.Errorf("%q is %+v, written %s, read %+v (%v)", s, r, rateValue{&r}, again, err)
			}
		}
		var n, b, n2, b2 int64
		if (roomValue{&n, &b}).Set(s) == nil {
			if err := (roomValue{&n2, &b2}).Set(roomValue{&n, &b}.String()); err != nil || n != n2 || b != b2 {
				t.Errorf("%q is %d:%d, read again %d:%d (%v)", s, n, b, n2, b2, err)
			}
		}
	})
}
