package swarm

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/anacrolix/torrent"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

const (
	// maxWebSeeds bounds the web seeds that one fetch asks; each is asked for one
	// stretch at a time.
	maxWebSeeds = 8
	// webStretch is how much is asked for at once, in bytes; a piece if that is more.
	webStretch = 4 << 20
	// webTries is how often in a row a web seed may fail without giving a piece.
	webTries = 5
	// webRetry is the pause after the first failure, twice as long after each more.
	webRetry = time.Second
	// webStale is how long nothing may have verified before web seeds take up
	// pieces that peers have begun.
	webStale = 2 * time.Second
)

// errWebGone: a web seed does not have the content, or not in a way that can be
// asked for by ranges.
var errWebGone = errors.New("web seed is of no use")

// A webSeed is an HTTP server with the files of a torrent (BEP 19), asked by one
// fetch. Pieces are taken that peers have not begun, and are held in memory until
// their hash was compared: wrong ones never reach the disk, and end it.
type webSeed struct {
	f    *fetch
	base string
	name string // as a peer: scheme and host
	l    *layout
	p    *partial
}

// CheckWebSeed says whether a URL is one that content can be asked for at.
func CheckWebSeed(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return fmt.Errorf("web seed: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("web seed %q: neither http nor https", u.Redacted())
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("web seed %q: want a host, no user and no fragment", u.Redacted())
	}
	return nil
}

func webSeedName(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	return u.Scheme + "://" + u.Host
}

// webURL is where a file of a torrent lies (BEP 19): below the base and the
// torrent's name, or, of a torrent with one file, at a base that is not a
// directory.
func webURL(base, name string, path []string) string {
	if len(path) == 0 && !strings.HasSuffix(base, "/") {
		return base
	}
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(base, "/") + "/" + url.PathEscape(name))
	for _, elem := range path {
		b.WriteString("/" + url.PathEscape(elem))
	}
	return b.String()
}

// webSeeds are those that this fetch asks.
func (f *fetch) webSeeds() []string {
	return f.job.WebSeeds[:min(len(f.job.WebSeeds), maxWebSeeds)]
}

// askWebSeeds fetches from the job's web seeds until ctx ends or none is left.
func (f *fetch) askWebSeeds(ctx context.Context, p *partial, background func(func())) {
	for _, base := range f.webSeeds() {
		w := &webSeed{f: f, base: base, name: webSeedName(base), l: p.layout, p: p}
		background(func() {
			defer f.webs.Add(-1)
			if err := w.run(ctx); err != nil && ctx.Err() == nil {
				f.s.log.Info("web seed is not asked any more", "seed", w.name, "infohash", f.job.Infohash, "err", withoutURL(err))
			}
		})
	}
}

func (w *webSeed) run(ctx context.Context) error {
	for failures := 0; ; {
		first, n := 0, 0
		if !w.f.s.paused.Load() {
			first, n = w.claim()
		}
		if n == 0 {
			if !sleep(ctx, tick) {
				return nil
			}
			continue
		}
		done, err := w.bring(ctx, first, n)
		w.release(first, n)
		if done > 0 {
			failures = 0
		}
		switch failures++; {
		case err == nil:
			failures = 0
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errWrongPiece):
			w.f.blame.ban(w.name)
			return err
		case errors.Is(err, errWebGone), errors.Is(err, errNear), failures >= webTries:
			return err
		case !sleep(ctx, webRetry<<(failures-1)):
			return nil
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// claim takes a run of missing pieces that nobody has begun; when nothing came
// for a while, also such that somebody has. Peers are not asked for them.
func (w *webSeed) claim() (first, n int) {
	w.f.mu.Lock()
	stale := time.Since(w.f.advance) > webStale
	w.f.mu.Unlock()
	begun := make([]bool, 0, w.l.numPieces())
	for _, run := range w.f.t.PieceStateRuns() {
		for range run.Length {
			begun = append(begun, run.Partial && !stale)
		}
	}
	want := int(max(webStretch/w.l.pieceLen, 1))
	w.f.company.tell(func(s *superseed.Share, _ time.Time) {
		first, n = s.Next(want, func(i int) bool { return i < len(begun) && !begun[i] && w.p.isFree(i) })
	})
	for i := range n {
		if !w.p.take(first + i) { // another web seed was quicker
			n = i
			break
		}
	}
	for i := first; i < first+n; i++ {
		w.f.t.Piece(i).SetPriority(torrent.PiecePriorityNone)
	}
	return first, n
}

func (w *webSeed) release(first, n int) {
	for i := first; i < first+n; i++ {
		if !w.p.letGo(i) {
			w.f.t.Piece(i).SetPriority(torrent.PiecePriorityNormal)
		}
	}
}

// bring fetches a run of pieces and says how many of them it got.
func (w *webSeed) bring(ctx context.Context, first, n int) (done int, err error) {
	off, _ := w.l.extent(first)
	last, size := w.l.extent(first + n - 1)
	r := &webReader{ctx: ctx, w: w, off: off, end: last + size}
	defer r.close()
	buf := make([]byte, w.l.pieceLen)
	for i := first; i < first+n; i++ {
		off, size := w.l.extent(i)
		if _, err := io.ReadFull(r, buf[:size]); err != nil {
			return done, fmt.Errorf("reading piece %d: %w", i, eofIsUnexpected(err))
		}
		if sha1.Sum(buf[:size]) != w.l.hash(i) {
			return done, fmt.Errorf("piece %d of a web seed: %w", i, errWrongPiece)
		}
		if err := w.put(ctx, i, off, buf[:size]); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// put writes a piece that is right and has the library find that out, which tells
// the peers. Should a peer's wrong bytes come in between, that is found out too.
func (w *webSeed) put(ctx context.Context, piece int, off int64, b []byte) error {
	if w.p.isVerified(piece) {
		return nil
	}
	if _, err := w.p.f.WriteAt(b, off); err != nil {
		err = fmt.Errorf("writing download: %w", err)
		w.f.fail(err)
		return err
	}
	w.f.blame.forget(piece)
	w.f.blame.received(w.name, piece, 0, int64(len(b)))
	w.f.mu.Lock()
	w.f.arrived += int64(len(b))
	w.f.mu.Unlock()
	known := w.p.settle(piece)
	if err := w.f.t.Piece(piece).VerifyDataContext(ctx); err != nil {
		return err
	}
	select { // what became of it is told a moment after
	case <-known:
	case <-ctx.Done():
	}
	return nil
}

// isFree says whether a piece can be taken.
func (p *partial) isFree(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[i] == pieceMissing && !p.taken[i]
}

// take claims a missing piece.
func (p *partial) take(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.states[i] != pieceMissing || p.taken[i] {
		return false
	}
	if p.taken == nil {
		p.taken = map[int]bool{}
	}
	p.taken[i] = true
	return true
}

// letGo ends a claim, and says whether the piece is here.
func (p *partial) letGo(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, i)
	return p.states[i] == pieceVerified
}

func (p *partial) isVerified(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[i] == pieceVerified
}
