package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/url"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/note"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/store"
)

const (
	cosigners  = 5
	quorum     = 3 // of the cosigners
	cosignRuns = 3
	cosignEach = 100 // appends in a run, one after the other
)

// A cosigner is what makes a witness of a node: its store, the logs it knows,
// and an address.
type cosigner struct {
	store  *store.Store
	ledger *ledger.Ledger
	server *nethttp.Server
	client *witness.Client
}

func (c *cosigner) close() error {
	var err error
	if c.server != nil {
		err = c.server.Close()
	}
	return errors.Join(err, c.store.Close())
}

func newCosigner(dir string, n int) (_ *cosigner, err error) {
	st, err := store.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	c := &cosigner{store: st, ledger: ledger.New(st.Ledgers(), benchNetwork)}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	w, err := witness.New(witness.Config{
		Name: fmt.Sprintf("witness.example/w%d", n), Key: ledgertest.Key(uint64(1000 + n)),
		Logs: witness.Authors(c.ledger), Store: st.Witness(),
	})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.server = &nethttp.Server{Handler: w.Handler(nil), ReadHeaderTimeout: time.Minute}
	go func() { _ = c.server.Serve(l) }()
	prefix := &url.URL{Scheme: "http", Host: l.Addr().String()}
	c.client = witness.NewClient(w.Key(), witness.HTTP{Prefix: prefix})
	return c, nil
}

// cosign measures the time from an append to the checkpoint over it with a
// quorum of cosignatures. There are five nodes' stores in one process, which
// meet over HTTP; the first is the author's, and cosigns like the others.
func cosign(ctx context.Context, dir string) (_ series, err error) {
	var nodes []*cosigner
	defer func() {
		for _, n := range nodes {
			err = errors.Join(err, n.close())
		}
	}()
	for i := range cosigners {
		n, err := newCosigner(filepath.Join(dir, fmt.Sprint(i)), i)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	l := nodes[0].ledger
	authors, err := incept(ctx, l, 1)
	if err != nil {
		return nil, err
	}
	a := authors[0]
	if err := introduce(ctx, a.id, nodes); err != nil {
		return nil, err
	}
	s := series{}
	for run := range cosignRuns {
		var took []float64
		for i := range cosignEach {
			start := time.Now()
			p, err := l.AppendRelease(ctx, a.id, a.key, ledgertest.Release("app", "1.0", run*cosignEach+i))
			if err != nil {
				return nil, err
			}
			if err := collect(ctx, l, a.id, p.Checkpoint, nodes); err != nil {
				return nil, err
			}
			took = append(took, milliseconds(time.Since(start)))
		}
		s.add("p50", quantile(took, 0.5))
		s.add("p95", quantile(took, 0.95))
	}
	return s, nil
}

// introduce lets all other nodes have the first entry of a log of the first.
func introduce(ctx context.Context, author ledger.AuthorID, nodes []*cosigner) error {
	leaves, err := nodes[0].ledger.Leaves(author, 0, 1)
	if err != nil {
		return err
	}
	head, err := nodes[0].ledger.Head(author)
	if err != nil {
		return err
	}
	for _, n := range nodes[1:] {
		if _, err := n.ledger.Extend(ctx, author, 0, leaves, head.Checkpoint); err != nil {
			return err
		}
	}
	return nil
}

// collect gets a quorum of cosignatures, each of which the client verified.
func collect(ctx context.Context, l *ledger.Ledger, author ledger.AuthorID, checkpoint []byte, nodes []*cosigner) error {
	signed, err := note.Parse(checkpoint)
	if err != nil {
		return err
	}
	enough := func(n note.Note) bool { return len(n.Sigs) >= len(signed.Sigs)+quorum }
	var clients []*witness.Client
	for _, n := range nodes {
		clients = append(clients, n.client)
	}
	prove := func(ctx context.Context, older, newer uint64) ([]tlog.Hash, error) {
		return l.ProveConsistency(ctx, author, older, newer)
	}
	n, err := witness.Collect(ctx, checkpoint, prove, clients, enough)
	if err == nil && !enough(n) {
		err = errors.New("too few cosignatures")
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
