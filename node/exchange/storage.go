package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/blobs"
)

// StorageConfig says what a node keeps on its disk.
type StorageConfig struct {
	// Quota is how many bytes all content files may have together. Images that were
	// fetched, are not pinned and are not this node's own make room for others.
	// Default 0: no limit.
	Quota int64
	// KeepFree is how many bytes of the disk are left to others. Default the lesser
	// of 1 GB and a twentieth of the disk; below 0: none.
	KeepFree int64
	// Every is how often what nobody needs is collected. Default an hour; below 0:
	// never by itself.
	Every time.Duration
	// Grace is how long that stays which nothing needs: layers whose manifest is yet
	// to be pushed. Default a day.
	Grace time.Duration
	// Settle is how long an image stays after it was used, whatever the quota says.
	// Default a minute.
	Settle time.Duration
	// KeepSeeders is how many nodes should hold each pinned image, this one among
	// them. Default 0: it is not looked after.
	KeepSeeders int
	// CheckEvery is how often the holders of pinned images are counted, and images
	// with too few five times as often. Default ten minutes.
	CheckEvery time.Duration
	// Lend is how many bytes may be taken by images that other nodes ask to be
	// kept, because too few hold them. Default 0: none.
	Lend int64
}

func (c StorageConfig) filled() StorageConfig {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Every, time.Hour)
	or(&c.Grace, 24*time.Hour)
	or(&c.Settle, time.Minute)
	or(&c.CheckEvery, 10*time.Minute)
	c.Grace, c.Settle = max(c.Grace, 0), max(c.Settle, 0)
	return c
}

// limits are those of the files, on a disk of a size.
func (c StorageConfig) limits(disk int64) blobs.Limits {
	l := blobs.Limits{Quota: max(c.Quota, 0), KeepFree: max(c.KeepFree, 0)}
	if c.KeepFree == 0 && disk > 0 {
		l.KeepFree = min(1e9, disk/20)
	}
	return l
}

// Shelf is the local registry, as far as files are needed there; see
// registry.Keeper.
type Shelf interface {
	Needs(ctx context.Context, before time.Time, dry bool, need func(digest.Digest), unlinked func(repo string, d digest.Digest)) error
}

// StorageStatus is what is on the disk, in bytes, and what was collected since the
// node started.
type StorageStatus struct {
	Used      int64     `json:"used"` // what counts against the quota
	Quota     int64     `json:"quota,omitempty"`
	Free      int64     `json:"free"` // of the disk
	KeepFree  int64     `json:"keep_free,omitempty"`
	Pinned    int       `json:"pinned"` // images
	Lent      int64     `json:"lent,omitempty"`
	Seeders   int       `json:"keep_seeders,omitempty"`
	Pins      []Pin     `json:"pins,omitempty"`
	Runs      int64     `json:"gc_runs"`
	Collected int64     `json:"gc_bytes"`   // files removed
	Evicted   int64     `json:"gc_evicted"` // images given up for want of room
	Refused   int64     `json:"refused"`    // what did not fit
	Last      time.Time `json:"gc_last,omitzero"`
}

// storage is what the exchange knows of its disk.
type storage struct {
	cfg        StorageConfig
	collecting chan struct{} // holds a token while something is collected
	pins       pins
	counts     counts
	lending    lending

	runs, collected, evicted, refused atomic.Int64

	mu      sync.Mutex
	last    time.Time // of a run
	vain    time.Time // when room was wanted that could not be made
	touched map[digest.Digest]time.Time
}

func newStorage(cfg StorageConfig) *storage {
	s := &storage{cfg: cfg.filled(), collecting: make(chan struct{}, 1), touched: map[digest.Digest]time.Time{}}
	s.pins.changed = make(chan struct{}, 1)
	return s
}

// openStorage reads back what is kept and why, and bounds the files.
func (x *Exchange) openStorage() error {
	if err := x.loadPins(); err != nil {
		return err
	}
	if err := x.loadLent(); err != nil {
		return err
	}
	x.Blobs.SetLimits(x.storage.cfg.limits(x.Blobs.Usage().Disk), x.freeSpace)
	return nil
}

// storageStatus tells of the disk.
func (x *Exchange) storageStatus(ctx context.Context) (*StorageStatus, error) {
	u := x.Blobs.Usage()
	pins, err := x.Pins(ctx)
	if err != nil {
		return nil, err
	}
	st := x.storage
	s := &StorageStatus{
		Used: u.Used(), Quota: u.Quota, Free: u.Free, KeepFree: u.KeepFree, Seeders: st.cfg.KeepSeeders, Pins: pins.Pins, Pinned: len(pins.Pins),
		Lent: x.lentBytes(), Runs: st.runs.Load(), Collected: st.collected.Load(), Evicted: st.evicted.Load(), Refused: st.refused.Load(),
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	s.Last = st.last
	return s, nil
}

// StorageFigures are for metrics.
type StorageFigures struct {
	blobs.Usage
	Pinned, Scarce                    int // images; with fewer holders than they should have
	Lent                              int64
	Runs, Collected, Evicted, Refused int64
}

// StorageFigures are for metrics.
func (x *Exchange) StorageFigures() StorageFigures {
	st := x.storage
	pinned, scarce := x.pinFigures()
	return StorageFigures{
		Usage: x.Blobs.Usage(), Pinned: pinned, Scarce: scarce, Lent: x.lentBytes(),
		Runs: st.runs.Load(), Collected: st.collected.Load(), Evicted: st.evicted.Load(), Refused: st.refused.Load(),
	}
}
