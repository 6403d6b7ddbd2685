package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/node/store"
)

const (
	// appendWriters append at the same time, each one entry after the other.
	appendWriters = 1024
	// appendWarm passes before entries are counted, for appendFor.
	appendWarm = time.Second
	appendFor  = 4 * time.Second
	// benchNetwork is the one that logs made here belong to.
	benchNetwork = "public"
	// atOnce bounds the calls under way where logs are made.
	atOnce = 256
)

// appendTo measures durable appends of signed releases, whose payload has about
// 600 bytes, on the store of a node.
func appendTo(ctx context.Context, dir string, logs int) (_ series, err error) {
	st, err := store.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	l := ledger.New(st.Ledgers(), benchNetwork)
	authors, err := incept(ctx, l, logs)
	if err != nil {
		return nil, err
	}
	releases := make([]ledger.Release, appendWriters)
	for i := range releases {
		releases[i] = ledgertest.Release("app", "1.0", i)
	}
	perSecond, err := throughput(ctx, appendWriters, appendWarm, appendFor, func(ctx context.Context, n int64) error {
		a := authors[n%int64(len(authors))]
		_, err := l.AppendRelease(ctx, a.id, a.key, releases[n%appendWriters])
		return err
	})
	return series{"rate": {perSecond}}, err
}

// signer is an author with the key that speaks for it.
type signer struct {
	id  ledger.AuthorID
	key ledger.Key
}

// incept starts n logs.
func incept(ctx context.Context, l *ledger.Ledger, n int) ([]signer, error) {
	authors := make([]signer, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range authors {
		g.Go(func() error {
			key := ledgertest.Key(uint64(i) + 1)
			in := ledger.Inception{Network: l.Network(), Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}
			id, err := l.Incept(ctx, in, key)
			authors[i] = signer{id, key}
			return err
		})
	}
	return authors, g.Wait()
}

// throughput is how many calls of do return each second, made by so many
// writers, each one call after the other. Each call gets another number.
func throughput(ctx context.Context, writers int, warm, measured time.Duration, do func(ctx context.Context, n int64) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				if err := do(ctx, next.Add(1)-1); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	pause(ctx, warm)
	before, start := done.Load(), time.Now()
	pause(ctx, measured)
	n, took := done.Load()-before, time.Since(start)
	stop.Store(true)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, fmt.Errorf("writing: %w", err)
	}
	return float64(n) / took.Seconds(), nil
}

// pause lasts d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// leafSize is the size of an entry as it is appended here.
func leafSize() (int, error) {
	key := ledgertest.Key(1)
	release := ledgertest.Release("app", "1.0", 1)
	in := ledger.Inception{Network: benchNetwork, Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}
	first, err := ledger.EncodeInception(in, key)
	if err != nil {
		return 0, err
	}
	leaf, err := ledger.Encode(ledger.Place{Author: ledger.AuthorIDOf(first), Index: 1}, &release, key)
	return len(leaf), err
}
