// Package exchange is the junction of dockchain's three roads. It alone knows
// images, ledgers, swarms and peers at once:
//
//	publish  Publish > image walk > blobs > torrents > ledger.Append > index.Apply > swarm.Seed > announce
//	fetch    Fetch   > index or DHT > verdict > reputation rank > swarm.Fetch > blobs commit > caller reads
//	gossip   Judge, Receive > ledger.Extend (verifies) > index.Apply
//	         JudgeEvidence > ledger.Freeze
//
// What travels between nodes is specified in wire.go. Nothing that comes from a
// peer is believed: a release counts when ledger.Verdict says so, a document
// when its digest matches, a layer when its pieces and then its whole digest do,
// and an image when the torrents derived from its bytes are those its author
// signed.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/quota"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
	"github.com/dockchains/dockchain/reputation"
)

// Network is what the roads need of the peer-to-peer host.
type Network interface {
	ID() peer.ID
	Connect(ctx context.Context, addrs ...string) error // of one peer
	Connected() []peer.ID
	PeerInfos() []PeerInfo
	Publish(ctx context.Context, data []byte) error
	PublishEvidence(ctx context.Context, data []byte) error
	Provide(ctx context.Context, key []byte) error
	FindProviders(ctx context.Context, key []byte, max int) <-chan peer.AddrInfo
	StopProvide(key []byte)
	PutValue(ctx context.Context, key string, value []byte) error
	StopValue(key string)
	GetValue(ctx context.Context, key string) ([]byte, error)
	Request(ctx context.Context, to peer.ID, op string, req []byte) ([]byte, error)
}

// PeerInfo is a connected peer as the host sees it.
type PeerInfo struct {
	ID     peer.ID
	Status PeerStatus
}

// Swarm is what the roads need of BitTorrent.
type Swarm interface {
	Seed(ctx context.Context, info []byte, files []swarm.Source) error
	Unseed(ih swarm.Infohash)
	Keep(ih swarm.Infohash, keep bool)
	Fetch(ctx context.Context, job swarm.Job) (swarm.Result, error)
}

// Engine is the Docker Engine, opened when it is needed.
type Engine interface {
	Load(ctx context.Context, root image.Descriptor, src Source, name, platform string, progress func(done, total int64)) error
}

// Importer reads an image into the blob store and returns its root.
type Importer func(ctx context.Context, ref string, req PublishRequest, report func(item string, done, total int64)) (image.Descriptor, error)

// Exporter writes an image out, for example as an OCI layout.
type Exporter func(ctx context.Context, root image.Descriptor, src Source, path, refName, platform string, report func(item string, done, total int64)) error

// Author is the one whose releases this node signs: "me".
type Author struct {
	ID    ledger.AuthorID
	Key   ledger.Key // changes under Exchange.publish
	Files AuthorFiles
}

// Config is everything an Exchange stands on. Net and Swarm are nil in an
// offline opening of the data directory.
type Config struct {
	Me         Author
	Store      *store.Store
	Blobs      *blobs.Store
	Ledger     *ledger.Ledger
	Index      *index.Index
	Reputation *reputation.Book
	Net        Network
	Swarm      Swarm
	// Importers and Exporters by transport name: "docker-daemon", "oci", ….
	Importers map[string]Importer
	Exporters map[string]Exporter
	Engine    Engine // nil: no Docker Engine here
	// Quota limits what peers and other authors may bring here. The authors that
	// this node's user gave a name have no limits.
	Quota quota.Config
	// Witness cosigns the logs of others; nil: this node is none.
	Witness *witness.Witness
	// Rule says whose cosignatures this author asks for, which ones on other logs
	// are kept, and whether content without them is refused. The Ledger was told
	// to require it.
	Rule policy.Rule
	// PeerHints are put into magnet links: libp2p multiaddrs and BitTorrent
	// host:port addresses of this node. May be nil.
	PeerHints func() (libp2p, bittorrent []string)
	// LinkTrackers and LinkWebSeeds are put into them too, for other people's
	// BitTorrent clients: announce URLs, and URLs below which the images of this
	// node lie.
	LinkTrackers, LinkWebSeeds []string
	// Upstream asks third-party registries. Nil: names in them are not resolved.
	Upstream Upstream
	// Pulling is how images are pulled through the registry.
	Pulling PullConfig
	// Storage says what is kept on the disk.
	Storage StorageConfig
	// Shelf is the local registry's need of files; nil: there is none.
	Shelf Shelf
	// Paused tells that nothing is to be fetched from peers now: what is under way
	// waits, and nothing new begins. Nil: never.
	Paused func() bool
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c *Config) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Config) isPaused() bool { return c.Paused != nil && c.Paused() }

