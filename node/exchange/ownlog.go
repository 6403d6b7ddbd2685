package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/reputation"
)

// An author whose data directory is an old copy would sign a second history with
// the next word. Therefore nothing is appended to the log of this author after a
// start before others were asked how much of it they have seen: the peers, who
// give what is missing here, and the witnesses of the policy, who say its size.
//
//	a peer has more, and it continues the log here   it is taken, and signing goes on
//	a peer has another history                       the log is frozen: two were signed
//	a witness has seen more, and no peer has it      nothing is signed (ErrBehind)
//	a witness has seen another history               nothing is signed (ErrDiverged)
//	no witness of a policy with a quorum answers     nothing is signed (ErrUnwitnessed)
//	nobody answers, and no quorum is wanted          signing goes on
//
// After that each peer that connects, each comparison of logs and each
// cosignature asked for is such a question too.

const (
	// ownAsked bounds the peers asked for this author's log at once, ownTimeout
	// the wait for their answers and for those of the witnesses.
	ownAsked   = 16
	ownTimeout = 5 * time.Second
	// ownPeers is how long the first word after a start waits for one of the
	// peers known from before.
	ownPeers = 5 * time.Second
)

// ownLog is whether the log of this author is known to be whole.
type ownLog struct {
	mu    sync.Mutex
	whole bool // others were asked, and nothing that they said forbids to sign
}

type withoutMissing struct{}

// assure wants the log of this author to be whole before anything is signed. It
// asks once after a start, and again when there is doubt.
func (x *Exchange) assure(ctx context.Context) error {
	x.own.mu.Lock()
	defer x.own.mu.Unlock()
	if x.own.whole {
		return nil
	}
	if err := x.askOthers(ctx); err != nil {
		if ctx.Value(withoutMissing{}) == nil || !errors.Is(err, ErrBehind) && !errors.Is(err, ErrDiverged) {
			return err
		}
		x.log.Warn("signing without entries that others have seen of this author's log", "err", err)
		return nil
	}
	x.own.whole = true
	return nil
}

// doubt has others asked again before the next word.
func (x *Exchange) doubt() {
	x.own.mu.Lock()
	defer x.own.mu.Unlock()
	x.own.whole = false
}

func (x *Exchange) askOthers(ctx context.Context) error {
	if x.Net == nil {
		if x.wantsQuorum() {
			return fmt.Errorf("%w: only a running node can ask them", ErrUnwitnessed)
		}
		return nil
	}
	x.awaitKnownPeers(ctx)
	x.askPeersForOwn(ctx)
	if err := x.settleKeys(); err != nil {
		return err
	}
	if x.isFrozen(x.Me.ID) {
		return nil // the ledger refuses, and says why
	}
	return x.askWitnessesForOwn(ctx)
}

// wantsQuorum tells whether this author's policy wants cosignatures.
func (x *Exchange) wantsQuorum() bool {
	return x.Rule.Policy != nil && x.Rule.Policy.Quorum != "none" && len(x.Rule.Policy.Witnesses) > 0
}

// awaitKnownPeers waits a moment for a node that was just started to find one of
// the peers that it had.
func (x *Exchange) awaitKnownPeers(ctx context.Context) {
	known, err := x.Store.Peers()
	if err != nil || len(known) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ownPeers)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(x.Net.Connected()) == 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// askPeersForOwn fetches from peers what they have of this author's log and is
// missing here. A peer who has made it up is blamed for it and changes nothing.
func (x *Exchange) askPeersForOwn(ctx context.Context) {
	head, err := x.Ledger.Head(x.Me.ID)
	if err != nil {
		return
	}
	ranked := x.Reputation.Rank(reputation.Peer, peerStrings(x.Net.Connected()))
	ranked = ranked[:min(len(ranked), ownAsked)]
	more := make(chan peer.ID, len(ranked))
	ask, cancel := context.WithTimeout(ctx, ownTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range ranked {
		p, err := peer.Decode(s)
		if err != nil {
			continue
		}
		wg.Go(func() {
			if x.hasOtherOwn(ask, p, head) {
				more <- p
			}
		})
	}
	wg.Wait()
	close(more)
	for p := range more {
		if err := x.CatchUp(ctx, x.Me.ID, p); err != nil {
			x.log.Debug("not caught up", "peer", p, "author", x.Me.ID, "err", err)
		}
	}
}

// hasOtherOwn tells whether a peer says that it has another log of this author
// than the one here or its beginning.
func (x *Exchange) hasOtherOwn(ctx context.Context, p peer.ID, head ledger.Head) bool {
	parts, err := x.askParts(ctx, p, reconcile.Pull{MaxBytes: 1, Wants: []reconcile.Want{{Author: x.Me.ID, From: head.Size}}})
	if err != nil {
		return false
	}
	a := parts[0]
	return a.Size > head.Size || a.Size == head.Size && noteText(a.Checkpoint) != noteText(head.Checkpoint)
}

// noteText is what signatures of a checkpoint are over.
func noteText(signed []byte) string {
	n, err := note.Parse(signed)
	if err != nil {
		return ""
	}
	return n.Text
}

// settleKeys puts the keys in their places, in case that what was caught up with
// changes them. The caller is about to sign.
func (x *Exchange) settleKeys() error {
	keys, err := x.Ledger.Keys(x.Me.ID)
	if err != nil || x.Me.Files == nil || keys.Has(x.Me.Key.Public()) {
		return err
	}
	key, err := x.Me.Files.Settle(keys)
	if err == nil {
		x.Me.Key = key
	}
	return err
}

// askWitnessesForOwn asks all witnesses of the policy for the size of this
// author's log that they have seen, by having the newest checkpoint cosigned.
func (x *Exchange) askWitnessesForOwn(ctx context.Context) error {
	if len(x.witnesses.clients) == 0 {
		if x.wantsQuorum() {
			return fmt.Errorf("%w: the policy has no addresses of them", ErrUnwitnessed)
		}
		return nil
	}
	head, err := x.Ledger.Head(x.Me.ID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ownTimeout)
	defer cancel()
	answers := make(chan error, len(x.witnesses.clients))
	for _, w := range x.witnesses.clients {
		go func() {
			_, err := w.Cosign(ctx, head.Checkpoint, func(ctx context.Context, older, newer uint64) ([]tlog.Hash, error) {
				return x.Ledger.ProveConsistency(ctx, x.Me.ID, older, newer)
			})
			answers <- err
		}()
	}
	answered := false
	var forbids, failed error
	for range x.witnesses.clients {
		err := <-answers
		switch {
		case errors.Is(err, witness.ErrAhead):
			forbids = errors.Join(forbids, fmt.Errorf("%w: %w, and %d are here", ErrBehind, err, head.Size))
		case errors.Is(err, witness.ErrFork), errors.Is(err, witness.ErrInconsistent):
			forbids = errors.Join(forbids, fmt.Errorf("%w: %w", ErrDiverged, err))
		case err == nil, errors.Is(err, witness.ErrUnknownLog), errors.Is(err, witness.ErrUntrusted):
			answered = true
		default:
			failed = errors.Join(failed, err)
		}
	}
	switch {
	case forbids != nil:
		return forbids
	case !answered && x.wantsQuorum():
		return fmt.Errorf("%w: %w", ErrUnwitnessed, failed)
	}
	return nil
}
