package swarm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
)

// pieceSums is what an image hasher must find, computed plainly.
func pieceSums(files []Source) []byte {
	var all, sums []byte
	for _, f := range files {
		all = append(all, f.Data...)
	}
	for n := int(PieceLength(int64(len(all)))); len(all) > 0; all = all[min(n, len(all)):] {
		sum := sha1.Sum(all[:min(n, len(all))])
		sums = append(sums, sum[:]...)
	}
	return sums
}

func TestImageHasher(t *testing.T) {
	t.Parallel()
	const piece = 256 << 10
	for name, sizes := range map[string][]int{
		"one piece":         {piece},
		"less than a piece": {7},
		"short end":         {3*piece + 1},
		"straddling":        {30, 2*piece + 5, 0, piece - 40, 9, 4 * piece},
		"on borders":        {piece, 2 * piece, piece},
		"tiny files":        {1, 2, 3, 0, 4, piece, 5},
		"empty end":         {2 * piece, 0},
	} {
		var files []Source
		for i, n := range sizes {
			files = append(files, Source{Path: []string{fmt.Sprint(i)}, Size: int64(n), Data: randomBytes(uint64(i), n)})
		}
		want, ih, err := finishInfo(imageHead("x", files), pieceSums(files))
		if err != nil {
			t.Fatal(err)
		}
		for passing := range 1 << len(files) { // each set of files passes by once
			h, err := NewImageHasher("x", files)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range files {
				if passing&(1<<i) != 0 {
					passBy(t, h.File(i), f.Data).Keep()
				}
			}
			got, gotIH, err := h.Finish(t.Context(), nil)
			if err != nil || gotIH != ih || !bytes.Equal(got, want) {
				t.Errorf("%s, files %b passed by: %s, want %s, %v", name, passing, gotIH, ih, err)
			}
		}
	}
}

// passBy writes in blocks of any length.
func passBy(t *testing.T, f *PassingFile, data []byte) *PassingFile {
	t.Helper()
	for len(data) > 0 {
		n := 1 + rand.IntN(min(len(data), 300_000))
		if m, err := f.Write(data[:n]); m != n || err != nil {
			t.Fatalf("writing %d bytes: %d, %v", n, m, err)
		}
		data = data[n:]
	}
	return f
}

// What passed by counts only when it was whole and kept.
func TestImageHasherDoubts(t *testing.T) {
	t.Parallel()
	data, other := randomBytes(1, 3<<20), randomBytes(2, 3<<20)
	files := []Source{{Path: []string{"a"}, Size: 3 << 20, Data: data}}
	_, want, err := BuildImage(t.Context(), "x", files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, pass := range map[string]func(h *ImageHasher){
		"not kept": func(h *ImageHasher) { passBy(t, h.File(0), other) },
		"cut":      func(h *ImageHasher) { passBy(t, h.File(0), other[:2<<20]).Keep() },
		"again":    func(h *ImageHasher) { passBy(t, h.File(0), other).Keep(); passBy(t, h.File(0), data).Keep() },
	} {
		h, err := NewImageHasher("x", files)
		if err != nil {
			t.Fatal(err)
		}
		pass(h)
		if _, ih, err := h.Finish(t.Context(), nil); err != nil || ih != want {
			t.Errorf("%s: %s, want %s, %v", name, ih, want, err)
		}
	}
	h, err := NewImageHasher("x", files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := passBy(t, h.File(0), data).Write([]byte{1}); !errors.Is(err, errPassedEnd) {
		t.Errorf("one byte too many: %v", err)
	}
}

// An info dict that is believed ends the hashing, whenever it comes; one that is
// not of these files is not believed.
func TestImageHasherBelieves(t *testing.T) {
	t.Parallel()
	data := randomBytes(1, 3<<20)
	files := []Source{{Path: []string{"a"}, Size: int64(len(data)), Data: data}}
	info, want, err := BuildImage(t.Context(), "x", files, nil)
	if err != nil {
		t.Fatal(err)
	}
	renamed, _, err := BuildImage(t.Context(), "y", files, nil)
	if err != nil {
		t.Fatal(err)
	}
	moved, _, err := BuildImage(t.Context(), "x", []Source{{Path: []string{"b"}, Size: int64(len(data)), Data: data}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	unread := []Source{{Path: []string{"a"}, Size: int64(len(data)), Open: func() (io.ReaderAt, io.Closer, error) {
		return nil, nil, io.ErrClosedPipe
	}}}
	for at := range 4 { // before it passes by, twice while it does, and after
		h, err := NewImageHasher("x", unread)
		if err != nil {
			t.Fatal(err)
		}
		for name, bad := range map[string][]byte{"none": nil, "garbage": data, "name": renamed, "path": moved, "cut": info[:len(info)-1]} {
			if err := h.Believe(bad); !errors.Is(err, ErrBadInfo) {
				t.Errorf("believing %s: %v", name, err)
			}
		}
		f := h.File(0)
		for i := range 4 {
			if i == at {
				if err := h.Believe(info); err != nil {
					t.Fatal(err)
				}
			}
			if i < 3 {
				passBy(t, f, data[i<<20:(i+1)<<20])
			}
		}
		f.Keep()
		if got, ih, err := h.Finish(t.Context(), nil); err != nil || ih != want || !bytes.Equal(got, info) {
			t.Errorf("believed before part %d: %s, want %s, %v", at, ih, want, err)
		}
	}
}

// Nothing that passed by is read, and what did not is.
func TestImageHasherReads(t *testing.T) {
	t.Parallel()
	const size = 2 << 20 // whole pieces
	var opened atomic.Int64
	files := make([]Source, 2)
	for i := range files {
		files[i] = Source{Path: []string{fmt.Sprint(i)}, Size: size, Open: func() (io.ReaderAt, io.Closer, error) {
			opened.Add(1)
			return nil, nil, io.ErrClosedPipe
		}}
	}
	h, err := NewImageHasher("x", files)
	if err != nil {
		t.Fatal(err)
	}
	passBy(t, h.File(0), make([]byte, size)).Keep()
	passBy(t, h.File(1), make([]byte, size)).Keep()
	var done int64
	if _, _, err := h.Finish(t.Context(), func(d, _ int64) { done = d }); err != nil || opened.Load() > 0 || done != 2*size {
		t.Errorf("opened %d, done %d, %v", opened.Load(), done, err)
	}
	h, err = NewImageHasher("x", files)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Finish(t.Context(), nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("reading: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.Finish(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// What arrives passes by once, in order, also what was on the disk before.
func TestFetchContent(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	a, b := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 7, 3<<20+1)
	a.shelf.put(bl.info, bl.source())
	job := bl.job(t, "alice")
	if err := os.WriteFile(job.Partial, bl.data[:1<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	job.Content = &content
	res, err := b.Fetch(within(t, patience), job)
	if err != nil {
		t.Fatal(err)
	}
	if res.Resumed != 1<<20 || !bytes.Equal(content.Bytes(), bl.data) {
		t.Errorf("%d bytes passed by, %d of them resumed", content.Len(), res.Resumed)
	}
}

type failingWriter struct{ error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.error }

func TestFetchContentRefused(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	a, b := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 8, 1<<20)
	a.shelf.put(bl.info, bl.source())
	job := bl.job(t, "alice")
	job.Content = failingWriter{io.ErrShortBuffer}
	if _, err := b.Fetch(within(t, patience), job); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("got %v", err)
	}
}