// Exchange runs the three roads. It is safe for concurrent use.
type Exchange struct {
	Config
	log           *slog.Logger
	limits        *limits
	witnesses     *witnesses
	holdings      *holdings
	heads         *reconcile.Index // of all logs here; apply keeps it up to date
	blobLock      keyedMutex       // one download of a digest at a time
	logLock       keyedMutex       // one catch-up of an author at a time
	sought        sought           // cosignatures, of an author at a time
	refolding     keyedMutex       // one change of what stands of a log at a time
	weighed       weighedHeads     // those of logs that contradict what is here
	publish       sync.Mutex       // one release at a time: sequence numbers are in order
	own           ownLog
	transfer      transfers
	arrivals      arrivals
	deliveries    *efforts[*delivery]
	asking        *efforts[*asked] // registries what tags mean
	layers        *efforts[*layer]
	grants        grants
	pulls         *pulls
	upstreamStats upstreamStats
	catchUps      *turns        // single logs
	compares      *turns        // all logs of a peer
	delayed       atomic.Int64  // catch-ups that wait to be tried again
	news          chan *holding // fetched images to be announced
	judged        chan struct{} // what is held must be judged anew
	suspects      chan suspect  // records of the DHT that contradict something
	started       time.Time
	ticking       ticking
	storage       *storage
}

// maxCatchUps bounds the catch-ups that wait to be tried again; a hint beyond it
// is dropped, and the next gossip or connection asks again.
const maxCatchUps = 1024

// New takes stock of the images held, and brings the index up to the ledger.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*Exchange, error) {
	limits, err := newLimits(cfg.Quota)
	if err != nil {
		return nil, err
	}
	witnesses, err := newWitnesses(cfg.Rule.Policy, cfg.Net)
	if err != nil {
		return nil, err
	}
	x := &Exchange{
		Config:     cfg,
		witnesses:  witnesses,
		limits:     limits,
		log:        log.With("component", "exchange"),
		holdings:   newHoldings(),
		heads:      reconcile.NewIndex(),
		catchUps:   newTurns(catchUpsPerPeer, catchUpWorkers/2, maxTellers),
		compares:   newTurns(comparesPerPeer, 1, maxTellers),
		news:       make(chan *holding, maxCatchUps),
		judged:     make(chan struct{}, 1),
		suspects:   make(chan suspect, maxSuspects),
		started:    time.Now(),
		deliveries: newEfforts[*delivery](maxDeliveries, cfg.Pulling.linger()),
		asking:     newEfforts[*asked](maxLayers, cfg.Pulling.linger()),
		layers:     newEfforts[*layer](maxLayers, cfg.Pulling.linger()),
		pulls:      newPulls(cfg.now),
		storage:    newStorage(cfg.Storage),
	}
	if err := x.loadPulls(); err != nil {
		return nil, fmt.Errorf("reading the list of pulls: %w", err)
	}
	x.ticking = startTicking(x.now)
	x.Ledger.Guard(x.Me.ID, x.assure)
	if err := x.learnNames(); err != nil {
		return nil, err
	}
	if err := x.learnVouches(ctx, ""); err != nil {
		return nil, err
	}
	if err := x.measureAll(ctx); err != nil {
		return nil, err
	}
	if err := x.openStorage(); err != nil {
		return nil, fmt.Errorf("reading what is kept: %w", err)
	}
	if err := x.loadHoldings(); err != nil {
		return nil, fmt.Errorf("taking stock of images: %w", err)
	}
	if err := x.holdReleased(ctx); err != nil {
		return nil, fmt.Errorf("holding own releases: %w", err)
	}
	if err := x.forgetRefolded(); err != nil {
		return nil, err
	}
	if _, err := x.indexMissing(ctx, nil); err != nil {
		return nil, fmt.Errorf("bringing the index up to the ledger: %w", err)
	}
	return x, nil
}

// Run seeds and announces what is held, and works off catch-ups, until ctx ends.
func (x *Exchange) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	if x.Net != nil {
		wg.Go(func() {
			x.announceAll(ctx)
			x.announceNews(ctx)
		})
		wg.Go(func() { x.compareNowAndThen(ctx) })
		wg.Go(func() { x.withdraw(ctx) })
		wg.Go(func() { x.convictSuspects(ctx) })
		wg.Go(func() { x.keepCosigned(ctx) })
		wg.Go(func() { x.workOffAll(ctx, x.catchUps, catchUpWorkers) })
		wg.Go(func() { x.workOffAll(ctx, x.compares, compareWorkers) })
		wg.Go(func() { x.keepSeeded(ctx) })
		wg.Go(func() { x.keepLending(ctx) })
	}
	wg.Go(func() { x.keepReputation(ctx) })
	wg.Go(func() { x.keepPulls(ctx) })
	wg.Go(func() { x.keepRoom(ctx) })
	<-ctx.Done()
	x.deliveries.stopAll()
	x.layers.stopAll()
	x.asking.stopAll()
	wg.Wait()
	x.storePulls()
	return nil
}

