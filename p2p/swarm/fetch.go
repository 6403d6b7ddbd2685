package swarm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

const (
	// tick paces progress, redialling and the search for silent peers.
	tick = 200 * time.Millisecond
)

// A fetch is one Job under way.
type fetch struct {
	s     *Swarm
	job   Job
	t     *torrent.Torrent
	blame *blame
	crowd *crowd
	// company is whom ordinary clients that have everything are shared with.
	company *company
	chunk   int64 // length of requests
	began   time.Time

	webs   atomic.Int32 // web seeds that are asked
	failed chan error   // the first thing that ends the fetch
	wake   chan struct{}

	mu      sync.Mutex
	meta    *metadata // nil once the info dict is here
	partial *partial  // nil until then
	arrived int64     // bytes received
	advance time.Time // when something last verified
	begun   bool      // something has
}

// Fetch downloads one torrent into the file Job.Partial and returns when every
// piece verified and, where the name is the hex of a digest, the whole did. The
// file is not synced. What is there already is verified and kept, also when the
// fetch ends early: with the context's error, with one that wraps
// syscall.ENOSPC, or with one of the Err values. Only a file whose content is
// wrong as a whole (ErrWrongContent) is removed.
//
// A layer that was fetched stays loaded and is served to others out of the file
// it was written to, wherever that is renamed to, until it idles; Unseed ends it.
func (s *Swarm) Fetch(ctx context.Context, job Job) (Result, error) {
	if err := job.validate(); err != nil {
		return Result{}, err
	}
	f, err := s.begin(job)
	if err != nil {
		return Result{}, fmt.Errorf("fetching %s: %w", job.Infohash, err)
	}
	res, err := f.run(ctx)
	s.end(f, err == nil)
	if err != nil {
		return res, fmt.Errorf("fetching %s: %w", job.Infohash, err)
	}
	f.report()
	return res, nil
}

// begin loads the torrent without storage: nothing is requested before its info
// dict was looked at.
func (s *Swarm) begin(job Job) (*fetch, error) {
	if job.Info != nil {
		if InfohashOf(job.Info) != job.Infohash {
			return nil, fmt.Errorf("%w: it has infohash %s", ErrBadInfo, InfohashOf(job.Info))
		}
		if _, err := job.check(job.Info); err != nil {
			return nil, err
		}
	}
	f := newFetch(s, job)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if e := s.open[job.Infohash]; e != nil {
		if e.fetching {
			return nil, ErrBusy
		}
		s.drop(job.Infohash, e) // the caller knows better that it is not here
	}
	s.fetchMu.Lock()
	s.fetches[job.Infohash] = f
	s.fetchMu.Unlock()
	f.t, _ = s.cl.AddTorrentOpt(torrent.AddTorrentOpts{
		InfoHash:         [20]byte(job.Infohash),
		InfoBytes:        job.Info,
		ChunkSize:        chunkSize(int(f.chunk)),
		DeferStorageOpen: true,
	})
	if job.TakeOnly {
		f.t.DisallowDataUpload()
	}
	f.t.SetOnWriteChunkError(func(err error) { f.fail(fmt.Errorf("writing download: %w", err)) })
	s.open[job.Infohash] = &entry{t: f.t, touched: time.Now(), fetching: true}
	return f, nil
}

// end keeps a layer that arrived loaded, and unloads everything else.
func (s *Swarm) end(f *fetch, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ih := f.job.Infohash
	e := s.open[ih]
	if e == nil || e.t != f.t {
		return // taken away by Close
	}
	if _, layer := algorithmOf(f.job.Name); !ok || !layer || s.closed || f.job.TakeOnly || e.unseeded {
		s.drop(ih, e)
		return
	}
	e.fetching = false
	e.touched = time.Now()
}

func newFetch(s *Swarm, job Job) *fetch {
	f := &fetch{
		s:       s,
		job:     job,
		blame:   newBlame(),
		company: newCompany(),
		began:   time.Now(),
		failed:  make(chan error, 1),
		wake:    make(chan struct{}, 1),
		meta:    newMetadata(job, time.Now()),
	}
	f.advance = f.began
	f.chunk = nodeChunk
	if job.ordinary() {
		f.chunk = ordinaryChunk
	}
	f.webs.Store(int32(len(f.webSeeds())))
	f.crowd = newCrowd(f)
	f.blame.verified = func(peer string, n int64) {
		s.cfg.Observe(peer, Event{Kind: Verified, Infohash: job.Infohash, Bytes: n})
		f.crowd.useful(peer)
	}
	f.blame.guilty = func(peer string) {
		s.log.Info("peer sent wrong bytes", "peer", peer, "infohash", job.Infohash)
		s.cfg.Observe(peer, Event{Kind: BadPiece, Infohash: job.Infohash})
		f.crowd.expel(peer)
	}
	f.blame.examine = f.crowd.examine
	return f
}

// fail ends the fetch; only the first reason counts.
func (f *fetch) fail(err error) {
	select {
	case f.failed <- err:
	default:
	}
}

// check gives the layout of an info dict that is the one the job describes.
func (j Job) check(info []byte) (*layout, error) {
	l, err := parseInfo(info)
	if err != nil {
		return nil, err
	}
	if l.name != j.Name {
		return nil, fmt.Errorf("%w: its name is %.140q", ErrBadInfo, l.name)
	}
	if j.Size > 0 && l.size != j.Size {
		return nil, fmt.Errorf("%w: its size is %d instead of %d", ErrBadInfo, l.size, j.Size)
	}
	if _, layer := algorithmOf(j.Name); layer && len(l.files[0].Path) > 0 {
		return nil, fmt.Errorf("%w: it is no single file", ErrBadInfo)
	}
	if j.Check != nil {
		if err := j.Check(info); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadInfo, err)
		}
	}
	return l, nil
}

