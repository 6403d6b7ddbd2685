package blobs

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
)

// Many callers store, adopt, read and delete the same few blobs at once.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := [][]byte{content(1, 10), content(2, 100_000), content(3, 2*chunk)}
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			for j := range 12 {
				want := data[(i+j)%len(data)]
				d := algorithms[j%2].FromBytes(want)
				if err := change(t, s, (i+j)%6, d, want); err != nil {
					t.Errorf("caller %d, step %d: %v", i, j, err)
				}
			}
		})
	}
	wg.Wait()
	checkStore(t, s)
}

func change(t *testing.T, s *Store, kind int, d digest.Digest, data []byte) error {
	size := int64(len(data))
	switch kind {
	case 0, 1:
		return s.Put(t.Context(), d, size, iotest.HalfReader(bytes.NewReader(data)))
	case 2:
		_, _, err := s.Ingest(t.Context(), d.Algorithm(), bytes.NewReader(data))
		return err
	case 3: // one that lies
		err := s.Put(t.Context(), d, size, bytes.NewReader(make([]byte, size)))
		if errors.Is(err, ErrDigestMismatch) {
			err = nil
		}
		return err
	case 4:
		err := s.Delete(d)
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return err
	}
	f, err := s.Open(d)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	got, _, err := hash(t.Context(), d.Algorithm(), f)
	return errors.Join(err, f.Close(), compare(got, d))
}

// All put the same blob; all are told the truth.
func TestConcurrentPutsOfOne(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	data := content(1, chunk+1)
	d := digest.FromBytes(data)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			<-start
			if err := s.Put(t.Context(), d, int64(len(data)), bytes.NewReader(data)); err != nil {
				t.Error(err)
			}
			if err := s.Verify(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := checkStore(t, s); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

// Of several who adopt one download, each succeeds.
func TestConcurrentAdopts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for seed := range 20 {
		data := content(seed, chunk)
		d := digest.FromBytes(data)
		if err := os.WriteFile(s.Partial(d), data, 0o600); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := s.Adopt(t.Context(), d, chunk); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := checkStore(t, s); n != 20 {
		t.Errorf("%d blobs", n)
	}
}
