package swarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	"golang.org/x/sync/errgroup"
)

const (
	// nodeChunk is the length of requests between nodes of ours, which takes a quarter
	// less CPU than the usual 16 KiB, and with a window that shrinks to one of them
	// serves a large herd as well. maxChunk is the longest that they answer; ordinary
	// clients refuse more than the usual.
	nodeChunk     = 256 << 10
	maxChunk      = 256 << 10
	ordinaryChunk = 16 << 10
)

// A Swarm is this node's end of all the torrents it shares. Make it with New.
type Swarm struct {
	cfg     Config
	log     *slog.Logger
	cl      *torrent.Client
	inbox   *inbox
	tcp     net.Listener // nil when off
	dht     *mainline    // nil when off
	lsd     *lsd         // nil when off
	gate    *gate
	lan     neighbours
	limiter *limiter
	herds   herds
	wires   roster[peerAddr, wire] // streams to peers of ours, by torrent and peer
	inlets  roster[string, inlet]  // connections to ordinary clients, by address
	peak    peakRequests
	// newcomers are visitors that nobody was introduced to yet.
	newcomers chan *torrent.PeerConn
	paused    atomic.Bool
	web       *http.Client // for what links name
	links     *linkTransport

	unreachable, bans, refused atomic.Int64

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	// mu guards what is open. The client's lock may be taken while it is held,
	// never the other way round: callbacks keep their hands off it.
	mu     sync.Mutex
	open   map[Infohash]*entry
	seeds  map[Infohash]seed
	closed bool

	// fetches is read by callbacks, which hold the client's lock.
	fetchMu sync.RWMutex
	fetches map[Infohash]*fetch
}

// A seed is what Seed was told; empty when Config.Resolve knows it too, for info
// dicts of many images are worth megabytes.
type seed struct {
	info  []byte
	files []Source
}

// An entry is a torrent loaded in the client.
type entry struct {
	t        *torrent.Torrent
	touched  time.Time // when somebody last asked for it
	fetching bool
	unseeded bool // while it was being fetched: not kept afterwards
	pinned   bool // stays loaded until Unseed
}

// New opens the listeners. Run serves them; streams may be accepted and torrents
// fetched as soon as New returned.
func New(cfg Config, log *slog.Logger) (_ *Swarm, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring swarm: %w", err)
	}
	s := &Swarm{
		cfg:       cfg.withDefaults(),
		log:       log.With("component", "swarm"),
		open:      map[Infohash]*entry{},
		seeds:     map[Infohash]seed{},
		fetches:   map[Infohash]*fetch{},
		newcomers: make(chan *torrent.PeerConn, 256),
	}
	s.gate = newGate(s.cfg.Conns * 2 / 3) // the rest is to dial with
	s.limiter, s.peak = newLimiter(s.cfg.Limits), findPeakRequests()
	s.cfg.Observe = s.counting(s.cfg.Observe)
	s.links = newLinkTransport(s.cfg, func(c net.Conn) net.Conn { return s.meter(c, false) })
	s.web = newLinkClient(s.links)
	s.ctx, s.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	var addr net.Addr = peerAddr{}
	if cfg.Listen != "" {
		if s.tcp, err = net.Listen("tcp", cfg.Listen); err != nil {
			return nil, fmt.Errorf("listening for BitTorrent clients: %w", err)
		}
		addr = s.tcp.Addr()
	}
	s.inbox = newInbox(addr)
	if s.cl, err = s.newClient(); err != nil {
		return nil, fmt.Errorf("starting BitTorrent client: %w", err)
	}
	if cfg.DHT {
		if s.dht, err = newMainline(s); err != nil {
			return nil, fmt.Errorf("joining mainline DHT: %w", err)
		}
	}
	if cfg.LSD {
		s.lsd = newLSD(s)
	}
	return s, nil
}

