package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/reconcile"
	"github.com/dockchains/dockchain/node/store"
)

// manyLogs are in one process.
const manyLogs = 10_000

// holdLogs measures the resident memory of a process that has started so many
// logs on the store of a node, has appended to each, and indexes the heads.
func holdLogs(ctx context.Context, dir string) (_ series, err error) {
	st, err := store.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	l := ledger.New(st.Ledgers(), benchNetwork)
	authors, err := incept(ctx, l, manyLogs)
	if err != nil {
		return nil, err
	}
	heads := reconcile.NewIndex()
	g, grouped := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, a := range authors {
		g.Go(func() error {
			if _, err := l.AppendRelease(grouped, a.id, a.key, ledgertest.Release("app", "1.0", i)); err != nil {
				return err
			}
			h, err := l.Head(a.id)
			if err != nil {
				return err
			}
			return heads.Set(reconcile.Head{Author: h.Author, Size: h.Size, Root: h.Root})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	self := ownProcess()
	peak, err := self.statusBytes("VmHWM")
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // as the runtime does by itself, but after minutes
	rss, err := self.statusBytes("VmRSS")
	if err != nil {
		return nil, err
	}
	if n := heads.Len(); n != manyLogs {
		return nil, fmt.Errorf("%d logs are indexed, not %d", n, manyLogs)
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(authors)
	return series{"rss": {float64(rss) / 1e6}, "peak": {float64(peak) / 1e6}}, nil
}
