package exchange

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/p2p/swarm"
)

const (
	// announceWait is how long a publish waits for the network; the rest of the
	// announcement goes on behind it and is repeated at each start.
	announceWait = 10 * time.Second
	// providedBlob is the size from which a blob has provider records of its
	// own: smaller ones come with the image.
	providedBlob = 1 << 20
	// announceParallel bounds the announcements under way at once.
	announceParallel = 8
)

// announce tells the network of a held image: gossip for those who listen, the
// DHT for those who come later. Each part may fail without harm; p2p repeats
// provider records on its own, and Run repeats all of it at the next start.
func (x *Exchange) announce(ctx context.Context, ih swarm.Infohash, m image.TorrentMap, p *ledger.Proved) {
	if x.Net == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, announceWait)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(announceParallel)
	try := func(what string, f func() error) {
		g.Go(func() error {
			if err := f(); err != nil {
				x.log.Debug("not announced", "what", what, "infohash", ih, "err", err)
			}
			return nil
		})
	}
	if p != nil {
		try("gossip", func() error { return x.Net.Publish(ctx, p.Encode()) })
	}
	try("holder", func() error { return x.Net.Provide(ctx, infohashKey(ih)) })
	if p != nil {
		author := ledger.AuthorIDOf(p.Inception)
		try("record", func() error { return x.Net.PutValue(ctx, recordKey(ih, author), p.Encode()) })
		try("log", func() error { return x.Net.Provide(ctx, logKey(author)) })
	}
	for _, b := range m.Blobs {
		if b.Size >= providedBlob {
			try("blob", func() error { return x.Net.Provide(ctx, blobKey(b.Digest)) })
		}
	}
	_ = g.Wait() // every part reports itself
}

// announceAll seeds and announces, at the start, what is held from before.
func (x *Exchange) announceAll(ctx context.Context) {
	for _, hold := range x.holdings.all() {
		if ctx.Err() != nil {
			return
		}
		ih, err := swarm.ParseInfohash(hold.Record.Infohash)
		if err != nil {
			continue // loadHoldings parsed it
		}
		if !x.mayGive(ctx, ih) {
			x.log.Info("image is not seeded: no release of it is accepted", "infohash", ih)
			continue
		}
		if err := x.seed(ctx, hold); err != nil {
			x.log.Warn("image is not seeded", "infohash", ih, "err", err)
			continue
		}
		x.announce(ctx, ih, hold.Map, x.ownRelease(ctx, ih))
	}
}

// announceNews announces what is fetched while the node runs. The fetch does not
// wait for it.
func (x *Exchange) announceNews(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case hold := <-x.news:
			if ih, err := swarm.ParseInfohash(hold.Record.Infohash); err == nil {
				x.announce(ctx, ih, hold.Map, nil)
			}
		}
	}
}

// ownRelease is this author's release of an image, if there is one.
func (x *Exchange) ownRelease(ctx context.Context, ih swarm.Infohash) *ledger.Proved {
	places, err := x.Store.ReleasesOf(ih.String())
	if err != nil {
		return nil
	}
	for _, at := range places {
		if at.Author == x.Me.ID {
			if p, err := x.Ledger.Prove(ctx, at.Author, at.Index); err == nil {
				return p
			}
		}
	}
	return nil
}