// Run serves ordinary clients, announces, and closes torrents nobody asks for
// any more, until the context ends.
func (s *Swarm) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.janitor(ctx) })
	g.Go(func() error { return s.introduceAll(ctx) })
	if s.tcp != nil {
		g.Go(func() error { return s.acceptTCP(ctx) })
	}
	if s.dht != nil {
		g.Go(func() error { return s.dht.run(ctx) })
	}
	if s.lsd != nil {
		g.Go(func() error { return s.lsd.run(ctx) })
	}
	return g.Wait()
}

// Close drops all torrents and connections. Fetches end with ErrClosed.
func (s *Swarm) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.stop()
	var errs []error
	if s.cl != nil {
		errs = append(errs, s.cl.Close()...)
	}
	if s.inbox != nil {
		errs = append(errs, s.inbox.Close())
	}
	if s.tcp != nil {
		if err := s.tcp.Close(); !errors.Is(err, net.ErrClosed) { // Run closes it too
			errs = append(errs, err)
		}
	}
	if s.dht != nil {
		errs = append(errs, s.dht.close())
	}
	if s.lsd != nil {
		errs = append(errs, s.lsd.close())
	}
	s.links.close()
	return errors.Join(errs...)
}

// Addr is the address ordinary clients reach this node at, "" when off.
func (s *Swarm) Addr() string {
	if s.tcp == nil {
		return ""
	}
	return s.tcp.Addr().String()
}

