package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"sync"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// errReadOnly: a whole torrent is never written to.
var errReadOnly = errors.New("torrent is being seeded, not fetched")

// open gives the bytes of one file; the closer is nil for inline data.
func (f Source) open() (io.ReaderAt, io.Closer, error) {
	if f.Open == nil {
		if int64(len(f.Data)) != f.Size {
			return nil, nil, fmt.Errorf("inline file of %d bytes has %d", f.Size, len(f.Data))
		}
		return bytes.NewReader(f.Data), nil, nil
	}
	return f.Open()
}

// A library is the storage of a torrent whose bytes are all here: it reads them
// where they lie and writes nothing. The blob store vouches for the bytes of a
// layer; should it be wrong, the other end's piece hashes say so. That the hashes
// of an image are right nobody may have looked at yet (see [ImageHasher.Believe]):
// each of its pieces is hashed when it is first asked for.
type library struct {
	layout *layout
	files  []Source
	log    *slog.Logger

	// proving is held while a piece is hashed.
	proving sync.Mutex

	mu     sync.Mutex
	open   map[int]volume // by file
	lost   map[int]bool   // pieces that turned out to be wrong or not readable
	proved []bool         // by piece; nil for a layer
	closed bool
}

type volume struct {
	r io.ReaderAt
	c io.Closer
}

func newLibrary(l *layout, files []Source, log *slog.Logger) *library {
	lib := &library{layout: l, files: files, log: log, open: map[int]volume{}, lost: map[int]bool{}}
	if len(l.files[0].Path) > 0 {
		lib.proved = make([]bool, l.numPieces())
	}
	return lib
}

// OpenTorrent implements storage.ClientImpl for the one torrent it is given to.
func (l *library) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl { return libraryPiece{l, p} },
		Close: l.close,
	}, nil
}

func (l *library) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	var errs []error
	for _, v := range l.open {
		if v.c != nil {
			errs = append(errs, v.c.Close())
		}
	}
	l.open = nil
	return errors.Join(errs...)
}

func (l *library) volume(i int) (io.ReaderAt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if v, ok := l.open[i]; ok {
		return v.r, nil
	}
	r, c, err := l.files[i].open()
	if err != nil {
		return nil, fmt.Errorf("opening file %d of torrent: %w", i, err)
	}
	l.open[i] = volume{r, c}
	return r, nil
}

// readAt fills b from the torrent's flat bytes.
func (l *library) readAt(b []byte, off int64) (n int, err error) {
	spans := l.layout.files
	i := sort.Search(len(spans), func(i int) bool { return spans[i].Offset+spans[i].Size > off })
	for ; n < len(b); i++ {
		if i == len(spans) {
			return n, io.EOF
		}
		s := spans[i]
		if s.Size == 0 {
			continue
		}
		r, err := l.volume(i)
		if err != nil {
			return n, err
		}
		at := off + int64(n) - s.Offset
		want := min(int64(len(b)-n), s.Size-at)
		m, err := r.ReadAt(b[n:n+int(want)], at)
		n += m
		if int64(m) < want {
			return n, eofIsUnexpected(err)
		}
	}
	return n, nil
}

// prove hashes a piece, once, where that is called for.
func (l *library) prove(piece int) error {
	if l.isProved(piece) {
		return nil
	}
	l.proving.Lock()
	defer l.proving.Unlock()
	if l.isProved(piece) {
		return nil
	}
	off, n := l.layout.extent(piece)
	sum, err := hashRange(l.readAt, off, n)
	if err != nil {
		return err
	}
	if sum != l.layout.hash(piece) {
		l.log.Warn("torrent has a piece that is not what its bytes hash to", "name", l.layout.name, "piece", piece)
		return errWrongPiece
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proved[piece] = true
	return nil
}

func (l *library) isProved(piece int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proved == nil || l.proved[piece]
}

type libraryPiece struct {
	l *library
	p metainfo.Piece
}

func (p libraryPiece) ReadAt(b []byte, off int64) (n int, err error) {
	if err = p.l.prove(p.p.Index()); err == nil {
		n, err = p.l.readAt(b, p.p.Offset()+off)
	}
	if err != nil {
		_ = p.MarkNotComplete()
	}
	return n, err
}

func (p libraryPiece) WriteAt([]byte, int64) (int, error) { return 0, errReadOnly }
func (p libraryPiece) MarkComplete() error                { return nil }

func (p libraryPiece) MarkNotComplete() error {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.l.lost[p.p.Index()] = true
	return nil
}

func (p libraryPiece) Completion() storage.Completion {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	return storage.Completion{Ok: true, Complete: !p.l.lost[p.p.Index()]}
}
