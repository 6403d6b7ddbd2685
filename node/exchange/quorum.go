package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/reputation"
)

const (
	// seekTimeout bounds one search for cosignatures on a log.
	seekTimeout = 10 * time.Second
	// seekAgain is when the search for those on the same log may begin again.
	seekAgain = time.Second
	// maxSought bounds the logs remembered of which cosignatures were sought.
	maxSought = 1024
)

// verdict asks for the verdict on a claim. Where all that it lacks is witnesses,
// the log's holders and the witnesses themselves are asked for cosignatures
// before it is refused; the proof of the claim gets those that came.
func (x *Exchange) verdict(ctx context.Context, c *ledger.Claim) ledger.Verdict {
	v := x.judge(ctx, *c)
	if x.Net == nil || !lacksWitnesses(v) {
		return v
	}
	author := c.Proved.Author()
	unlock, err := x.sought.lock(ctx, string(author))
	if err != nil {
		return v
	}
	defer unlock()
	if v = x.judge(ctx, *c); !lacksWitnesses(v) || !x.sought.begin(author) {
		return v
	}
	signed, err := x.seekCosignatures(ctx, c.Proved)
	c.Proved = withSigned(c.Proved, signed)
	if v = x.judge(ctx, *c); !lacksWitnesses(v) || !errors.Is(err, witness.ErrAhead) {
		return v
	}
	for i, r := range v.Reasons {
		if r.Rule == ledger.RuleWitnessed {
			v.Reasons[i].Text += " A witness has seen a longer log of this author than is here."
		}
	}
	return v
}

// judge asks for the verdict on a claim, as far as this node knows.
func (x *Exchange) judge(ctx context.Context, c ledger.Claim) ledger.Verdict {
	if c.Proved != nil {
		c.Cosigned = x.cosigned(c.Proved.Author())
	}
	return x.Ledger.Verdict(ctx, c)
}

// lacksWitnesses tells that a verdict would be another one with more witnesses.
func lacksWitnesses(v ledger.Verdict) bool {
	for _, r := range v.Reasons {
		if !r.OK && r.Rule != ledger.RuleWitnessed {
			return false
		}
	}
	return !v.Accepted
}

// cosigned is the checkpoint of a log that its quorum cosigned last, as far as
// this node was told; none, if there is none.
func (x *Exchange) cosigned(author ledger.AuthorID) [][]byte {
	signed, err := x.Store.Cosigned(author)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		x.log.Warn("a cosigned checkpoint could not be read", "author", author, "err", err)
		return nil
	}
	return [][]byte{signed}
}

// keepCosignedHead remembers the head of a log if the quorum cosigned it: the
// log grows on before the next head is.
func (x *Exchange) keepCosignedHead(author ledger.AuthorID) {
	if x.Rule.Policy == nil {
		return
	}
	head, err := x.Ledger.Head(author)
	if err == nil {
		if s := x.Rule.Judge(head.Checkpoint); s.Quorum && s.Asked > 0 {
			err = x.Store.PutCosigned(author, s.Signed)
		}
	}
	if err != nil && !notFound(err) {
		x.log.Warn("a cosigned checkpoint is not kept", "author", author, "err", err)
	}
}

// sighting is what witnesses have seen of a log that has at least size entries.
func (x *Exchange) sighting(author ledger.AuthorID, size uint64) (policy.Sighting, error) {
	head, err := x.Ledger.Head(author)
	if err != nil {
		return policy.Sighting{}, err
	}
	notes := [][]byte{head.Checkpoint}
	for _, signed := range x.cosigned(author) {
		if n, err := note.Parse(signed); err == nil {
			if c, err := ledger.ParseCheckpointText(n.Text); err == nil && c.Size >= size && c.Size <= head.Size {
				notes = append(notes, signed)
			}
		}
	}
	return x.Rule.Judge(notes...), nil
}

// seekCosignatures asks the witnesses and, at the same time, peers that have the
// log for cosignatures on it. It returns the checkpoint of the proof, or the newest
// here if that is larger, with those that came.
func (x *Exchange) seekCosignatures(ctx context.Context, p *ledger.Proved) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, seekTimeout)
	defer cancel()
	author := p.Author()
	before := x.newestOf(p)
	var peers sync.WaitGroup
	defer peers.Wait()
	asking, stop := context.WithCancel(ctx)
	defer stop()
	peers.Go(func() { x.askForCosignatures(asking, author) })
	signed, err := x.askWitnesses(ctx, author, before)
	if x.Rule.Judge(signed).Wrong == nil {
		return signed, nil
	}
	peers.Wait()
	if now := x.newestOf(p); !sameText(now, before) { // a peer had a longer log
		return x.askWitnesses(ctx, author, now)
	}
	return signed, err
}

