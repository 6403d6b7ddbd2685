package exchange

import (
	"context"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// What is held was accepted when it came. Whether it is given away is asked anew:
// its author may take it back, or be proven to have broken the rules. Every door
// asks here, and what no door gives any more is not seeded or announced either.

// mayGive tells whether some release of a held image is accepted.
func (x *Exchange) mayGive(ctx context.Context, ih swarm.Infohash) bool {
	ok, known, epoch := x.holdings.given(ih)
	if known {
		return ok
	}
	ok, err := x.isAccepted(ctx, ih)
	if err != nil {
		x.log.Warn("whether an image may be given cannot be told", "infohash", ih, "err", err)
		return false
	}
	x.holdings.setGiven(ih, ok, epoch)
	return ok
}

func (x *Exchange) isAccepted(ctx context.Context, ih swarm.Infohash) (bool, error) {
	places, err := x.Store.ReleasesOf(ih.String())
	if err != nil {
		return false, err
	}
	for _, at := range places {
		p, err := x.Ledger.Prove(ctx, at.Author, at.Index)
		if err != nil {
			return false, err
		}
		if x.Ledger.Verdict(ctx, ledger.Claim{Proved: p, Infohash: ih.String()}).Accepted {
			return true, nil
		}
	}
	return false, ctx.Err()
}

// mayGiveBlob tells whether a held image that may be given has the blob.
func (x *Exchange) mayGiveBlob(ctx context.Context, d digest.Digest) bool {
	for _, ih := range x.holdings.with(d) {
		if x.mayGive(ctx, ih) {
			return true
		}
	}
	return false
}

// judgeAnew has the doors ask again, because an author said or did something
// that may change the verdict on what is held.
func (x *Exchange) judgeAnew() {
	x.holdings.forgetGiven()
	select {
	case x.judged <- struct{}{}:
	default: // it will be looked at anyway
	}
}

// noteStanding does so where entries call for it.
func (x *Exchange) noteStanding(entries []*ledger.Entry) {
	for _, e := range entries {
		if e.Inception != nil {
			continue // nothing of this author was held before
		}
		switch s := e.Statement.(type) {
		case *ledger.Attest, *ledger.Endorse, *ledger.Vouch:
			continue
		case *ledger.Release:
			ih, err := swarm.ParseInfohash(s.Infohash)
			if err != nil {
				continue
			}
			if _, held := x.holdings.image(ih); !held {
				continue
			}
		}
		x.judgeAnew()
		return
	}
}

// withdraw stops seeding and announcing what may not be given any more, and
// begins again with what may.
func (x *Exchange) withdraw(ctx context.Context) {
	withdrawn := map[swarm.Infohash]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.judged:
		}
		for _, hold := range x.holdings.all() {
			ih, err := swarm.ParseInfohash(hold.Record.Infohash)
			if err != nil {
				continue // loadHoldings parsed it
			}
			switch may := x.mayGive(ctx, ih); {
			case ctx.Err() != nil:
				return
			case !may && !withdrawn[ih]:
				withdrawn[ih] = true
				x.unseed(ctx, ih, hold)
				x.log.Info("image is not seeded any more: no release of it is accepted", "infohash", ih)
			case may && withdrawn[ih]:
				delete(withdrawn, ih)
				if err := x.seed(ctx, hold); err != nil {
					x.log.Warn("image is not seeded", "infohash", ih, "err", err)
				}
				x.announce(ctx, ih, hold.Map, x.ownRelease(ctx, ih))
			}
		}
	}
}

// unseed undoes seed and announce, but for layers that another image covers.
func (x *Exchange) unseed(ctx context.Context, ih swarm.Infohash, hold *holding) {
	x.Swarm.Unseed(ih)
	x.Net.StopProvide(infohashKey(ih))
	x.Net.StopValue(recordKey(ih, x.Me.ID))
	for _, b := range hold.Map.Blobs {
		if x.mayGiveBlob(ctx, b.Digest) {
			continue
		}
		x.Net.StopProvide(blobKey(b.Digest))
		if lih, err := swarm.ParseInfohash(b.Infohash); err == nil {
			x.Swarm.Unseed(lih)
		}
	}
}
