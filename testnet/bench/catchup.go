package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/p2p"
)

// missingShare is the part of all entries that a node lacks, one in so many.
const missingShare = 100

// catchUp measures what goes over the wire, in both directions, until a node
// that lacks 1 % of all entries has them, verified: the frames of
// reconciliation and the ranges of logs, on real connections, against the bytes
// of the entries. Once each of the logs concerned lacks its last entry, as after
// a time away, and once each is lacking as a whole.
func catchUp(ctx context.Context, dir string, entries int) (series, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	chains, err := makeChains(ctx, entries)
	if err != nil {
		return nil, err
	}
	s := series{}
	for name, have := range map[string]int{"tails": perAuthor - 1, "whole": 0} {
		logs := entries / missingShare / (perAuthor - have)
		c, err := newCatcher(ctx, chains, logs, have)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		wire, err := c.run(ctx, filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		s.add(name, float64(wire)/float64(c.missing))
		s.add(name+"-seconds", time.Since(start).Seconds())
	}
	return s, nil
}

// A catcher is a node that lacks entries of the first logs, with the peer that
// has all.
type catcher struct {
	ledger       *ledger.Ledger // only of the logs that lack something
	mine, theirs *reconcile.Index
	chains       map[ledger.AuthorID]chain
	missing      int // bytes
	lacking      int // logs
}

func newCatcher(ctx context.Context, chains []chain, lacking, have int) (*catcher, error) {
	c := &catcher{
		ledger: ledger.New(ledger.NewMem(), benchNetwork),
		mine:   reconcile.NewIndex(), theirs: reconcile.NewIndex(), chains: map[ledger.AuthorID]chain{}, lacking: lacking,
	}
	for i, ch := range chains {
		c.chains[ch.author] = ch
		full, err := headOf(ch.author, ch.checkpoint)
		if err != nil {
			return nil, err
		}
		if err := c.theirs.Set(full); err != nil {
			return nil, err
		}
		if i >= lacking {
			if err := c.mine.Set(full); err != nil {
				return nil, err
			}
			continue
		}
		for _, leaf := range ch.leaves[have:] {
			c.missing += len(leaf)
		}
		if have == 0 {
			continue
		}
		if _, err := c.ledger.Extend(ctx, ch.author, 0, ch.leaves[:have], ch.shorter); err != nil {
			return nil, err
		}
		short, err := headOf(ch.author, ch.shorter)
		if err != nil {
			return nil, err
		}
		if err := c.mine.Set(short); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func headOf(author ledger.AuthorID, checkpoint []byte) (reconcile.Head, error) {
	n, err := note.Parse(checkpoint)
	if err != nil {
		return reconcile.Head{}, err
	}
	c, err := ledger.ParseCheckpointText(n.Text)
	return reconcile.Head{Author: author, Size: c.Size, Root: c.Root}, err
}

// run connects the two and gives the bytes between them.
func (c *catcher) run(ctx context.Context, dir string) (_ int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answerer, err := newHost(ctx, dir+"-answerer.key")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, answerer.Close()) }()
	answerer.Handle(exchange.OpReconcile, 1<<20, func(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
		return c.theirs.Respond(req)
	})
	answerer.Handle(exchange.OpLog, 4<<20, c.answerLog)
	asker, err := newHost(ctx, dir+"-asker.key")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, asker.Close()) }()

	wire, err := newCounter(answerer.Addrs()[0])
	if err != nil {
		return 0, err
	}
	defer wire.close()
	if err := asker.Connect(ctx, wire.addr()); err != nil {
		return 0, err
	}
	caught, err := c.catchUp(ctx, asker, answerer.ID())
	if err == nil && caught != c.lacking {
		err = fmt.Errorf("caught up with %d logs of %d", caught, c.lacking)
	}
	return wire.bytes.Load(), err
}

func newHost(ctx context.Context, keyFile string) (*p2p.Host, error) {
	key, err := p2p.LoadOrCreateKey(keyFile)
	if err != nil {
		return nil, err
	}
	h, err := p2p.New(p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	go func() { _ = h.Run(ctx) }()
	return h, nil
}

// answerLog answers as package exchange does.
func (c *catcher) answerLog(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
	q, err := reconcile.DecodePull(req)
	if err != nil {
		return nil, err
	}
	var parts []reconcile.Part
	for left, i := q.MaxBytes, 0; i < len(q.Wants) && (left > 0 || i == 0); i++ {
		ch, ok := c.chains[q.Wants[i].Author]
		if !ok || q.Wants[i].From > perAuthor {
			return nil, p2p.ErrNotFound
		}
		leaves := ch.leaves[q.Wants[i].From:]
		for _, leaf := range leaves {
			left -= len(leaf)
		}
		if left < 0 && i > 0 {
			break
		}
		parts = append(parts, reconcile.Part{Size: perAuthor, Leaves: leaves, Checkpoint: ch.checkpoint})
	}
	return reconcile.EncodeParts(parts)
}

// catchUp asks as package exchange does, and gives the number of logs that
// entries were added to.
func (c *catcher) catchUp(ctx context.Context, asker *p2p.Host, from peer.ID) (int, error) {
	s := reconcile.New(c.mine)
	caught := 0
	for req, done := s.First(), false; !done; {
		answer, err := asker.Request(ctx, from, exchange.OpReconcile, req)
		if err != nil {
			return 0, err
		}
		var theirs []reconcile.Head
		if req, theirs, done, err = s.Next(answer); err != nil {
			return 0, err
		}
		for len(theirs) > 0 {
			n, err := c.pull(ctx, asker, from, theirs[:min(len(theirs), reconcile.MaxWants)])
			if err != nil {
				return 0, err
			}
			caught, theirs = caught+n, theirs[n:]
		}
	}
	return caught, nil
}

// pull takes as many logs as one answer has.
func (c *catcher) pull(ctx context.Context, asker *p2p.Host, from peer.ID, heads []reconcile.Head) (int, error) {
	q := reconcile.Pull{MaxBytes: exchange.ManyParts}
	for _, h := range heads {
		known, _ := c.mine.Get(h.Author)
		q.Wants = append(q.Wants, reconcile.Want{Author: h.Author, From: known.Size})
	}
	req, err := q.Encode()
	if err != nil {
		return 0, err
	}
	b, err := asker.Request(ctx, from, exchange.OpLog, req)
	if err != nil {
		return 0, err
	}
	parts, err := reconcile.DecodeParts(b, len(heads))
	if err != nil {
		return 0, err
	}
	for i, part := range parts {
		h := heads[i]
		if _, err := c.ledger.Extend(ctx, h.Author, q.Wants[i].From, part.Leaves, part.Checkpoint); err != nil {
			return 0, fmt.Errorf("log of %s: %w", h.Author, err)
		}
		if err := c.mine.Set(h); err != nil {
			return 0, err
		}
	}
	return len(parts), nil
}

// tcpPort is the port of a multiaddr like /ip4/127.0.0.1/tcp/4747/p2p/….
func tcpPort(addr string) (string, error) {
	_, rest, ok := strings.Cut(addr, "/tcp/")
	port, _, _ := strings.Cut(rest, "/")
	if !ok || port == "" {
		return "", fmt.Errorf("%s names no TCP port", addr)
	}
	return port, nil
}
