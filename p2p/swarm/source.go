package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
// where they lie, hashes nothing and writes nothing. The blob store vouches for
// them; should it be wrong, the other end's piece hashes say so.
type library struct {
	files []Source
	spans []Span

	mu     sync.Mutex
	open   map[int]volume // by file
	lost   map[int]bool   // pieces that turned out not to be readable
	closed bool
}

type volume struct {
	r io.ReaderAt
	c io.Closer
}

func newLibrary(files []Source) *library {
	return &library{files: files, spans: spans(files), open: map[int]volume{}, lost: map[int]bool{}}
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
	i := sort.Search(len(l.spans), func(i int) bool { return l.spans[i].Offset+l.spans[i].Size > off })
	for ; n < len(b); i++ {
		if i == len(l.spans) {
			return n, io.EOF
		}
		s := l.spans[i]
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

type libraryPiece struct {
	l *library
	p metainfo.Piece
}

func (p libraryPiece) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.l.readAt(b, p.p.Offset()+off)
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
