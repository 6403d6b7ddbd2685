package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/evidence"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
)

// PeerScheme begins the URL of a witness in a policy that is asked over this
// network, before its peer id: "libp2p:12D3KooW…". Others are asked over HTTP.
const PeerScheme = "libp2p:"

const (
	// cosignTimeout bounds one round of asking all witnesses.
	cosignTimeout = 10 * time.Second
	// cosignTries bounds the rounds for one checkpoint, cosignRetry is the pause
	// after the first one; each one after is twice as long. A witness that knows
	// nothing of the log yet hears of it soon.
	cosignTries = 10
	cosignRetry = 100 * time.Millisecond
	// cosignAgain is when witnesses are asked to say again, and today, what they
	// said of a log that does not grow: readers may want it fresh.
	cosignAgain = 6 * time.Hour
)

// witnesses are those of the policy, for this author to ask.
type witnesses struct {
	keys    []note.Key
	clients []*witness.Client
	grown   chan struct{} // this author's log has
	after   func(time.Duration) <-chan time.Time
}

func newWitnesses(p *policy.Policy, net Network) (*witnesses, error) {
	w := &witnesses{grown: make(chan struct{}, 1), after: time.After}
	if p == nil {
		return w, nil
	}
	for _, member := range p.Witnesses {
		w.keys = append(w.keys, member.Key)
		if member.URL == "" || net == nil {
			continue
		}
		t, err := transportTo(member.URL, net)
		if err != nil {
			return nil, fmt.Errorf("reading the address of witness %s: %w", member.Name, err)
		}
		w.clients = append(w.clients, witness.NewClient(member.Key, t))
	}
	return w, nil
}

func transportTo(address string, net Network) (witness.Transport, error) {
	if id, ok := strings.CutPrefix(address, PeerScheme); ok {
		p, err := peer.Decode(id)
		return peerWitness{net, p}, err
	}
	prefix, err := url.Parse(address)
	if err == nil && prefix.Scheme != "http" && prefix.Scheme != "https" {
		err = fmt.Errorf("%w: %q: want https: or %s", ErrBadRequest, address, PeerScheme)
	}
	return witness.HTTP{Prefix: prefix}, err
}

// peerWitness asks a peer over the direct protocol.
type peerWitness struct {
	net  Network
	peer peer.ID
}

// AddCheckpoint implements witness.Transport.
func (w peerWitness) AddCheckpoint(ctx context.Context, body []byte) (witness.Answer, error) {
	b, err := w.net.Request(ctx, w.peer, OpCosign, body)
	if err != nil {
		return witness.Answer{}, err
	}
	return witness.ParseAnswer(b)
}

// answerCosign cosigns a checkpoint, where this node is a witness.
func (x *Exchange) answerCosign(ctx context.Context, from peer.ID, req []byte) ([]byte, error) {
	if x.Witness == nil {
		return nil, ErrNotFound
	}
	a, err := x.Witness.Serve(ctx, req)
	if err != nil {
		x.log.Debug("checkpoint is not cosigned", "peer", from, "err", err)
	}
	return a.Encode(), nil
}

// Contradicted freezes the log of an author of whom this node, as a witness, was
// shown another checkpoint than the one it cosigned.
func (x *Exchange) Contradicted(ctx context.Context, origin string, theirs []byte) {
	_, name, _ := strings.Cut(origin, "/l/")
	author, err := ledger.ParseAuthorID(name)
	if err != nil {
		return // witness.Authors lets no other origin through
	}
	x.convict(ctx, author, func() (*evidence.Proof, error) {
		return evidence.FromCheckpoint(ctx, x.Ledger, author, theirs)
	})
}

// noteGrowth has the witnesses asked, if the entries are this author's.
func (x *Exchange) noteGrowth(entries []*ledger.Entry) {
	if len(entries) == 0 || entries[0].Author != x.Me.ID {
		return
	}
	select {
	case x.witnesses.grown <- struct{}{}:
	default:
	}
}