// indexMissing folds into the index every ledger entry that it lacks, so that a
// crash between ledger and index mends itself at the next start.
func (x *Exchange) indexMissing(ctx context.Context, report func(Progress)) (int, error) {
	applied := x.Index.Applied()
	n := 0
	var after ledger.AuthorID
	for {
		heads, err := x.Ledger.Heads(after, 256)
		if err != nil {
			return n, err
		}
		if len(heads) == 0 {
			return n, nil
		}
		for _, h := range heads {
			after = h.Author
			stands, err := x.Ledger.StandingSize(h.Author)
			if err != nil {
				return n, err
			}
			if err := x.heads.Set(reconcile.Head{Author: h.Author, Size: h.Size, Root: h.Root}); err != nil {
				return n, err
			}
			got, err := x.indexLog(ctx, h.Author, applied[h.Author], stands)
			if err != nil {
				return n, fmt.Errorf("indexing author %s: %w", h.Author, err)
			}
			n += got
			if report != nil {
				report(Progress{Step: "index", Item: string(h.Author), Done: int64(n)})
			}
		}
	}
}

// indexLog applies the entries [from, to) of one log, in pages.
func (x *Exchange) indexLog(ctx context.Context, author ledger.AuthorID, from, to uint64) (int, error) {
	const page = 256
	n := 0
	for from < to {
		leaves, err := x.Ledger.Range(ctx, author, from, min(to, from+page), 1<<20)
		if err != nil {
			return n, err
		}
		if len(leaves) == 0 {
			return n, fmt.Errorf("entries %d to %d are missing from the store", from, to)
		}
		entries := make([]*ledger.Entry, len(leaves))
		for i, leaf := range leaves {
			if entries[i], err = ledger.DecodeEntry(author, from+uint64(i), leaf); err != nil {
				return n, err
			}
		}
		if err := x.apply(entries); err != nil {
			return n, err
		}
		from += uint64(len(leaves))
		n += len(leaves)
	}
	return n, nil
}

// apply folds verified entries into the catalogue. The store's notes come first:
// what the index has applied is asked of it after a crash.
func (x *Exchange) apply(entries []*ledger.Entry) error {
	if err := errors.Join(x.Store.NoteReleases(entries...), x.Store.NoteAbout(entries...)); err != nil {
		return err
	}
	if err := x.Index.Apply(x.Ledger, entries...); err != nil {
		return err
	}
	x.noteGrowth(entries)
	x.noteStanding(entries)
	x.noteFollowed(entries)
	return errors.Join(x.noteHeads(entries), x.noteStored(entries), x.noteVouches(entries))
}

// forgetRefolded has the logs folded anew that did not only grow: the index may
// not have heard of it before the node stopped.
func (x *Exchange) forgetRefolded() error {
	authors, err := x.Store.Refolded()
	if err != nil {
		return err
	}
	for _, author := range authors {
		if err := x.Index.Forget(author); err != nil {
			return err
		}
	}
	return nil
}

// refold folds a log anew of which other entries stand than before.
func (x *Exchange) refold(ctx context.Context, author ledger.AuthorID) error {
	unlock, err := x.refolding.lock(ctx, string(author))
	if err != nil {
		return err
	}
	defer unlock()
	stands, err := x.Ledger.StandingSize(author)
	if err != nil {
		return err
	}
	if err := x.Index.Forget(author); err != nil {
		return err
	}
	_, err = x.indexLog(context.WithoutCancel(ctx), author, 0, stands)
	x.judgeAnew()
	return err
}

// RebuildIndex drops the catalogue and folds it anew from the ledger. It
// returns the number of entries read.
func (x *Exchange) RebuildIndex(ctx context.Context, report func(Progress)) (int, error) {
	if err := x.Index.Reset(); err != nil {
		return 0, fmt.Errorf("emptying the index: %w", err)
	}
	return x.indexMissing(ctx, report)
}

// notFound tells whether err says that something is simply not there, in any of
// the domains.
func notFound(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, store.ErrNotFound) ||
		errors.Is(err, blobs.ErrNotFound) || errors.Is(err, ledger.ErrUnknownAuthor) ||
		errors.Is(err, index.ErrNotFound)
}
