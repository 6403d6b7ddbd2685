package exchange

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// catchUpWorkers fetch logs, half of them at most from the same peer;
	// compareWorkers compare all logs with those of a peer, which takes long.
	catchUpWorkers = 4
	compareWorkers = 2
	// Bounds of what waits, for each peer and in peers.
	catchUpsPerPeer = 256
	comparesPerPeer = 2
	maxTellers      = 256
	// catchUpTries bounds how often a log is asked for that is known to be
	// longer than it is here, firstRetry the pause after the first time; each
	// one after is twice as long.
	catchUpTries = 8
	firstRetry   = 50 * time.Millisecond
	// compareEvery is how often the logs of some peer are compared with ours:
	// gossip is a hint, and now and then one is missed.
	compareEvery = time.Minute
	// compareAgain is when a new peer takes part in gossip, at the latest.
	compareAgain = 3 * time.Second
)

// catchUp is a log, or with no author the list of all logs, to be had from a
// peer.
type catchUp struct {
	author ledger.AuthorID
	from   peer.ID
	size   uint64 // entries that the log is known to have
	signed []byte // a checkpoint with cosignatures to keep, if it becomes the newest
	tries  int    // so far
	keys   int    // changes of keys that the log is known to have, if there are more than here
}

// Connected is called for each new peer: its logs are compared with ours, and
// what is longer there is fetched. Gossip between the two begins only after
// that, and what was passed on in between is found by comparing again.
func (x *Exchange) Connected(p peer.ID) {
	x.wantLog(catchUp{from: p})
	x.wantLater(catchUp{from: p}, compareAgain)
}

func (x *Exchange) wantLog(c catchUp) {
	to := x.catchUps
	if c.author == "" {
		to = x.compares
	}
	if !to.add(c) {
		x.log.Debug("too many logs to catch up with, one is put off", "author", c.author, "peer", c.from)
	}
}

// workOffAll works off what waits, with so many workers, until ctx ends.
func (x *Exchange) workOffAll(ctx context.Context, waiting *turns, workers int) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				c, done, err := waiting.take(ctx)
				if err != nil {
					return
				}
				x.workOff(ctx, c)
				done()
			}
		})
	}
	wg.Wait()
}

func (x *Exchange) workOff(ctx context.Context, c catchUp) {
	var err error
	from := x.teller(c)
	if c.author == "" {
		err = x.compare(ctx, from)
	} else {
		before := x.reached(ctx, c.author)
		if head, herr := x.Ledger.Head(c.author); herr != nil || head.Size < c.size {
			err = x.CatchUp(ctx, c.author, from)
		}
		x.adoptCosignatures(ctx, c.author, c.signed)
		if x.reached(ctx, c.author) > before {
			c.tries = 0
		}
	}
	if err != nil && ctx.Err() == nil {
		x.log.Debug("not caught up", "peer", from, "author", c.author, "err", err)
	}
	if c.author != "" && ctx.Err() == nil {
		x.tryLater(c)
	}
}

// reached is how far a log reaches here, 0 when that cannot be told.
func (x *Exchange) reached(ctx context.Context, author ledger.AuthorID) uint64 {
	size, _, err := x.Ledger.Reached(ctx, author)
	if err != nil {
		return 0
	}
	return size
}

// resumeLater goes on, soon and with whoever there is, with a log of which only
// some could be had.
func (x *Exchange) resumeLater(author ledger.AuthorID, from peer.ID) bool {
	st, err := x.Ledger.Staged(author)
	if err == nil {
		x.wantLater(catchUp{author: author, from: from, size: st.Size + 1}, firstRetry)
	}
	return err == nil
}

// teller is whom to ask: who passed the news on, and from the second time on,
// by turns, one of the other peers.
func (x *Exchange) teller(c catchUp) peer.ID {
	if c.tries%2 == 0 {
		return c.from
	}
	ranked := x.Reputation.Rank(reputation.Peer, peerStrings(x.Net.Connected()))
	if len(ranked) == 0 {
		return c.from
	}
	p, err := peer.Decode(ranked[c.tries/2%len(ranked)])
	if err != nil {
		return c.from
	}
	return p
}

// tryLater asks again for a log that is still shorter here than it is known to
// be. Whoever passes news on may not have caught up with it yet.
func (x *Exchange) tryLater(c catchUp) {
	head, err := x.Ledger.Head(c.author)
	if err != nil && !notFound(err) {
		return
	}
	if changes, err := x.Ledger.KeyChanges(c.author); c.keys == 0 || err != nil || changes >= c.keys {
		if head.Size >= c.size || x.isFrozen(c.author) {
			return
		}
	}
	pause := firstRetry << c.tries
	if c.tries++; c.tries == catchUpTries {
		return
	}
	x.wantLater(c, pause)
}

func (x *Exchange) wantLater(c catchUp, pause time.Duration) {
	if x.delayed.Add(1) > maxCatchUps {
		x.delayed.Add(-1)
		return
	}
	time.AfterFunc(pause, func() {
		x.delayed.Add(-1)
		x.wantLog(c)
	})
}

// compareNowAndThen compares logs with one peer after the other, so that what
// gossip did not bring comes all the same.
func (x *Exchange) compareNowAndThen(ctx context.Context) {
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if peers := x.Net.Connected(); len(peers) > 0 {
				x.wantLog(catchUp{from: peers[rand.IntN(len(peers))]})
			}
		}
	}
}
