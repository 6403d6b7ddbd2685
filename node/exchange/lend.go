package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/kv"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// A node that lends room fetches images that others ask to be kept, because too few
// hold them, and gives them up like any that it fetched. It lends a fixed number of
// bytes and takes one such image at a time: whoever asks for nonsense, signed by
// nobody in particular, gets no more than that.

const (
	// lendEvery is how soon the same peer may ask for another image.
	lendEvery = 5 * time.Second
	// lendWithin is how long an image that was asked for may make no progress.
	lendWithin = time.Minute
	// maxLendAskers bounds the peers remembered that asked.
	maxLendAskers = 1024
)

type lending struct {
	mu    sync.Mutex
	busy  bool                     // somebody asks, or is given
	lent  map[swarm.Infohash]int64 // bytes
	asked map[peer.ID]time.Time
	work  sync.WaitGroup  // added to under mu, while ctx lasts
	ctx   context.Context // of Run; nil: not running
}

// loadLent reads back what is kept for others.
func (x *Exchange) loadLent() error {
	l := &x.storage.lending
	l.lent, l.asked = map[swarm.Infohash]int64{}, map[peer.ID]time.Time{}
	return x.Store.Storage().View(func(tx kv.Txn) error {
		for key := range tx.Each(lentKey, "") {
			ih, err := swarm.ParseInfohash(key)
			if err != nil {
				return fmt.Errorf("%s%s: %w", lentKey, key, err)
			}
			l.lent[ih] = 0
		}
		return tx.Err()
	})
}

func (x *Exchange) isLent(ih swarm.Infohash) bool {
	l := &x.storage.lending
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.lent[ih]
	return ok
}

// lentBytes is what the images kept for others take.
func (x *Exchange) lentBytes() (n int64) {
	l := &x.storage.lending
	l.mu.Lock()
	defer l.mu.Unlock()
	for ih, size := range l.lent {
		if hold, ok := x.holdings.image(ih); ok {
			size = hold.Map.Size
		}
		n += size
	}
	return n
}

func (x *Exchange) forgetLent(ih swarm.Infohash) {
	if !x.isLent(ih) {
		return
	}
	l := &x.storage.lending
	l.mu.Lock()
	delete(l.lent, ih)
	l.mu.Unlock()
	if err := x.Store.Storage().Update(func(tx kv.Txn) error { return tx.Delete(lentKey + ih.String()) }); err != nil {
		x.log.Warn("an image is still counted as kept for others", "infohash", ih, "err", err)
	}
}

// answerKeep takes on an image that a peer asks to be kept.
func (x *Exchange) answerKeep(ctx context.Context, from peer.ID, req []byte) ([]byte, error) {
	var q keepRequest
	if err := decodeStrict(req, &q); err != nil {
		return nil, err
	}
	ih, err := swarm.ParseInfohash(q.Infohash)
	if err == nil {
		_, err = ledger.ParseAuthorID(q.Author)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if _, held := x.holdings.image(ih); held {
		return encode(keepAnswer{}), nil
	}
	lending, done, err := x.mayLend(from)
	if err != nil {
		return nil, err
	}
	t, err := x.parseTarget(swarm.Magnet{Infohash: ih, Author: q.Author}.String())
	var c *candidate
	if err == nil {
		c, err = x.findToLend(ctx, t)
	}
	if err != nil {
		done()
		return nil, errNotLent
	}
	go func() {
		defer done()
		if err := x.lend(lending, ih, t, c.release.Size); err != nil {
			x.log.Debug("image is not kept for another", "infohash", ih, "err", err)
		}
	}()
	return encode(keepAnswer{New: true}), nil
}

// mayLend tells whether a peer may ask now, and takes the one place there is. What is
// done for the peer ends with ctx.
func (x *Exchange) mayLend(from peer.ID) (ctx context.Context, done func(), err error) {
	l := &x.storage.lending
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.asked[from]
	switch {
	case x.storage.cfg.Lend <= 0 || l.ctx == nil || l.ctx.Err() != nil || x.PeerScore(from) < 0:
		return nil, nil, errNotLent
	case l.busy || known && now.Sub(last) < lendEvery:
		return nil, nil, errTooBusy
	}
	if len(l.asked) >= maxLendAskers {
		clear(l.asked)
	}
	l.busy, l.asked[from] = true, now
	l.work.Add(1)
	return l.ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.busy = false
		l.work.Done()
	}, nil
}

// findToLend finds the release, and whether there is room for it.
func (x *Exchange) findToLend(ctx context.Context, t target) (*candidate, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout/2)
	defer cancel()
	c, err := x.find(ctx, t)
	if err == nil && c.release.Size > x.storage.cfg.Lend-x.lentBytes() {
		err = errNotLent
	}
	return c, err
}

// lend fetches an image for others. It is noted before, so that what a crash leaves
// counts as lent.
func (x *Exchange) lend(ctx context.Context, ih swarm.Infohash, t target, size int64) error {
	l := &x.storage.lending
	if err := x.Store.Storage().Update(func(tx kv.Txn) error {
		return tx.Set(lentKey+ih.String(), x.now().UTC().AppendFormat(nil, time.RFC3339))
	}); err != nil {
		return err
	}
	l.mu.Lock()
	l.lent[ih] = size
	l.mu.Unlock()
	_, err := x.Fetch(ctx, FetchRequest{Target: t.text, Timeout: lendWithin}, nil)
	if err != nil {
		x.forgetLent(ih)
	}
	return err
}

// keepLending lets peers ask until ctx ends, and waits for what is under way.
func (x *Exchange) keepLending(ctx context.Context) {
	l := &x.storage.lending
	l.mu.Lock()
	l.ctx = ctx
	l.mu.Unlock()
	<-ctx.Done()
	l.mu.Lock()
	l.ctx = nil // whoever asks from here on is refused
	l.mu.Unlock()
	l.work.Wait()
}
