package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

const (
	// perAuthor is how many entries each log has, as a million of 100,000
	// authors.
	perAuthor = 10
	// replayRounds are made of the same logs.
	replayRounds = 3
)

// A chain is a log as it comes from a peer.
type chain struct {
	author     ledger.AuthorID
	leaves     [][]byte
	checkpoint []byte // over all of them
	shorter    []byte // over all but the last
}

// makeChains signs the logs of so many entries in all.
func makeChains(ctx context.Context, entries int) ([]chain, error) {
	chains := make([]chain, entries/perAuthor)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	const share = 100
	for from := 0; from < len(chains); from += share {
		part := chains[from:min(from+share, len(chains))]
		g.Go(func() error {
			l := ledger.New(ledger.NewMem(), benchNetwork)
			for i := range part {
				var err error
				if part[i], err = makeChain(ctx, l, uint64(from+i)+1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return chains, g.Wait()
}

func makeChain(ctx context.Context, l *ledger.Ledger, n uint64) (chain, error) {
	key := ledgertest.Key(n)
	in := ledger.Inception{Network: l.Network(), Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}
	author, err := l.Incept(ctx, in, key)
	if err != nil {
		return chain{}, err
	}
	c := chain{author: author}
	for i := range perAuthor - 1 {
		release := ledgertest.Release(fmt.Sprintf("app%d", i), "1.0", int(n)*perAuthor+i)
		p, err := l.AppendRelease(ctx, author, key, release)
		if err != nil {
			return chain{}, err
		}
		c.shorter, c.checkpoint = c.checkpoint, p.Checkpoint
	}
	c.leaves, err = l.Leaves(author, 0, perAuthor)
	return c, err
}

// replay measures reading logs from the first entry on, with everything that is
// verified before it is kept, into memory. What counts is CPU time, user and
// system, the collector's too: that does not depend on what else runs.
func replay(ctx context.Context, entries int) (series, error) {
	chains, err := makeChains(ctx, entries)
	if err != nil {
		return nil, err
	}
	s := series{}
	for range replayRounds {
		alone, err := verifications()
		if err != nil {
			return nil, err
		}
		s.add("ed25519", alone)
		runtime.GC()
		l := ledger.New(ledger.NewMem(), benchNetwork)
		before, err := ownCPU()
		if err != nil {
			return nil, err
		}
		start := time.Now()
		for _, c := range chains {
			if _, err := l.Extend(ctx, c.author, 0, c.leaves, c.checkpoint); err != nil {
				return nil, err
			}
		}
		took := time.Since(start)
		after, err := ownCPU()
		if err != nil {
			return nil, err
		}
		s.add("per-core", float64(len(chains)*perAuthor)/(after-before).Seconds())
		s.add("wall", float64(len(chains)*perAuthor)/took.Seconds())
	}
	return s, nil
}

// verifications is how many signatures crypto/ed25519 verifies in a second of CPU
// time, of messages of the size of an entry: what this machine could do if nothing
// else were to be done.
func verifications() (float64, error) {
	const count, size = 5000, 600
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return 0, err
	}
	message := make([]byte, size)
	signature := ed25519.Sign(private, message)
	before, err := ownCPU()
	if err != nil {
		return 0, err
	}
	for range count {
		if !ed25519.Verify(public, message, signature) {
			return 0, errors.New("a good signature is not verified")
		}
	}
	after, err := ownCPU()
	return count / (after - before).Seconds(), err
}

// ownCPU is the CPU time of this process so far.
func ownCPU() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
