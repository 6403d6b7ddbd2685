package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// KeyChange asks for a proposal that changes the keys of an author: this node's
// next key and those of others speak from then on.
type KeyChange struct {
	Threshold int      `json:"threshold"`           // how many of the keys must sign
	Holders   []string `json:"holders,omitempty"`   // of the other keys, as ledger.Holder encodes them
	VoidFrom  uint64   `json:"void_from,omitempty"` // take back entries from here on; 0: none
}

// ProposeKeys proposes to change the keys, which the new ones have to sign.
func (x *Exchange) ProposeKeys(ctx context.Context, req KeyChange) (Said, error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	next, err := x.Me.Files.Next()
	if err != nil {
		return Said{}, fmt.Errorf("reading the next key: %w", err)
	}
	upcoming, err := x.Me.Files.Upcoming()
	if err != nil {
		return Said{}, fmt.Errorf("making the key after the next: %w", err)
	}
	holders, err := parseHolders(req.Holders)
	if err != nil {
		return Said{}, err
	}
	set := ledger.KeySet{Keys: []ledger.PublicKey{next.Public()}, Next: []string{upcoming.Public().Fingerprint()}}.With(req.Threshold, holders...)
	var st ledger.Statement = &ledger.Rotate{KeySet: set}
	if req.VoidFrom > 0 {
		st = &ledger.Recover{KeySet: set, VoidFrom: req.VoidFrom}
	}
	return x.propose(ctx, st, next)
}

func parseHolders(lines []string) ([]ledger.Holder, error) {
	var holders []ledger.Holder
	for _, line := range lines {
		h, err := ledger.ParseHolder([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
		}
		holders = append(holders, h)
	}
	return holders, nil
}

// propose makes a proposal of a statement, signed by a key that is here. The
// caller holds x.publish.
func (x *Exchange) propose(ctx context.Context, st ledger.Statement, key ledger.Key) (Said, error) {
	out := Said{Type: st.Type(), What: says(st), Author: string(x.Me.ID)}
	if err := x.assure(ctx); err != nil {
		return out, err
	}
	p, err := x.Ledger.Propose(ctx, x.Me.ID, st, key)
	if err != nil {
		return out, spaceError(badEntry(err))
	}
	said, err := p.Verify()
	if err != nil {
		return out, err
	}
	out.Entry, out.Proposal = said.Entry.Index, string(p.Encode())
	return out, nil
}

// mayAlone wants one key to be enough to speak for this author, or to change its
// keys.
func (x *Exchange) mayAlone(change bool) error {
	keys, err := x.Ledger.Keys(x.Me.ID)
	if err != nil {
		return err
	}
	must := keys.Threshold
	if change {
		must = keys.NextThreshold
	}
	if must > 1 {
		return fmt.Errorf("%w: %d keys", ErrNeedsOthers, must)
	}
	return nil
}

// AppendProposal adds what enough people signed to this author's log, after the
// key that is here has signed it too.
func (x *Exchange) AppendProposal(ctx context.Context, proposal string) (Said, error) {
	p, err := ledger.DecodeProposal([]byte(proposal))
	if err != nil {
		return Said{}, badEntry(err)
	}
	out, proved, err := x.appendProposalLocked(ctx, p)
	if proved == nil || err != nil {
		return out, err
	}
	e, _, err := proved.Verify()
	if err != nil || e.Release == nil {
		x.gossip(ctx, proved)
		return out, err
	}
	return out, x.announceRelease(ctx, e, proved)
}

func (x *Exchange) appendProposalLocked(ctx context.Context, p *ledger.Proposal) (Said, *ledger.Proved, error) {
	x.publish.Lock()
	defer x.publish.Unlock()
	said, err := p.Verify()
	if err != nil {
		return Said{}, nil, badEntry(err)
	}
	e := said.Entry
	out := Said{Type: e.Type, What: About(e), Author: string(e.Author), Entry: e.Index}
	if e.Author != x.Me.ID {
		return out, nil, fmt.Errorf("%w: the proposal is of %s", ErrNotYours, e.Author)
	}
	if err := x.assure(ctx); err != nil {
		return out, nil, err
	}
	key := x.Me.Key
	if said.MustChange > 0 {
		if next, err := x.Me.Files.Next(); err == nil {
			key = next
		}
	}
	if _, err := p.Sign(key); err != nil && !errors.Is(err, ledger.ErrBadSignature) { // a key that is not among them need not sign
		return out, nil, err
	}
	proved, err := x.Ledger.AppendProposal(ctx, p)
	if err != nil {
		return out, nil, spaceError(badEntry(err))
	}
	if said.MustChange > 0 {
		keys, kerr := x.Ledger.Keys(x.Me.ID)
		if kerr == nil {
			x.Me.Key, kerr = x.Me.Files.Settle(keys)
		}
		err = kerr
	}
	return out, proved, errors.Join(err, x.indexOwn(ctx, proved))
}

// announceRelease holds the image of an own release, which was imported when it
// was proposed, and announces it.
func (x *Exchange) announceRelease(ctx context.Context, e *ledger.Entry, p *ledger.Proved) error {
	defer x.Blobs.Lease()()
	if err := x.holdReleased(ctx); err != nil {
		return err
	}
	ih, err := swarm.ParseInfohash(e.Release.Infohash)
	if err != nil {
		return err
	}
	hold, ok := x.holdings.image(ih)
	if !ok {
		x.gossip(ctx, p)
		return fmt.Errorf("%w: the content of %s:%s; publish it again", ErrNotFound, e.Release.Repo, e.Release.Tag)
	}
	x.announce(ctx, ih, hold.Map, p)
	return nil
}
