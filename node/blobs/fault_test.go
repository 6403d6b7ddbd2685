package blobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// operation is one way to change the store, for fault and crash tests.
type operation struct {
	name    string
	prepare func(s *Store, data []byte) error // with a sound disk
	run     func(ctx context.Context, s *Store, data []byte) error
	deletes bool // the blob is gone afterwards, in place of there
	variant bool // takes the same steps as another: not in short tests
}

var operations = []operation{
	{name: "put", run: func(ctx context.Context, s *Store, data []byte) error {
		return s.Put(ctx, digest.SHA256.FromBytes(data), int64(len(data)), bytes.NewReader(data))
	}},
	{name: "put sha512", variant: true, run: func(ctx context.Context, s *Store, data []byte) error {
		return s.Put(ctx, digest.SHA512.FromBytes(data), -1, bytes.NewReader(data))
	}},
	{name: "ingest", variant: true, run: func(ctx context.Context, s *Store, data []byte) error {
		_, _, err := s.Ingest(ctx, digest.SHA256, bytes.NewReader(data))
		return err
	}},
	{name: "adopt", prepare: writePartial, run: func(ctx context.Context, s *Store, data []byte) error {
		return s.Adopt(ctx, digest.FromBytes(data), int64(len(data)))
	}},
	{name: "adopt hashed", variant: true, prepare: writePartial, run: func(_ context.Context, s *Store, data []byte) error {
		d := digest.FromBytes(data)
		return s.AdoptHashed(d, int64(len(data)), d)
	}},
	{name: "upload", run: runUpload},
	{name: "delete", deletes: true,
		prepare: func(s *Store, data []byte) error {
			return s.Put(context.Background(), digest.FromBytes(data), -1, bytes.NewReader(data))
		},
		run: func(_ context.Context, s *Store, data []byte) error {
			err := s.Delete(digest.FromBytes(data))
			if errors.Is(err, ErrNotFound) { // a second try, after the first did it
				err = nil
			}
			return err
		}},
	{name: "collect", deletes: true,
		prepare: func(s *Store, data []byte) error {
			return s.Put(context.Background(), digest.FromBytes(data), -1, bytes.NewReader(data))
		},
		run: func(_ context.Context, s *Store, _ []byte) error {
			return s.Collect(time.Now().Add(time.Hour), false, func(digest.Digest) bool { return false }, func(digest.Digest, int64) {})
		}},
}

// runUpload uploads in two pieces, and goes on with an upload that is there
// already, as a client does after it was cut.
func runUpload(ctx context.Context, s *Store, data []byte) error {
	u, err := s.Uploads(UploadLimits{})
	if err != nil {
		return err
	}
	const scope = "me/app"
	id := ""
	for name := range u.open {
		id = name[len(name)-36:]
	}
	if id == "" {
		if id, err = u.Begin(scope, digest.SHA256); err != nil {
			return err
		}
	}
	for end := len(data) / 2; ; end = len(data) {
		at, err := u.Size(scope, id)
		if err != nil {
			return err
		}
		if _, err := u.Append(ctx, ctx, scope, id, at, bytes.NewReader(data[at:max(end, int(at))])); err != nil {
			return err
		}
		if end == len(data) {
			break
		}
	}
	_, err = u.Commit(ctx, scope, id, digest.FromBytes(data))
	return err
}

func writePartial(s *Store, data []byte) error {
	d := digest.FromBytes(data)
	if _, err := s.Stat(d); err == nil {
		return nil // a second try
	}
	return os.WriteFile(s.Partial(d), data, 0o600)
}

func (op operation) setup(dir string, data []byte) error {
	s, err := Open(dir)
	if err != nil || op.prepare == nil {
		return err
	}
	return op.prepare(s, data)
}

// faultData is long enough for several writes.
func faultData() []byte { return content(9, 2*chunk+77) }

// checkOutcome demands that the operation happened or did not, and that it
// succeeds when it is tried again.
func checkOutcome(t *testing.T, op operation, dir string, data []byte, reported error) {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	blobs := checkStore(t, s)
	if done := (blobs == 0) == op.deletes; reported == nil && !done {
		t.Errorf("success reported, but %d blobs", blobs)
	}
	if err := op.setup(dir, data); err != nil {
		t.Fatalf("setting up again: %v", err)
	}
	if err := op.run(t.Context(), s, data); err != nil {
		t.Errorf("trying again: %v", err)
	}
	if n := checkStore(t, s); (n == 0) != op.deletes {
		t.Errorf("%d blobs after trying again", n)
	}
}

