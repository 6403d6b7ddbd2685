package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// smallDisk mounts a file system of so many MiB, and gives a function that makes
// it another size.
func smallDisk(t *testing.T, mib int) (dir string, resize func(mib int)) {
	t.Helper()
	dir = t.TempDir()
	size := func(mib int) string { return fmt.Sprintf("size=%dm", mib) }
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, size(mib)); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("making a small disk: %v", err)
		}
		t.Skipf("a small disk cannot be made here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	return dir, func(mib int) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, size(mib)); err != nil {
			t.Fatalf("resizing a disk: %v", err)
		}
	}
}

func freeBytes(t *testing.T, dir string) uint64 {
	t.Helper()
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return s.Bavail * uint64(s.Bsize)
}

// TestDiskFullDuringFetch fetches more than the disk holds: a clear error, no
// damage, and when there is room the fetch goes on from what it had.
//
// The sizes let the disk fill up early, in the middle, and with the last bytes,
// when only records are left to be written.
func TestDiskFullDuringFetch(t *testing.T) {
	for _, mib := range []int{12, 24, 39, 40} {
		t.Run(fmt.Sprintf("%d MiB", mib), func(t *testing.T) { fillDisk(t, mib) })
	}
}

func fillDisk(t *testing.T, mib int) {
	dir, resize := smallDisk(t, mib)
	bin := builtProgram(t)
	net := testnet.New(t, 1).Start()
	layout := testnet.Image{Seed: 500, Layers: []int64{4 << 20, 12 << 20, 24 << 20, 100 << 10}}.Lay(t)
	pub := net.Node(0).PublishLayout("big:1", layout)

	p := testnet.Run(t, bin, filepath.Join(dir, "home"), "--keep-free", "0", "--bootstrap", net.Node(0).Addr())
	out := filepath.Join(t.TempDir(), "out")
	req := exchange.FetchRequest{Target: pub.Magnet, Export: "oci:" + out}
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	_, err := p.Fetch(ctx, req, nil)
	if !errors.Is(err, exchange.ErrNoSpace) {
		t.Fatalf("fetching onto a full disk: %v, want %v", err, exchange.ErrNoSpace)
	}
	testnet.WholeBlobs(t, p.Home())
	if _, err := p.Status(ctx); err != nil {
		t.Errorf("the node does not answer any more: %v", err)
	}
	// The disk is still full: still an error, no more than that.
	if _, err := p.Fetch(ctx, req, nil); !errors.Is(err, exchange.ErrNoSpace) {
		t.Errorf("fetching onto a full disk again: %v, want %v", err, exchange.ErrNoSpace)
	}

	resize(256)
	got, err := p.Fetch(ctx, req, nil)
	if err != nil {
		t.Fatalf("fetching when there is room again: %v", err)
	}
	testnet.SameLayout(t, layout, out)
	testnet.WholeBlobs(t, p.Home())
	if got.BytesFromDisk == 0 {
		t.Error("what had arrived before was fetched again")
	}
	p.Stop()
	if n := inspect(t, p.Home()); n != 1 {
		t.Errorf("the node's own log has %d entries, want 1", n)
	}
}

// TestDiskFullDuringPublish publishes more than the disk holds.
func TestDiskFullDuringPublish(t *testing.T) {
	dir, resize := smallDisk(t, 24)
	bin := builtProgram(t)
	layout := testnet.Image{Seed: 501, Layers: []int64{4 << 20, 40 << 20}}.Lay(t)
	p := testnet.Run(t, bin, filepath.Join(dir, "home"), "--keep-free", "0")
	ctx, cancel := testnet.Deadline(t)
	defer cancel()
	req := exchange.PublishRequest{Source: "oci:" + layout.Dir, As: "me/big:1"}
	if _, err := p.Publish(ctx, req, nil); !errors.Is(err, exchange.ErrNoSpace) {
		t.Fatalf("publishing onto a full disk: %v, want %v", err, exchange.ErrNoSpace)
	}
	testnet.WholeBlobs(t, p.Home())
	resize(256)
	pub, err := p.Publish(ctx, req, nil)
	if err != nil {
		t.Fatalf("publishing when there is room again: %v", err)
	}
	if pub.Entry != 1 {
		t.Errorf("the release is entry %d, want 1: the failed one is in the log", pub.Entry)
	}
	p.Stop()
	inspect(t, p.Home())
	if _, err := os.Stat(filepath.Join(p.Home(), "blobs")); err != nil {
		t.Error(err)
	}
}