// run is the fetch from its info dict to its digest.
func (f *fetch) run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer f.company.end()
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { f.patrol(ctx) })
	background.Go(func() { f.announce(ctx) })
	if f.job.Info == nil {
		for _, base := range f.webSeeds() {
			background.Go(func() { f.learnInfo(ctx, base) })
		}
	}

	info, l, err := f.awaitInfo(ctx)
	if err != nil {
		return Result{}, err
	}
	p, err := f.start(ctx, l)
	if err != nil {
		return Result{}, err
	}
	f.askWebSeeds(ctx, p, background.Go)
	hashed := make(chan hashResult, 1)
	alg, layer := algorithmOf(f.job.Name)
	if layer {
		background.Go(func() {
			d, err := hashPrefix(ctx, p, alg, f.job.Content)
			hashed <- hashResult{d, err}
		})
	}
	if err := f.await(ctx, p.complete); err != nil {
		return f.result(info, p), err
	}
	res := f.result(info, p)
	if layer {
		h := <-hashed
		if h.err != nil {
			return res, f.cause(ctx, h.err)
		}
		res.Digest = h.digest
		if want := digest.NewDigestFromEncoded(alg, f.job.Name); h.digest != want {
			return res, f.wrongContent(want, res)
		}
	}
	return res, nil
}

type hashResult struct {
	digest digest.Digest
	err    error
}

// awaitInfo waits for the info dict and accepts it.
func (f *fetch) awaitInfo(ctx context.Context) ([]byte, *layout, error) {
	if err := f.await(ctx, f.t.GotInfo()); err != nil {
		return nil, nil, err
	}
	info := f.t.Metainfo().InfoBytes
	if InfohashOf(info) != f.job.Infohash {
		return nil, nil, fmt.Errorf("%w: it is not version 1", ErrBadInfo)
	}
	l, err := f.job.check(info)
	return info, l, err
}

// start opens the partial file and asks for everything that is not in it.
func (f *fetch) start(ctx context.Context, l *layout) (*partial, error) {
	p, err := openPartial(f.job.Partial, l)
	if err != nil {
		return nil, err
	}
	p.blame = f.blame
	p.verified = f.progressed
	f.blame.setPieceLength(l.pieceLen)
	f.mu.Lock()
	f.meta, f.partial = nil, p
	f.mu.Unlock()
	f.crowd.examine(false)
	me := f.s.cl.PeerID()
	f.company.begin(l, string(me[:]))
	if err := f.t.OpenStorage(ctx, p); err != nil {
		_ = p.f.Close()
		return nil, f.cause(ctx, err)
	}
	f.askNear()
	f.t.DownloadAll()
	return p, nil
}

func (f *fetch) progressed(piece int) {
	f.company.tell(func(s *superseed.Share, now time.Time) { s.Got(piece, now) })
	f.mu.Lock()
	f.advance = time.Now()
	first := !f.begun
	f.begun = true
	f.mu.Unlock()
	if first || f.job.Near != nil {
		f.poke()
	}
}

// await waits for a stage of the fetch, or for what ends it early.
func (f *fetch) await(ctx context.Context, stage <-chan struct{}) error {
	select {
	case <-stage:
		return nil
	case err := <-f.failed:
		return err
	case <-f.t.Closed():
		return f.cause(ctx, ErrClosed)
	case <-f.s.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return f.cause(ctx, context.Cause(ctx))
	}
}

// cause says what ended the fetch when several things follow from one another:
// the disk before the context, the context before the torrent being closed, and
// that nobody was there to fetch from where the time ran out for that.
func (f *fetch) cause(ctx context.Context, err error) error {
	select {
	case first := <-f.failed:
		return first
	default:
	}
	if cerr := context.Cause(ctx); cerr != nil {
		err = cerr
	}
	if errors.Is(err, context.DeadlineExceeded) {
		if reason := f.absence(); reason != nil {
			return fmt.Errorf("%w: %w", reason, err)
		}
	}
	return err
}

// absence explains why a fetch came to nothing: nil while peers send.
func (f *fetch) absence() error {
	f.mu.Lock()
	nothing := f.arrived == 0 && f.partial == nil
	quiet := time.Since(f.advance) > tick
	f.mu.Unlock()
	switch {
	case f.crowd.size() == 0 || nothing:
		return ErrNoPeers
	case quiet:
		return ErrStalled
	}
	return nil
}

func (f *fetch) wrongContent(want digest.Digest, res Result) error {
	err := error(&ContentError{Want: want, Got: res.Digest, From: res.FromPeers})
	if rerr := os.Remove(f.job.Partial); rerr != nil {
		err = errors.Join(err, fmt.Errorf("removing it: %w", rerr))
	}
	return err
}

func (f *fetch) result(info []byte, p *partial) Result {
	_, resumed := p.progress()
	return Result{
		Info:      info,
		Size:      p.layout.size,
		Resumed:   resumed,
		FromPeers: f.blame.credits(),
		Files:     p.layout.files,
		Have:      p.verifiedExtents(),
	}
}
