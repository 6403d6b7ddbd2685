package blobs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestAdopt(t *testing.T) {
	t.Parallel()
	data := content(1, 2*chunk+1)
	size := int64(len(data))
	tests := []struct {
		name    string
		partial []byte // nil: there is none
		size    int64
		want    error
		stays   bool // the partial download does
	}{
		{"whole", data, size, nil, false},
		{"size unknown", data, -1, nil, false},
		{"short", data[:size-1], size, ErrSizeMismatch, true},
		{"short, size unknown", data[:size-1], -1, ErrDigestMismatch, false},
		{"empty", []byte{}, size, ErrSizeMismatch, true},
		{"long", append(bytes.Clone(data), 0), size, ErrSizeMismatch, false},
		{"other", content(2, len(data)), size, ErrDigestMismatch, false},
		{"absent", nil, size, ErrNotFound, false},
	}
	for _, alg := range algorithms {
		for _, tt := range tests {
			for _, hashed := range []bool{false, true} {
				name := alg.String() + " " + tt.name
				if hashed {
					name += " hashed"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s, d := newStore(t), alg.FromBytes(data)
					if tt.partial != nil {
						if err := os.WriteFile(s.Partial(d), tt.partial, 0o600); err != nil {
							t.Fatal(err)
						}
					}
					var err error
					if hashed {
						err = s.AdoptHashed(d, tt.size, alg.FromBytes(tt.partial))
					} else {
						err = s.Adopt(t.Context(), d, tt.size)
					}
					if !errors.Is(err, tt.want) {
						t.Fatalf("Adopt: %v, want %v", err, tt.want)
					}
					if _, err := os.Stat(s.Partial(d)); (err == nil) != tt.stays {
						t.Errorf("partial download afterwards: %v", err)
					}
					if n := checkStore(t, s); (n == 1) != (tt.want == nil) {
						t.Errorf("%d blobs", n)
					}
					if tt.want == nil && !bytes.Equal(mustRead(t, s, d), data) {
						t.Error("content differs")
					}
				})
			}
		}
	}
}

func TestAdoptThere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, 100)
	d, _, err := s.Ingest(t.Context(), digest.SHA256, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), d, 100); err != nil {
		t.Errorf("without a download: %v", err)
	}
	if err := os.WriteFile(s.Partial(d), []byte("anything"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.AdoptHashed(d, 100, digest.FromString("anything")); err != nil {
		t.Errorf("with another download: %v", err)
	}
	if _, err := os.Stat(s.Partial(d)); !os.IsNotExist(err) {
		t.Errorf("download stayed: %v", err)
	}
	checkStore(t, s)
}

func TestAdoptCancelled(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, 100)
	d := digest.FromBytes(data)
	if err := os.WriteFile(s.Partial(d), data, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Adopt(ctx, d, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("Adopt: %v", err)
	}
	if err := s.Adopt(t.Context(), d, 100); err != nil {
		t.Errorf("Adopt after one that was cancelled: %v", err)
	}
}

// A link in place of a download must not bring in a file from elsewhere.
func TestAdoptLink(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, 100)
	d := digest.FromBytes(data)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, s.Partial(d)); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), d, -1); err == nil {
		t.Error("a link was adopted")
	}
	if n := checkStore(t, s); n != 0 {
		t.Errorf("%d blobs", n)
	}
}
