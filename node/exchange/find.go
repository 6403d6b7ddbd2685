package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// askParallel bounds the peers asked at once.
	askParallel = 8
	// askConnected bounds the connected peers asked besides the DHT's providers.
	askConnected = 16
	// askTimeout bounds one question.
	askTimeout = 10 * time.Second
	// lookEvery is the pause between two look-ups of providers while nobody has
	// answered, or more are wanted.
	lookEvery = 500 * time.Millisecond
	// maxProviders bounds the providers taken from one look-up.
	maxProviders = 32
)

// candidate is a release whose verdict, as far as it goes without the content,
// is good.
type candidate struct {
	proved  *ledger.Proved
	release *ledger.Release
	author  ledger.AuthorID
	size    uint64 // entries of the log to be had before the content is accepted
}

// sizeNeeded is how much of an author's log is to be had for a release: up to it,
// or, where witnesses are required, all that they may have seen, so that what the
// author said since is known.
func (x *Exchange) sizeNeeded(e *ledger.Entry, c ledger.Checkpoint) uint64 {
	if x.Rule.Required {
		return c.Size
	}
	return e.Index + 1
}

// find looks for a release of the target: here first, then among peers, until
// ctx ends. What was refused on the way is told when nothing better came.
func (x *Exchange) find(ctx context.Context, t target) (*candidate, error) {
	var refused *RejectedError
	for again := true; again; {
		here, err := x.releasesHere(ctx, t)
		if err != nil {
			return nil, err
		}
		again = false
		for _, p := range here {
			c, err := x.consider(ctx, t, p)
			if err == nil {
				return c, nil
			}
			errors.As(err, &refused)
			again = again || !sameText(x.newestOf(p), p.Checkpoint) // asking for witnesses brought more of the log
		}
	}
	if t.magnet == nil && refused != nil && lacksWitnesses(refused.Verdict) {
		return nil, refused // whoever could help was asked
	}
	if x.Net == nil {
		if refused != nil {
			return nil, refused
		}
		return nil, fmt.Errorf("%w: %s is not in this node's index", ErrNotFound, t.text)
	}
	return x.findAmongPeers(ctx, t, refused)
}