// keepCosigned asks the witnesses of the policy whenever this author's log has
// grown, and now and then. Publishing does not wait for them.
func (x *Exchange) keepCosigned(ctx context.Context) {
	if len(x.witnesses.clients) == 0 {
		return
	}
	for tries := 0; ; {
		done, err := x.cosignHead(ctx)
		if ctx.Err() != nil {
			return
		}
		var pause <-chan time.Time
		switch {
		case done:
			pause = x.witnesses.after(cosignAgain)
		case tries < cosignTries:
			x.log.Debug("checkpoint is not cosigned by enough witnesses yet", "err", err)
			pause = x.witnesses.after(cosignRetry << tries)
			tries++
		default:
			x.log.Warn("checkpoint is not cosigned by enough witnesses", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-x.witnesses.grown:
			tries = 0
		case <-pause:
		}
	}
}

// cosignHead asks once, keeps the cosignatures and gossips them. It reports
// whether there is nothing more to ask for.
func (x *Exchange) cosignHead(ctx context.Context) (done bool, err error) {
	head, err := x.Ledger.Head(x.Me.ID)
	if err != nil || x.isCosigned(head.Checkpoint) {
		return err == nil, err
	}
	ask, cancel := context.WithTimeout(ctx, cosignTimeout)
	defer cancel()
	n, failed := witness.Collect(ask, head.Checkpoint, x.proveGrowth(x.Me.ID), x.witnesses.clients, func(n note.Note) bool { return x.isCosigned(n.Encode()) })
	if errors.Is(failed, witness.ErrAhead) || errors.Is(failed, witness.ErrFork) || errors.Is(failed, witness.ErrInconsistent) {
		x.log.Warn("a witness has seen more of this author's log than is here, or something else: was it restored from a backup?", "err", failed)
		x.doubt()
	}
	signed := n.Encode()
	fresh, err := x.Ledger.Cosigned(ctx, x.Me.ID, signed, x.witnesses.keys...)
	if errors.Is(err, ledger.ErrConflict) {
		return false, nil // it has grown meanwhile
	}
	if err != nil {
		return false, err
	}
	if fresh {
		x.keepCosignedHead(x.Me.ID)
		x.gossipLast(ctx, head)
	}
	return x.Rule.Judge(signed).Quorum, failed
}

func (x *Exchange) proveGrowth(author ledger.AuthorID) witness.Prover {
	return func(ctx context.Context, older, newer uint64) ([]tlog.Hash, error) {
		return x.Ledger.ProveConsistency(ctx, author, older, newer)
	}
}

// isCosigned tells whether the quorum has signed a checkpoint, and not long ago:
// nor in a future that the clock here knows nothing of.
func (x *Exchange) isCosigned(signed []byte) bool {
	s := x.Rule.Judge(signed)
	age := x.now().Sub(s.Time)
	return s.Quorum && (s.Of == 0 || age < cosignAgain && age > -policy.MaxAhead)
}

// gossipLast tells others of the cosignatures on a head.
func (x *Exchange) gossipLast(ctx context.Context, head ledger.Head) {
	p, err := x.Ledger.Prove(ctx, head.Author, head.Size-1)
	if err == nil {
		err = x.Net.Publish(ctx, p.Encode())
	}
	if err != nil {
		x.log.Debug("not announced", "what", "cosignatures", "err", err)
	}
}

// adoptCosignatures keeps what witnesses of the policy signed of a head that is
// here, as somebody else tells it.
func (x *Exchange) adoptCosignatures(ctx context.Context, author ledger.AuthorID, signed []byte) {
	if len(x.witnesses.keys) == 0 || len(signed) == 0 {
		return
	}
	fresh, err := x.Ledger.Cosigned(ctx, author, signed, x.witnesses.keys...)
	if fresh {
		x.keepCosignedHead(author)
	}
	if err != nil && !notFound(err) && !errors.Is(err, ledger.ErrConflict) {
		x.log.Warn("cosignatures are not kept", "err", err)
	}
}