// Seed makes a torrent available to whoever asks for it, without reading or
// hashing a byte of it, and announces it where that is on. It is loaded when
// somebody asks, like those of Config.Resolve; with trackers it is loaded now.
// The pieces of an image are hashed when they are first asked for; one that is
// not what the info dict says is not served.
func (s *Swarm) Seed(_ context.Context, info []byte, files []Source) error {
	ih := InfohashOf(info)
	if _, err := checkSeed(info, files); err != nil {
		return fmt.Errorf("seeding %s: %w", ih, err)
	}
	told := seed{info, files}
	if s.cfg.Resolve != nil {
		if _, _, ok := s.cfg.Resolve(ih); ok {
			told = seed{}
		}
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.seeds[ih] = told
	s.mu.Unlock()
	if s.dht != nil {
		s.dht.announceSoon()
	}
	if s.lsd != nil {
		s.lsd.announceSoon(ih)
	}
	if len(s.cfg.Trackers) == 0 {
		return nil
	}
	if !s.load(ih) {
		return fmt.Errorf("seeding %s: it could not be loaded", ih)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.open[ih]; e != nil {
		e.pinned = true
		e.t.AddTrackers([][]string{s.cfg.Trackers})
	}
	return nil
}

// Unseed takes a torrent back: its connections are closed, its files too. A fetch of
// it goes on, for whoever asked for it had a reason, and is not served afterwards.
func (s *Swarm) Unseed(ih Infohash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seeds, ih)
	e := s.open[ih]
	switch {
	case e == nil:
	case e.fetching:
		e.unseeded = true
	default:
		s.drop(ih, e)
	}
}

// Keep loads a torrent that was told to Seed, and has it stay loaded and announced
// however long nobody asks for it; or lets it go like others.
func (s *Swarm) Keep(ih Infohash, keep bool) {
	if keep && !s.load(ih) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.open[ih]; e != nil {
		e.pinned = keep || len(s.cfg.Trackers) > 0
	}
}

// Open says how many torrents are loaded, for metrics.
func (s *Swarm) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func checkSeed(info []byte, files []Source) (*layout, error) {
	l, err := parseInfo(info)
	if err != nil {
		return nil, err
	}
	if len(files) != len(l.files) {
		return nil, fmt.Errorf("%w: %d files instead of %d", ErrBadInfo, len(files), len(l.files))
	}
	for i, f := range files {
		if f.Size != l.files[i].Size {
			return nil, fmt.Errorf("%w: file %d has size %d instead of %d", ErrBadInfo, i, f.Size, l.files[i].Size)
		}
	}
	return l, nil
}

// load makes sure that a torrent is loaded and stays so for a while. False:
// nobody here has it.
func (s *Swarm) load(ih Infohash) bool {
	if s.touch(ih) {
		return true
	}
	s.mu.Lock()
	sd, ok := s.seeds[ih]
	s.mu.Unlock()
	if (!ok || sd.info == nil) && s.cfg.Resolve != nil {
		sd.info, sd.files, ok = s.cfg.Resolve(ih)
	}
	if !ok {
		return false
	}
	if InfohashOf(sd.info) != ih {
		s.log.Error("info dict has another infohash than it was asked by", "infohash", ih)
		return false
	}
	l, err := checkSeed(sd.info, sd.files)
	if err != nil {
		s.log.Error("torrent cannot be seeded", "infohash", ih, "err", err)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.open[ih]; e != nil {
		e.touched = time.Now()
		return true
	}
	if s.closed || !s.makeRoom() {
		return false
	}
	chunk := nodeChunk
	if len(sd.files[0].Path) > 0 {
		chunk = ordinaryChunk
	}
	t, _ := s.cl.AddTorrentOpt(torrent.AddTorrentOpts{
		InfoHash:                 [20]byte(ih),
		InfoBytes:                sd.info,
		Storage:                  newLibrary(l, sd.files, s.log),
		ChunkSize:                chunkSize(chunk),
		DisableInitialPieceCheck: true,
	})
	if t.Info() == nil {
		t.Drop()
		s.log.Error("torrent cannot be loaded", "infohash", ih)
		return false
	}
	s.open[ih] = &entry{t: t, touched: time.Now()}
	return true
}

func (s *Swarm) touch(ih Infohash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.open[ih]
	if e != nil {
		e.touched = time.Now()
	}
	return e != nil
}

// makeRoom drops the torrent that was asked for least recently and has nobody
// connected, when too many are loaded.
func (s *Swarm) makeRoom() bool {
	if len(s.open) < s.cfg.MaxOpen {
		return true
	}
	var oldest Infohash
	var victim *entry
	for ih, e := range s.open {
		if (victim == nil || e.touched.Before(victim.touched)) && s.idle(e) {
			oldest, victim = ih, e
		}
	}
	if victim == nil {
		return false
	}
	s.drop(oldest, victim)
	return true
}

// greetingGrace keeps a torrent loaded that somebody is just connecting to.
const greetingGrace = greetTimeout

func (s *Swarm) idle(e *entry) bool {
	return !e.fetching && !e.pinned && time.Since(e.touched) >= greetingGrace && e.t.Stats().ActivePeers == 0
}

// drop unloads a torrent. The caller holds mu.
func (s *Swarm) drop(ih Infohash, e *entry) {
	delete(s.open, ih)
	s.fetchMu.Lock()
	delete(s.fetches, ih)
	s.fetchMu.Unlock()
	e.t.Drop()
}

// janitor drops torrents whose last visitor left a while ago.
func (s *Swarm) janitor(ctx context.Context) error {
	tick := time.NewTicker(max(s.cfg.Idle/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			s.dropIdle()
		}
	}
}

func (s *Swarm) dropIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ih, e := range s.open {
		switch {
		case e.fetching || e.pinned:
		case e.t.Stats().ActivePeers > 0:
			e.touched = time.Now()
		case time.Since(e.touched) >= s.cfg.Idle:
			s.drop(ih, e)
			s.log.Debug("closed idle torrent", "infohash", ih)
		}
	}
}

// known are the torrents that are loaded or were told to Seed.
func (s *Swarm) known() []Infohash {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Infohash, 0, len(s.seeds)+len(s.open))
	for ih := range s.seeds {
		out = append(out, ih)
	}
	for ih := range s.open {
		if _, seed := s.seeds[ih]; !seed {
			out = append(out, ih)
		}
	}
	return out
}

// fetchOf finds the fetch of a torrent, also one that has ended while what it
// fetched is still loaded.
func (s *Swarm) fetchOf(ih Infohash) *fetch {
	s.fetchMu.RLock()
	defer s.fetchMu.RUnlock()
	return s.fetches[ih]
}

func (s *Swarm) banned(ih Infohash, peer string) bool {
	f := s.fetchOf(ih)
	return f != nil && f.blame.isBanned(peer)
}