// releasesHere are those of the target in this node's ledger.
func (x *Exchange) releasesHere(ctx context.Context, t target) ([]*ledger.Proved, error) {
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []*ledger.Proved
	for _, rec := range records {
		p, err := x.Ledger.Prove(ctx, rec.Author, rec.Index)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// consider asks for the verdict on a release, as far as it goes without the
// content.
func (x *Exchange) consider(ctx context.Context, t target, p *ledger.Proved) (*candidate, error) {
	claim := t.claim(p)
	v := x.verdict(ctx, &claim)
	p = claim.Proved
	if !v.Accepted {
		return nil, &RejectedError{Ref: t.text, Verdict: v}
	}
	entry, checkpoint, err := p.Verify()
	if err != nil {
		return nil, err
	}
	if slices.Contains(t.passOver, entry.Author) {
		return nil, fmt.Errorf("%w: what %s released under this link is passed over", ErrGarbage, entry.Author)
	}
	r := entry.Release
	if r == nil || !t.isBy(entry.Author) {
		return nil, fmt.Errorf("%w: the entry is not a release of %s", ErrGarbage, t.text)
	}
	if t.magnet == nil && (r.Repo != t.ref.Repo || (t.ref.Tag != "" && r.Tag != t.ref.Tag)) {
		return nil, fmt.Errorf("%w: the release is of %s:%s, not of %s", ErrGarbage, r.Repo, r.Tag, t.text)
	}
	return &candidate{proved: p, release: r, author: entry.Author, size: x.sizeNeeded(entry, checkpoint)}, nil
}

// findAmongPeers asks peers until one answers with an acceptable release.
func (x *Exchange) findAmongPeers(ctx context.Context, t target, refused *RejectedError) (*candidate, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var found *candidate
	var others atomic.Int32 // questions besides those of eachPeer
	moved := false
	take := func(c *candidate, err error) {
		mu.Lock()
		defer mu.Unlock()
		if c != nil && found == nil {
			found = c
			cancel()
		}
		var r *RejectedError
		if errors.As(err, &r) {
			refused = r
		}
		if errors.Is(err, errMoved) && !moved {
			moved = true
			cancel()
		}
	}
	var wg sync.WaitGroup
	if t.magnet != nil && t.author != "" {
		others.Add(1)
		wg.Go(func() {
			defer others.Add(-1)
			take(x.askDHT(ctx, t))
		})
	}
	key := logKey(t.author)
	if t.magnet != nil {
		key = infohashKey(t.magnet.Infohash)
		for id, addrs := range byPeer(t.magnet.Addrs) {
			others.Add(1)
			wg.Go(func() {
				defer others.Add(-1)
				if err := x.Net.Connect(ctx, addrs...); err != nil {
					x.log.Debug("peer in the link does not answer", "peer", id, "err", err)
					return
				}
				take(x.askPeer(ctx, t, id))
			})
		}
	}
	x.eachPeer(ctx, key, func(p peer.ID) { take(x.askPeer(ctx, t, p)) }, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return others.Load() == 0 && refused != nil && lacksWitnesses(refused.Verdict) // they were asked too
	})
	cancel()
	wg.Wait()
	switch {
	case found != nil:
		return found, nil
	case moved:
		return nil, errMoved
	case refused != nil:
		return nil, refused
	case errors.Is(context.Cause(ctx), context.Canceled):
		return nil, context.Canceled
	default:
		return nil, fmt.Errorf("%w: %s", ErrTimeout, t.text)
	}
}

// byPeer sorts multiaddrs by the peer they lead to. Each peer is dialled at all of its
// addresses together: a goroutine for each would have chance choose the road.
func byPeer(addrs []string) map[peer.ID][]string {
	out := map[peer.ID][]string{}
	for _, a := range addrs {
		if info, err := peer.AddrInfoFromString(a); err == nil {
			out[info.ID] = append(out[info.ID], a)
		}
	}
	return out
}

// askDHT reads the record that the link's author put into the DHT.
func (x *Exchange) askDHT(ctx context.Context, t target) (*candidate, error) {
	value, err := x.Net.GetValue(ctx, recordKey(t.magnet.Infohash, t.author))
	if err != nil {
		return nil, err
	}
	p, err := ledger.DecodeProved(value)
	if err != nil {
		return nil, err
	}
	if _, err := x.check(ctx, p); err != nil {
		x.log.Debug("record could not be checked", "err", err)
	}
	return x.consider(ctx, t, p)
}

// askPeer asks one peer for its releases of the target, and brings our copy of
// their authors' logs up to them, so that growth is checked now and remembered.
func (x *Exchange) askPeer(ctx context.Context, t target, p peer.ID) (*candidate, error) {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	op, q := OpReleases, encode(releasesRequest{Infohash: t.infohash()})
	if t.magnet == nil {
		op, q = OpRelease, encode(releaseRequest{Author: string(t.author), Repo: t.ref.Repo, Tag: t.ref.Tag})
	}
	b, err := x.Net.Request(ask, p, op, q)
	if err != nil {
		return nil, x.orMoved(ctx, t, p, err)
	}
	releases, err := decodeReleases(b)
	if err != nil {
		x.blame(p, reputation.BrokenPromise)
		return nil, err
	}
	if err := x.hear(p, len(releases), len(b)); err != nil {
		return nil, err
	}
	var last error
	for _, proved := range releases {
		c, err := x.adopt(ctx, t, proved, p)
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}

// adopt considers a release that a peer told us.
func (x *Exchange) adopt(ctx context.Context, t target, proved *ledger.Proved, from peer.ID) (*candidate, error) {
	_, err := x.check(ctx, proved)
	var behind *ledger.Behind
	if errors.As(err, &behind) {
		defer x.limits.ask(behind.Author)()
		if err := x.CatchUp(ctx, ledger.AuthorIDOf(proved.Inception), from); err != nil {
			x.log.Debug("release without its log", "peer", from, "err", err)
		}
	} else if err != nil && !errors.Is(err, ledger.ErrFork) && !errors.Is(err, ledger.ErrSuperseded) {
		x.blame(from, reputation.BadSignature)
	}
	return x.consider(ctx, t, proved)
}

// eachPeer calls f, in parallel, once for each peer that may know about a DHT
// key: connected ones, then its providers, looked up again and again. It returns
// when every f has returned, and ctx has ended or, after a look-up, enough says
// so; nil enough never does.
func (x *Exchange) eachPeer(ctx context.Context, key []byte, f func(peer.ID), enough func() bool) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var asking atomic.Int32
	slots := make(chan struct{}, askParallel)
	asked := map[peer.ID]time.Time{}
	ask := func(p peer.ID) {
		if last, ok := asked[p]; p == x.Net.ID() || ok && time.Since(last) < askTimeout {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		asked[p] = time.Now()
		asking.Add(1)
		wg.Go(func() {
			defer func() {
				asking.Add(-1)
				<-slots
			}()
			f(p)
		})
	}
	for ctx.Err() == nil {
		connected := peerStrings(x.Net.Connected())
		for _, s := range x.Reputation.Rank(reputation.Peer, connected)[:min(len(connected), askConnected)] {
			if p, err := peer.Decode(s); err == nil {
				ask(p)
			}
		}
		for info := range x.Net.FindProviders(ctx, key, maxProviders) {
			ask(info.ID)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
		if enough != nil && asking.Load() == 0 && enough() {
			return
		}
	}
}

func peerStrings(ids []peer.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}
