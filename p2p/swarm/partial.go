package swarm

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

// errWrongPiece is what a piece that does not hash right ends with. That it is
// an error, not just another hash, keeps anacrolix from banning by IP address
// (which panics for peers that have none): blame is this package's own.
var errWrongPiece = errors.New("piece does not match its hash")

const (
	// blockSize is how much of a file is read at once to be hashed.
	blockSize = 256 << 10
	// writeSize is how much of one is written at once.
	writeSize = 64 << 10
)

var blocks = sync.Pool{New: func() any { b := make([]byte, blockSize); return &b }}

type pieceState byte

const (
	pieceMissing  pieceState = iota // nothing of it is on disk
	pieceUnknown                    // something is, and must be hashed
	pieceWrong                      // hashed, and wrong
	pieceVerified                   // hashed right, in this run
)

// A partial is the storage of a torrent being fetched: one flat file that holds
// its pieces in order. It is the only one that decides which pieces are right,
// knows who sent them, and how far the file is right from the start.
type partial struct {
	f      *os.File
	layout *layout
	blame  *blame
	// verified hears of each piece that turned out right.
	verified func(piece int)

	mu       sync.Mutex
	states   []pieceState
	left     int                   // pieces not verified
	bytes    int64                 // verified
	resumed  int64                 // of these, found on disk
	prefix   int                   // pieces verified from the start without a gap
	near     []bool                // pieces asked for before others; nil until there are some
	taken    map[int]bool          // pieces that a web seed is asked for
	settling map[int]chan struct{} // pieces whose hash somebody waits for, closed when it is known
	advanced chan struct{}         // closed when prefix grows, then replaced
	complete chan struct{}         // closed when left is 0
}

// openPartial opens or creates the file, makes it as long as the torrent, and
// notes which pieces have bytes in it.
func openPartial(path string, l *layout) (_ *partial, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening partial download: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening partial download: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("opening partial download: %s is no regular file", path)
	}
	if st.Size() != l.size {
		if err := f.Truncate(l.size); err != nil {
			return nil, fmt.Errorf("sizing partial download: %w", err)
		}
	}
	p := &partial{
		f: f, layout: l,
		states:   make([]pieceState, l.numPieces()),
		left:     l.numPieces(),
		advanced: make(chan struct{}),
		complete: make(chan struct{}),
	}
	err = dataExtents(f, min(st.Size(), l.size), func(from, to int64) {
		for i := from / l.pieceLen; i*l.pieceLen < to; i++ {
			p.states[i] = pieceUnknown
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking for data in partial download: %w", err)
	}
	return p, nil
}

// OpenTorrent implements storage.ClientImpl for the one torrent it is given to.
func (p *partial) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	pieces := make([]partialPiece, p.layout.numPieces())
	for i := range pieces {
		pieces[i] = partialPiece{p, i}
	}
	return storage.TorrentImpl{
		Piece: func(mp metainfo.Piece) storage.PieceImpl { return &pieces[mp.Index()] },
		Close: p.f.Close,
	}, nil
}

// progress gives the bytes verified, and how many of them were found on disk.
func (p *partial) progress() (done, resumed int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes, p.resumed
}

// missing are the pieces that did not verify yet.
func (p *partial) missing() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []int
	for i, s := range p.states {
		if s != pieceVerified {
			out = append(out, i)
		}
	}
	return out
}

// verifiedExtents are the runs of pieces that verified.
func (p *partial) verifiedExtents() (out []Extent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.states {
		if s != pieceVerified {
			continue
		}
		off, n := p.layout.extent(i)
		if last := len(out) - 1; last >= 0 && out[last].To == off {
			out[last].To = off + n
			continue
		}
		out = append(out, Extent{off, off + n})
	}
	return out
}

// firstMissing is the first piece that is neither right nor about to be hashed nor
// taken.
func (p *partial) firstMissing() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.states {
		if s == pieceMissing && !p.taken[i] {
			return i, true
		}
	}
	return 0, false
}

// waitPrefix blocks until more than off bytes are verified from the start of the
// file, and says how many are.
func (p *partial) waitPrefix(ctx context.Context, off int64) (int64, error) {
	for {
		p.mu.Lock()
		have := min(int64(p.prefix)*p.layout.pieceLen, p.layout.size)
		advanced := p.advanced
		p.mu.Unlock()
		if have > off {
			return have, nil
		}
		select {
		case <-advanced:
		case <-ctx.Done():
			return have, context.Cause(ctx)
		}
	}
}

