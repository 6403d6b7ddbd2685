//go:build linux

package store

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
)

// A disk that is as good as full refuses writes before Badger tries them, where
// a page that cannot be had would end the process.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("making a small disk: %v", err)
		}
		t.Skipf("a small disk cannot be made here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	_, err := Open(dir, testLog(t))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("opening on a full disk: %v", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	torrent := Torrent{Infohash: digest.FromString("x").Encoded()[:40], Kind: LayerTorrent, Digest: digest.FromString("x"), Size: 1, Info: []byte("d")}
	if err := s.PutTorrent(torrent); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=3m"); err != nil {
		t.Fatalf("the disk cannot be made smaller: %v", err)
	}
	if err := s.PutTorrent(torrent); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing on a full disk: %v", err)
	}
	if _, err := s.Torrent(torrent.Infohash); err != nil {
		t.Errorf("reading on a full disk: %v", err)
	}
}
