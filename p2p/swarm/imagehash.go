package swarm

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// An ImageHasher derives an image torrent from files of which some pass by
// while they arrive and the others are read at the end, so that an image need
// not be read once more when it is whole. With Believe it hashes nothing. It is
// safe for concurrent use.
type ImageHasher struct {
	name  string
	files []Source
	spans []Span
	size  int64
	piece int64

	believed atomic.Pointer[[]byte] // an info dict

	mu     sync.Mutex
	hashes []byte // guarded by mu; of all pieces
	known  []bool // guarded by mu; by piece
}

// NewImageHasher takes all files of the image; their bytes are not looked at yet.
func NewImageHasher(name string, files []Source) (*ImageHasher, error) {
	if err := checkFiles(files); err != nil {
		return nil, fmt.Errorf("building image torrent %s: %w", name, err)
	}
	size := totalSize(files)
	n := numPieces(size)
	return &ImageHasher{
		name: name, files: files, spans: spans(files), size: size, piece: PieceLength(size),
		hashes: make([]byte, n*sha1.Size), known: make([]bool, n),
	}, nil
}

// Believe takes the info dict from somebody else instead of deriving it. That
// names, sizes and order are those of the files is checked here, else it is an
// ErrBadInfo; that its piece hashes are those of their bytes is not. Whoever
// seeds it finds that out, piece by piece, before the first byte is served.
func (h *ImageHasher) Believe(info []byte) error {
	if err := checkInfo(info, imageHead(h.name, h.files), h.size); err != nil {
		return err
	}
	h.believed.Store(&info)
	return nil
}

// File takes the bytes of file i, in order from the first, as they arrive. They
// count once Keep is called.
func (h *ImageHasher) File(i int) *PassingFile {
	from := h.spans[i].Offset
	first := (from + h.piece - 1) / h.piece // that begins in this file
	return &PassingFile{
		h: h, left: h.spans[i].Size, skip: min(first*h.piece-from, h.spans[i].Size), first: first, sum: sha1.New(),
	}
}

// A PassingFile hashes the pieces that lie in one file whole. What it shares
// with its neighbours is read at the end.
type PassingFile struct {
	h      *ImageHasher
	left   int64 // bytes to come
	skip   int64 // of these, that belong to a piece which begins in an earlier file
	first  int64 // the first piece
	sum    hash.Hash
	filled int64 // bytes in sum
	hashes []byte
}

var errPassedEnd = errors.New("more bytes than the file has")

// Write never keeps b.
func (f *PassingFile) Write(b []byte) (int, error) {
	if int64(len(b)) > f.left {
		return 0, errPassedEnd
	}
	n := len(b)
	f.left -= int64(n)
	if f.h.believed.Load() != nil {
		return n, nil
	}
	skipped := min(f.skip, int64(n))
	f.skip -= skipped
	for b = b[skipped:]; len(b) > 0; {
		part := b[:min(int64(len(b)), f.h.piece-f.filled)]
		f.sum.Write(part)
		f.filled += int64(len(part))
		b = b[len(part):]
		if f.filled == f.h.piece {
			f.flush()
		}
	}
	return n, nil
}

func (f *PassingFile) flush() {
	f.hashes = f.sum.Sum(f.hashes)
	f.sum.Reset()
	f.filled = 0
}

// Keep says that what passed by is what the file holds. Without it, or when less
// than the whole passed by, the file is read at the end.
func (f *PassingFile) Keep() {
	h := f.h
	if f.left > 0 || h.believed.Load() != nil {
		return
	}
	end := (f.first+int64(len(f.hashes)/sha1.Size))*h.piece + f.filled
	if f.filled > 0 && end == h.size {
		f.flush() // the last piece of the image is short
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	copy(h.hashes[f.first*sha1.Size:], f.hashes)
	for i := range len(f.hashes) / sha1.Size {
		h.known[f.first+int64(i)] = true
	}
}

// Finish reads and hashes what did not pass by, and gives the info dict and
// infohash. progress may be nil; it hears of bytes hashed.
func (h *ImageHasher) Finish(ctx context.Context, progress func(done, total int64)) (info []byte, ih Infohash, err error) {
	if b := h.believed.Load(); b != nil {
		return *b, InfohashOf(*b), nil
	}
	if err := h.readRest(ctx, progress); err != nil {
		return nil, Infohash{}, fmt.Errorf("building image torrent %s: %w", h.name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return finishInfo(imageHead(h.name, h.files), h.hashes)
}

// readRest hashes on all cores.
func (h *ImageHasher) readRest(ctx context.Context, progress func(done, total int64)) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, runtime.GOMAXPROCS(0)))
	var mu sync.Mutex
	var done int64
	told := func(n int64) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			done += n
			progress(done, h.size)
		}
	}
	skipped := int64(0)
	for i, known := range h.knownPieces() {
		n := min(h.piece, h.size-int64(i)*h.piece)
		if known {
			skipped += n
			continue
		}
		if gctx.Err() != nil {
			break
		}
		told(skipped)
		skipped = 0
		g.Go(func() error {
			if err := h.readPiece(gctx, i); err != nil {
				return err
			}
			told(n)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if skipped > 0 {
		told(skipped)
	}
	return nil
}

func (h *ImageHasher) knownPieces() []bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]bool(nil), h.known...)
}

func (h *ImageHasher) readPiece(ctx context.Context, piece int) error {
	off := int64(piece) * h.piece
	n := min(h.piece, h.size-off)
	first := sort.Search(len(h.spans), func(i int) bool { return h.spans[i].Offset+h.spans[i].Size > off })
	r := &sequence{files: h.files[first:], skip: off - h.spans[first].Offset}
	defer r.Close()
	buf := blocks.Get().(*[]byte)
	defer blocks.Put(buf)
	sum := sha1.New()
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := (*buf)[:min(n, int64(len(*buf)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("reading piece %d of %d: %w", piece, len(h.known), eofIsUnexpected(err))
		}
		sum.Write(b)
		n -= int64(len(b))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	sum.Sum(h.hashes[piece*sha1.Size : piece*sha1.Size])
	h.known[piece] = true
	return nil
}

// A sequence reads the files of an image torrent one after the other.
type sequence struct {
	files  []Source
	skip   int64 // bytes of the first file to leave out
	r      io.Reader
	closer io.Closer
	left   int64 // bytes that the file in hand must still give
}

func (s *sequence) Read(p []byte) (int, error) {
	for s.left == 0 {
		if err := s.Close(); err != nil {
			return 0, err
		}
		if len(s.files) == 0 {
			return 0, io.EOF
		}
		f := s.files[0]
		s.files = s.files[1:]
		skip := s.skip
		s.skip = 0
		if f.Size == skip {
			continue
		}
		at, closer, err := f.open()
		if err != nil {
			return 0, err
		}
		s.r, s.closer, s.left = io.NewSectionReader(at, skip, f.Size-skip), closer, f.Size-skip
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF {
		err = nil
		if n == 0 {
			return 0, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

func (s *sequence) Close() error {
	if s.closer == nil {
		return nil
	}
	c := s.closer
	s.closer = nil
	return c.Close()
}