func (p *partial) markVerified(piece int) {
	off, n := p.layout.extent(piece)
	startWriteback(p.f, off, n)
	received := p.blame.good(piece, func(off int64, b []byte) error {
		_, err := p.f.ReadAt(b, off)
		return err
	})

	p.mu.Lock()
	p.settled(piece)
	if p.states[piece] == pieceVerified {
		p.mu.Unlock()
		return
	}
	p.states[piece] = pieceVerified
	p.left--
	p.bytes += n
	if !received {
		p.resumed += n
	}
	before := p.prefix
	for p.prefix < len(p.states) && p.states[p.prefix] == pieceVerified {
		p.prefix++
	}
	if p.prefix > before {
		close(p.advanced)
		p.advanced = make(chan struct{})
	}
	if p.left == 0 {
		close(p.complete)
	}
	p.mu.Unlock()
	if p.verified != nil {
		p.verified(piece)
	}
}

// markWrong takes a piece back that did not hash right. A verified one stays:
// what reached the disk was right, and if the disk fails the whole digest tells.
func (p *partial) markWrong(piece int) {
	p.mu.Lock()
	p.settled(piece)
	was := p.states[piece]
	if was != pieceVerified {
		p.states[piece] = pieceMissing
	}
	p.mu.Unlock()
	if was != pieceWrong {
		p.blame.forget(piece) // it could not be read: nobody's fault
		return
	}
	p.blame.bad(piece, func(off int64, b []byte) error {
		_, err := p.f.ReadAt(b, off)
		return err
	})
}

// settle says when the hash of a piece is known next.
func (p *partial) settle(piece int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settling == nil {
		p.settling = map[int]chan struct{}{}
	}
	if p.settling[piece] == nil {
		p.settling[piece] = make(chan struct{})
	}
	return p.settling[piece]
}

// settled tells those who wait. The caller holds mu.
func (p *partial) settled(piece int) {
	if c := p.settling[piece]; c != nil {
		delete(p.settling, piece)
		close(c)
	}
}

// setWrong notes that a piece was read back whole and hashed wrong.
func (p *partial) setWrong(piece int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.states[piece] != pieceVerified {
		p.states[piece] = pieceWrong
	}
}

// hashPiece is the SHA-1 of what the file holds of a piece now.
func (p *partial) hashPiece(piece int) (metainfo.Hash, error) {
	off, n := p.layout.extent(piece)
	sum, err := hashRange(p.f.ReadAt, off, n)
	if err != nil {
		return sum, fmt.Errorf("reading piece %d: %w", piece, err)
	}
	return sum, nil
}

// hashRange is the SHA-1 of n bytes from off on.
func hashRange(readAt func(b []byte, off int64) (int, error), off, n int64) (sum metainfo.Hash, err error) {
	buf := blocks.Get().(*[]byte)
	defer blocks.Put(buf)
	h := sha1.New()
	for n > 0 {
		b := (*buf)[:min(int64(len(*buf)), n)]
		if _, err := readAt(b, off); err != nil {
			return sum, eofIsUnexpected(err)
		}
		h.Write(b)
		off, n = off+int64(len(b)), n-int64(len(b))
	}
	h.Sum(sum[:0])
	return sum, nil
}

type partialPiece struct {
	p *partial
	i int
}

func (p *partialPiece) offset() int64 { return int64(p.i) * p.p.layout.pieceLen }

func (p *partialPiece) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.p.f.ReadAt(b, p.offset()+off)
	if n == len(b) {
		return n, nil
	}
	return n, eofIsUnexpected(err)
}

// WriteAt writes in short stretches. For longer ones Linux takes large folios
// into the page cache, out of blocks of memory that a virtual machine may have
// given back to its host: getting those again measured up to ten times as long as
// the copying.
func (p *partialPiece) WriteAt(b []byte, off int64) (done int, err error) {
	for done < len(b) && err == nil {
		var n int
		n, err = p.p.f.WriteAt(b[done:min(done+writeSize, len(b))], p.offset()+off+int64(done))
		done += n
	}
	return done, err
}

// SelfHash implements storage.SelfHashing.
func (p *partialPiece) SelfHash() (metainfo.Hash, error) {
	sum, err := p.p.hashPiece(p.i)
	if err == nil && sum != p.p.layout.hash(p.i) {
		p.p.setWrong(p.i)
		err = errWrongPiece
	}
	return sum, err
}

func (p *partialPiece) MarkComplete() error {
	p.p.markVerified(p.i)
	return nil
}

func (p *partialPiece) MarkNotComplete() error {
	p.p.markWrong(p.i)
	return nil
}

func (p *partialPiece) Completion() storage.Completion {
	p.p.mu.Lock()
	defer p.p.mu.Unlock()
	s := p.p.states[p.i]
	return storage.Completion{Ok: s != pieceUnknown, Complete: s == pieceVerified}
}
