package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node"
)

// What is kept on the disk is told by flags, the environment and the file.
func TestStorageIsResolved(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "c.toml")
	writeFile(t, file, `
[storage]
quota = "50GB"
keep_free = 0
gc_every = "off"
gc_grace = "2h"
keep_seeders = 3
lend = 1000
`)
	_, o, err := resolved(t, map[string]string{"DOCKCHAIN_KEEP_SEEDERS": "4", "DOCKCHAIN_CHECK_EVERY": "1m"}, "--config", file, "--lend", "20GiB", "--gc-settle", "5s")
	if err != nil {
		t.Fatal(err)
	}
	want := node.Storage{
		Quota: 50_000_000_000, KeepFree: -1, Every: -1, Grace: 2 * time.Hour, Settle: 5 * time.Second, KeepSeeders: 4, CheckEvery: time.Minute, Lend: 20 << 30,
	}
	if d := cmp.Diff(want, o.node.Storage); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	_, o, err = resolved(t, nil)
	if err != nil || o.node.Storage != (node.Storage{}) {
		t.Errorf("by default: %+v (%v)", o.node.Storage, err)
	}
	for _, args := range [][]string{
		{"--storage-quota", "much"}, {"--storage-quota", "-1"}, {"--keep-free", "1.5"}, {"--gc-every", "0s"}, {"--gc-grace", "-1h"}, {"--lend", ""},
	} {
		if _, _, err := resolved(t, nil, args...); err == nil || !strings.Contains(err.Error(), args[0]) {
			t.Errorf("%q: %v", args, err)
		}
	}
	writeFile(t, file, "[storage]\nquotas = 1\n")
	if _, _, err := resolved(t, nil, "--config", file); err == nil {
		t.Error("an unknown key is taken")
	}
}
