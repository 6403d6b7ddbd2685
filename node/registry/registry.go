package registry

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/semaphore"

	"github.com/dockchains/dockchain/node/blobs"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
)

// Exchange is what the registry needs of the roads.
type Exchange interface {
	// OwnerOf tells whose names with this first component are.
	OwnerOf(first string) (exchange.Owner, error)
	// Released tells whether this node's ledger has a release of a reference.
	Released(ctx context.Context, ref string) (bool, error)
	Publish(ctx context.Context, req exchange.PublishRequest, report func(exchange.Progress)) (exchange.Published, error)
	// Pull gives the root of a reference that was not pushed here.
	Pull(ctx context.Context, req exchange.PullRequest) (exchange.Pulled, error)
	// OpenContent opens a blob of an image that was pulled by this name.
	OpenContent(ctx context.Context, name string, d digest.Digest) (exchange.Content, error)
}

// Observer is told what clients did. Of a push, mount and delete it returns when
// the event is durable; of a pull at once.
type Observer interface {
	Observe(ctx context.Context, e exchange.RegistryEvent)
}

// Config is what the registry stands on and what it allows.
type Config struct {
	Blobs    *blobs.Store
	Bucket   kv.Bucket
	Exchange Exchange
	Observer Observer // nil: nobody
	Log      *slog.Logger

	// Uploads bound what is not finished.
	Uploads blobs.UploadLimits
	// Requests is how many are served at once, but for /v2/; more are answered 429.
	// Default 1024.
	Requests int
	// Manifests is how many bytes of manifests are held in memory at once; requests
	// wait for their turn. Default 64 MiB.
	Manifests int64
	// Page is the most entries of a list in one answer, whatever n says. Default
	// 1000.
	Page int
	// Stall is how long a client may take for 64 KiB it sends, or 512 KiB it takes.
	// Default a minute.
	Stall time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c Config) filled() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Requests <= 0 {
		c.Requests = 1024
	}
	if c.Manifests <= 0 {
		c.Manifests = 64 << 20
	}
	c.Manifests = max(c.Manifests, image.MaxManifest+1)
	if c.Page <= 0 {
		c.Page = 1000
	}
	if c.Stall <= 0 {
		c.Stall = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Uploads.Now == nil {
		c.Uploads.Now = c.Now
	}
	return c
}

// Registry serves repositories. It is safe for concurrent use.
type Registry struct {
	Config
	log       *slog.Logger
	shelf     *shelf
	uploads   *blobs.Uploads
	requests  chan struct{}       // a token each while it is served
	documents *semaphore.Weighted // bytes of manifests in memory
	queued    chan struct{}       // something is to be published
}

// New takes over what is on the shelf and the uploads under way.
func New(cfg Config) (*Registry, error) {
	cfg = cfg.filled()
	uploads, err := cfg.Blobs.Uploads(cfg.Uploads)
	if err != nil {
		return nil, err
	}
	return &Registry{
		Config: cfg, log: cfg.Log.With("component", "registry"), shelf: newShelf(cfg.Bucket, cfg.Now), uploads: uploads,
		requests: make(chan struct{}, cfg.Requests), documents: semaphore.NewWeighted(cfg.Manifests),
		queued: make(chan struct{}, 1),
	}, nil
}

// expireEvery is how often uploads are looked through that nobody goes on with.
const expireEvery = 10 * time.Minute

// Run publishes what was pushed where that is wanted, and gives up old uploads,
// until ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.publishQueued(ctx)
	}()
	for {
		select {
		case <-ctx.Done():
			<-done
			return nil
		case <-tick.C:
			if n, err := r.uploads.Expire(); err != nil {
				r.log.Warn("old uploads stay", "err", err)
			} else if n > 0 {
				r.log.Info("old uploads given up", "count", n)
			}
		}
	}
}

// Handler serves /v2/ without guards: put api.GuardClients before it.
func (r *Registry) Handler() http.Handler { return r.handler("") }

// Mirror serves /v2/ to clients that mean the names of one third-party registry,
// "docker.io", and do not say so.
func (r *Registry) Mirror(host string) http.Handler { return r.handler(host) }

func (r *Registry) handler(host string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, host) })
	return mux
}