// newestOf is the larger of two checkpoints of a log: that of a proof, and the
// newest here.
func (x *Exchange) newestOf(p *ledger.Proved) []byte {
	head, err := x.Ledger.Head(p.Author())
	if err != nil {
		return p.Checkpoint
	}
	if n, err := note.Parse(p.Checkpoint); err == nil {
		if c, err := ledger.ParseCheckpointText(n.Text); err == nil && c.Size > head.Size {
			return p.Checkpoint
		}
	}
	return head.Checkpoint
}

// askWitnesses asks those of the policy to cosign a checkpoint now, and keeps what
// they signed.
func (x *Exchange) askWitnesses(ctx context.Context, author ledger.AuthorID, checkpoint []byte) ([]byte, error) {
	n, err := witness.Collect(ctx, checkpoint, x.proveGrowth(author), x.witnesses.clients, func(n note.Note) bool { return x.Rule.Judge(n.Encode()).Wrong == nil })
	if len(n.Sigs) == 0 {
		return checkpoint, err
	}
	signed := n.Encode()
	x.adoptCosignatures(ctx, author, signed)
	return signed, err
}

// askForCosignatures asks the peers that may have the log of an author for what
// they have of it, until its cosignatures are enough.
func (x *Exchange) askForCosignatures(ctx context.Context, author ledger.AuthorID) {
	if author == x.Me.ID {
		return // nobody knows more of it
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slots := make(chan struct{}, askParallel)
	var wg sync.WaitGroup
	defer wg.Wait()
	asked := map[peer.ID]bool{x.Net.ID(): true}
	ask := func(p peer.ID) {
		if asked[p] {
			return
		}
		asked[p] = true
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := x.askHead(ctx, author, p); err != nil {
				x.log.Debug("no cosignatures", "peer", p, "author", author, "err", err)
			}
			if s, err := x.sighting(author, 0); err == nil && s.Wrong == nil {
				cancel()
			}
		})
	}
	connected := peerStrings(x.Net.Connected())
	for _, s := range x.Reputation.Rank(reputation.Peer, connected)[:min(len(connected), askConnected)] {
		if p, err := peer.Decode(s); err == nil {
			ask(p)
		}
	}
	for info := range x.Net.FindProviders(ctx, logKey(author), maxProviders) {
		ask(info.ID)
	}
}

// askHead takes the cosignatures that a peer has on the newest head here, or
// catches up with it where its log is longer.
func (x *Exchange) askHead(ctx context.Context, author ledger.AuthorID, from peer.ID) error {
	head, err := x.Ledger.Head(author)
	if err != nil && !notFound(err) {
		return err
	}
	part, err := (&pull{x: x, author: author, from: from, head: head}).ask(ctx, head.Size, 0, firstPart)
	if err != nil {
		return err
	}
	if part.Size > head.Size {
		return x.CatchUp(ctx, author, from)
	}
	x.adoptCosignatures(ctx, author, part.Checkpoint)
	return nil
}

// withSigned is the proof with the signatures on its checkpoint that signed has,
// if it is the same one.
func withSigned(p *ledger.Proved, signed []byte) *ledger.Proved {
	if !sameText(p.Checkpoint, signed) {
		return p
	}
	out := *p
	out.Checkpoint = signed
	return &out
}

func sameText(a, b []byte) bool {
	n, err := note.Parse(a)
	if err != nil {
		return false
	}
	m, err := note.Parse(b)
	return err == nil && n.Text == m.Text
}

// sought remembers of which logs cosignatures were sought a moment ago.
type sought struct {
	keyedMutex

	begun sync.Mutex
	last  map[ledger.AuthorID]time.Time
}

// begin tells whether to seek now, and remembers it.
func (s *sought) begin(author ledger.AuthorID) bool {
	s.begun.Lock()
	defer s.begun.Unlock()
	now := time.Now()
	if at, ok := s.last[author]; ok && now.Sub(at) < seekAgain {
		return false
	}
	if s.last == nil || len(s.last) >= maxSought {
		s.last = map[ledger.AuthorID]time.Time{}
	}
	s.last[author] = now
	return true
}

// unwitnessed says in a few words why a release does not have the witnesses that
// this node asks for, or "".
func (x *Exchange) unwitnessed(author ledger.AuthorID, index uint64) (string, error) {
	if x.Rule.Policy == nil {
		return "", nil
	}
	s, err := x.sighting(author, index+1)
	if err != nil || s.Wrong == nil {
		return "", err
	}
	return fmt.Sprintf("%d of %d witnesses", s.Asked, s.Of), nil
}