// TestFaults makes each change to the disk fail in turn, before or after it
// took effect.
func TestFaults(t *testing.T) {
	t.Parallel()
	data := faultData()
	for _, op := range operations {
		if testing.Short() && op.variant {
			continue
		}
		for _, apply := range []bool{false, true} {
			for _, fail := range []error{syscall.ENOSPC, syscall.EIO} {
				t.Run(fmt.Sprintf("%s applied=%t %v", op.name, apply, fail), func(t *testing.T) {
					t.Parallel()
					for n := 0; ; n++ {
						dir := filepath.Join(t.TempDir(), "data")
						if err := op.setup(dir, data); err != nil {
							t.Fatal(err)
						}
						fault, ops := failAt(n, apply, fail)
						s := &Store{dir: dir, files: &faulty{fault: fault}}
						err := op.run(t.Context(), s, data)
						if len(*ops) <= n {
							if err != nil {
								t.Errorf("without a fault: %v", err)
							}
							checkOrder(t, op, *ops)
							return
						}
						checkFault(t, (*ops)[n], err, fail)
						checkOutcome(t, op, dir, data, err)
					}
				})
			}
		}
	}
}

// checkOrder demands what a loss of power does: the content is durable before
// it has its name, and the name is before success is reported.
func checkOrder(t *testing.T, op operation, ops []string) {
	t.Helper()
	rest := ops
	steps := []string{"sync", "rename", "syncdir"}
	if op.deletes {
		steps = []string{"remove", "syncdir"}
	}
	for _, step := range steps {
		i := slices.Index(rest, step)
		if i < 0 {
			t.Fatalf("no %s in its place among %q", step, ops)
		}
		rest = rest[i+1:]
	}
	if slices.Contains(rest, "write") {
		t.Errorf("a write after the last sync: %q", ops)
	}
}

func checkFault(t *testing.T, op string, err, fail error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s failed, but success was reported", op)
		return
	}
	if !errors.Is(err, fail) {
		t.Errorf("%s failed with %v, reported as %v", op, fail, err)
	}
	if full := fail == syscall.ENOSPC; errors.Is(err, ErrNoSpace) != full {
		t.Errorf("%s failed with %v, which is ErrNoSpace: %t", op, err, !full)
	}
}

// A second caller may find a blob whose name is not durable yet.
func TestPutSettles(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if _, _, err := s.Ingest(t.Context(), digest.SHA256, bytes.NewReader(faultData())); err != nil {
		t.Fatal(err)
	}
	fault, _ := failAt(0, false, syscall.EIO)
	s.files = &faulty{fault: fault}
	err := s.Put(t.Context(), digest.FromBytes(faultData()), -1, nil)
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("Put reported %v", err)
	}
}

// smallDisk is a directory on a file system of 1 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("DOCKCHAIN_REQUIRE_CLIENTS") != "" {
			t.Fatalf("mounting a small tmpfs: %v", err)
		}
		t.Skipf("mounting a small tmpfs (TestFaults covers the same): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull fills a small file system for real.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	s, err := Open(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	small, big := content(1, 300<<10), content(2, 900<<10)
	kept, _, err := s.Ingest(t.Context(), digest.SHA256, bytes.NewReader(small))
	if err != nil {
		t.Fatal(err)
	}
	d := digest.SHA512.FromBytes(big)
	if err := s.Put(t.Context(), d, int64(len(big)), bytes.NewReader(big)); !errors.Is(err, ErrNoSpace) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put on a full disk: %v", err)
	}
	if n := checkStore(t, s); n != 1 {
		t.Errorf("%d blobs on the full disk", n)
	}
	if err := s.Delete(kept); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), d, int64(len(big)), bytes.NewReader(big)); err != nil {
		t.Errorf("Put when there is room again: %v", err)
	}
	if !bytes.Equal(mustRead(t, s, d), big) {
		t.Error("content differs")
	}
}
