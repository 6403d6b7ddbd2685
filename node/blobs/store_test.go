package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// content returns n bytes that differ by seed and position.
func content(seed, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rand.NewChaCha8(key).Read(b)
	return b
}

func mustRead(t *testing.T, s *Store, d digest.Digest) []byte {
	t.Helper()
	f, err := s.Open(d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkStore is the invariant that holds after anything that can happen: each
// blob is whole, and no writer has left anything in staging.
func checkStore(t *testing.T, s *Store) (blobs int) {
	t.Helper()
	err := s.Walk(func(d digest.Digest, size int64) error {
		blobs++
		return s.Verify(t.Context(), d)
	})
	if err != nil {
		t.Errorf("torn blob: %v", err)
	}
	left, err := os.ReadDir(s.putDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left in staging: %s", entry.Name())
	}
	return blobs
}

func TestPut(t *testing.T) {
	t.Parallel()
	data := content(1, chunk+100)
	sha256, sha512 := digest.SHA256.FromBytes(data), digest.SHA512.FromBytes(data)
	broken := errors.New("connection reset")
	tests := []struct {
		name   string
		digest digest.Digest
		size   int64
		r      io.Reader
		want   error
	}{
		{"sha256", sha256, int64(len(data)), bytes.NewReader(data), nil},
		{"sha512", sha512, int64(len(data)), bytes.NewReader(data), nil},
		{"size unknown", sha256, -1, bytes.NewReader(data), nil},
		{"byte by byte", sha256, int64(len(data)), iotest.OneByteReader(bytes.NewReader(data)), nil},
		{"empty", digest.SHA256.FromBytes(nil), 0, bytes.NewReader(nil), nil},
		{"other content", sha256, int64(len(data)), bytes.NewReader(content(2, len(data))), ErrDigestMismatch},
		{"other content, size unknown", sha512, -1, bytes.NewReader(content(2, 10)), ErrDigestMismatch},
		{"short", sha256, int64(len(data)), bytes.NewReader(data[:len(data)-1]), ErrSizeMismatch},
		{"short, size unknown", sha256, -1, bytes.NewReader(data[:len(data)-1]), ErrDigestMismatch},
		{"long", sha256, int64(len(data)), io.MultiReader(bytes.NewReader(data), strings.NewReader("!")), ErrSizeMismatch},
		{"endless", sha256, int64(len(data)), endless{}, ErrSizeMismatch},
		{"size too small", sha256, 10, bytes.NewReader(data), ErrSizeMismatch},
		{"reader fails", sha256, int64(len(data)), io.MultiReader(bytes.NewReader(data[:10]), iotest.ErrReader(broken)), broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			err := s.Put(t.Context(), tt.digest, tt.size, tt.r)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Put: %v, want %v", err, tt.want)
			}
			blobs := checkStore(t, s)
			if tt.want != nil {
				if _, err := s.Stat(tt.digest); !errors.Is(err, ErrNotFound) || blobs != 0 {
					t.Errorf("after a refused Put: %d blobs, Stat: %v", blobs, err)
				}
				return
			}
			got := mustRead(t, s, tt.digest)
			if tt.digest.Algorithm().FromBytes(got) != tt.digest {
				t.Errorf("stored %d bytes of other content", len(got))
			}
			if n, err := s.Stat(tt.digest); err != nil || n != int64(len(got)) {
				t.Errorf("Stat: %d, %v", n, err)
			}
			info, err := os.Stat(s.Path(tt.digest))
			if err != nil || info.Mode() != mode {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestPutThere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, 1000)
	d := digest.FromBytes(data)
	if err := s.Put(t.Context(), d, 1000, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{1000, -1} {
		r := bytes.NewReader(data)
		if err := s.Put(t.Context(), d, size, r); err != nil || r.Len() != len(data) {
			t.Errorf("second Put read %d bytes, %v", len(data)-r.Len(), err)
		}
	}
	if err := s.Put(t.Context(), d, 999, bytes.NewReader(data)); !errors.Is(err, ErrSizeMismatch) {
		t.Errorf("Put with a wrong size: %v", err)
	}
	if err := os.Truncate(s.Path(d), 10); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), d, 1000, bytes.NewReader(data)); err != nil {
		t.Errorf("Put over a damaged blob: %v", err)
	}
	checkStore(t, s)
}

func TestPutCancelled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := readFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	if err := s.Put(ctx, digest.FromString("x"), -1, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Put: %v", err)
	}
	checkStore(t, s)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestIngest(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(3, 3*chunk)
	for _, alg := range []digest.Algorithm{digest.SHA256, digest.SHA512, digest.SHA256} {
		d, n, err := s.Ingest(t.Context(), alg, bytes.NewReader(data))
		if err != nil || d != alg.FromBytes(data) || n != int64(len(data)) {
			t.Errorf("Ingest: %s, %d, %v", d, n, err)
		}
	}
	if _, _, err := s.Ingest(t.Context(), digest.SHA384, bytes.NewReader(data)); !errors.Is(err, ErrBadDigest) {
		t.Errorf("Ingest with sha384: %v", err)
	}
	if n := checkStore(t, s); n != 2 {
		t.Errorf("%d blobs, want 2", n)
	}
}

var badDigests = []string{
	"", ":", "sha256:", "sha256", "sha256:../../x", "sha256:../../../../../../../../../../../../../../../../../../../../../../etc/pwd",
	"../sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("A", 64), "sha256:" + strings.Repeat("a", 63),
	"sha256:" + strings.Repeat("a", 65), "sha256:" + strings.Repeat("a", 64) + "\n", "SHA256:" + strings.Repeat("a", 64),
	"sha512:" + strings.Repeat("a", 64), "sha384:" + strings.Repeat("a", 96), "md5:" + strings.Repeat("a", 32),
	"sha256:" + strings.Repeat("a", 63) + "/", "sha256:" + strings.Repeat("a", 63) + "\x00", "sha256:" + strings.Repeat("a", 1<<20),
}

func TestBadDigests(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for _, bad := range badDigests {
		d := digest.Digest(bad)
		_, statErr := s.Stat(d)
		_, openErr := s.Open(d)
		for name, err := range map[string]error{
			"Stat": statErr, "Open": openErr, "Delete": s.Delete(d), "Verify": s.Verify(t.Context(), d),
			"Put":   s.Put(t.Context(), d, -1, strings.NewReader("x")),
			"Adopt": s.Adopt(t.Context(), d, -1), "AdoptHashed": s.AdoptHashed(d, -1, d),
		} {
			if !errors.Is(err, ErrBadDigest) {
				t.Errorf("%s(%.80q): %v", name, bad, err)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("%s(%.80q): error of %d bytes", name, bad, len(err.Error()))
			}
		}
		if p := s.Path(d) + s.Partial(d); p != "" {
			t.Errorf("path of %.80q is %q", bad, p)
		}
	}
}

func TestDeleteWalkVerify(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	want := map[digest.Digest]int64{}
	for i := range 5 {
		data := content(i, i*100)
		for _, alg := range algorithms {
			d, n, err := s.Ingest(t.Context(), alg, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			want[d] = n
		}
	}
	foreign := filepath.Join(s.dir, "blobs", "sha256", "README")
	if err := os.WriteFile(foreign, []byte("not a blob"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.Path(digest.FromString("a directory")), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(foreign, s.Path(digest.FromString("a link"))); err != nil {
		t.Fatal(err)
	}
	walk := func() map[digest.Digest]int64 {
		got := map[digest.Digest]int64{}
		if err := s.Walk(func(d digest.Digest, size int64) error { got[d] = size; return nil }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff(want, walk()); diff != "" {
		t.Errorf("Walk (-want +got):\n%s", diff)
	}
	stop := errors.New("stop")
	if err := s.Walk(func(digest.Digest, int64) error { return stop }); err != stop {
		t.Errorf("Walk returned %v", err)
	}
	gone := digest.SHA512.FromBytes(content(3, 300))
	open, err := s.Open(gone)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := s.Delete(gone); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(open); err != nil || len(b) != 300 {
		t.Errorf("reading a deleted blob: %d bytes, %v", len(b), err)
	}
	for name, err := range map[string]error{"Delete": s.Delete(gone), "Verify": s.Verify(t.Context(), gone)} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of a deleted blob: %v", name, err)
		}
	}
	delete(want, gone)
	if diff := cmp.Diff(want, walk()); diff != "" {
		t.Errorf("Walk after Delete (-want +got):\n%s", diff)
	}
	for d, size := range want {
		if err := s.Verify(t.Context(), d); err != nil {
			t.Errorf("Verify: %v", err)
		}
		if size == 0 {
			continue
		}
		flip(t, s.Path(d), size/2)
		if err := s.Verify(t.Context(), d); !errors.Is(err, ErrDigestMismatch) {
			t.Errorf("Verify with one bit flipped: %v", err)
		}
	}
}

// flip changes one bit, as a bad disk does.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 4
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenCleans(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	here, coming := content(1, 100), digest.FromString("coming")
	d, _, err := s.Ingest(t.Context(), digest.SHA256, bytes.NewReader(here))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(s.putDir(), "123"), s.Partial(d), s.Partial(coming)} {
		if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err = Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if n := checkStore(t, s); n != 1 {
		t.Errorf("%d blobs", n)
	}
	if _, err := os.Stat(s.Partial(d)); !os.IsNotExist(err) {
		t.Errorf("download of a blob that is here: %v", err)
	}
	if b, err := os.ReadFile(s.Partial(coming)); err != nil || string(b) != "torn" {
		t.Errorf("download in progress: %q, %v", b, err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if s, err := Open(dir); err == nil {
			t.Errorf("Open(%s) = %v", dir, s)
		}
	}
}
