package main_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node"
	"github.com/dockchains/dockchain/node/exchange"
	testnet "github.com/dockchains/dockchain/testnet/harness"
)

// long is a node with a long log of some author, behind a way that is cut again
// and again.
type long struct {
	*testnet.Net
	source *testnet.Node
	cutter *testnet.Cutter
	author ledger.AuthorID
	size   uint64 // entries
	bytes  int64  // of entries
}

func newLong(t *testing.T, entries int, each int64) *long {
	t.Helper()
	l := &long{cutter: testnet.NewCutter(t, each)}
	l.Net = testnet.New(t, 1).Configure(func(i int, cfg *node.Config) {
		if i == 0 {
			cfg.Announce = []string{l.cutter.Addr()}
		} else {
			cfg.Peer = []string{} // it dials, and cannot be dialled
		}
	}).Start()
	l.source = l.Node(0)
	author := testnet.NewAuthor(t)
	history := author.History()
	sayMuch(t, history, author, entries)
	head, err := history.Head(author.ID)
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := history.Range(t.Context(), author.ID, 0, head.Size, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves {
		l.bytes += int64(len(leaf))
	}
	l.author, l.size = author.ID, head.Size
	if _, err := l.source.Exchange().Ledger.Extend(t.Context(), author.ID, 0, leaves, head.Checkpoint); err != nil {
		t.Fatal(err)
	}
	l.source.Restart() // which tells the rest of the node of it
	for _, addr := range l.source.Host().Addrs() {
		if !strings.HasPrefix(addr, l.cutter.Addr()+"/") {
			l.cutter.Behind(addr)
		}
	}
	return l
}

// sayMuch appends entries that change no state, many of them at a time.
func sayMuch(t *testing.T, history *testnet.History, author *testnet.Author, entries int) {
	t.Helper()
	said := &ledger.Endorse{Author: author.ID, Repo: "app", Digest: digest.FromString("image")}
	const writers = 256
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < entries; i += writers {
				if _, err := history.Append(t.Context(), author.ID, []ledger.Key{author.Key}, said); err != nil {
					t.Errorf("appending: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// follows lets a node keep all of the log.
func (l *long) follows(t *testing.T, setAlias func(exchange.Alias) error) {
	t.Helper()
	if err := setAlias(exchange.Alias{Name: "talker", Author: string(l.author)}); err != nil {
		t.Fatal(err)
	}
}

// A long log arrives over connections that are cut after some hundred thousand
// bytes, and little of it comes twice.
func TestCatchUpIsCut(t *testing.T) {
	t.Parallel()
	entries := 100_000
	if testing.Short() {
		entries = 5_000
	}
	l := newLong(t, entries, 400<<10)
	victim := l.Add()
	l.follows(t, func(a exchange.Alias) error { return victim.Exchange().SetAlias(t.Context(), a) })
	last := uint64(0)
	for last < l.size {
		// Progress is awaited, not the end: how long that takes is for the machine to say.
		testnet.AwaitNil(t, "the log to grow", func() error {
			if len(victim.Members()) == 0 { // the network is back
				if err := victim.Exchange().Connect(t.Context(), l.cutter.AddrOf(l.source.ID())); err != nil {
					return err
				}
			}
			now, _, err := victim.Exchange().Ledger.Reached(t.Context(), l.author)
			if err == nil && now == last {
				err = errors.New("it does not")
			}
			if err == nil {
				last = now
			}
			return err
		})
	}
	head, err := victim.Exchange().Ledger.Head(l.author)
	if err != nil || head.Size != l.size {
		t.Fatalf("%d entries of %d (%v)", head.Size, l.size, err)
	}
	passed := l.cutter.Bytes()
	if max := l.bytes * 13 / 10; passed > max {
		t.Errorf("%d bytes passed for %d of entries, more than %d", passed, l.bytes, max)
	}
	if least := l.bytes / (400 << 10); l.cutter.Cuts() < least {
		t.Errorf("%d cuts, want %d at least", l.cutter.Cuts(), least)
	}
	t.Logf("%d bytes for %d of %d entries, %d cuts", passed, l.bytes, l.size, l.cutter.Cuts())
}

// A node that is killed while it catches up goes on where it was.
func TestKillDuringCatchUp(t *testing.T) {
	t.Parallel()
	bin, home := builtProgram(t), testnet.Home(t)
	l := newLong(t, 4_000, 1<<40)
	addr := l.cutter.AddrOf(l.source.ID())
	p := testnet.Run(t, bin, home)
	l.follows(t, func(a exchange.Alias) error { return p.SetAlias(t.Context(), a) })
	if err := p.Connect(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	testnet.Await(t, "a third of the log to pass", func() bool { return l.cutter.Bytes() > l.bytes/3 })
	p.Kill()
	first := l.cutter.Bytes()
	staged := stagedAfter(t, home, l.author)
	p = testnet.Run(t, bin, home)
	if err := p.Connect(t.Context(), addr); err != nil {
		t.Fatal(err)
	}
	testnet.AwaitNil(t, "the rest of the log", func() error {
		s, err := p.Status(t.Context())
		if err == nil && s.Entries < l.size {
			err = errors.New("there are entries missing")
		}
		return err
	})
	p.Stop()
	if again := l.cutter.Bytes() - first; again > l.bytes-staged.Bytes+l.bytes/4 {
		t.Errorf("%d of %d bytes of entries were kept before the kill, and %d passed after it", staged.Bytes, l.bytes, again)
	}
	t.Logf("%d of %d entries were there after the kill, at %d of %d bytes", staged.Size, l.size, first, l.bytes)
}

// stagedAfter is what a node that was killed had kept of a log.
func stagedAfter(t *testing.T, home string, author ledger.AuthorID) ledger.Stage {
	t.Helper()
	n, err := node.OpenOffline(node.Loopback(home), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("opening the data after a kill: %v", err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the data: %v", err)
		}
	}()
	st, err := n.Exchange().Ledger.Staged(author)
	if err == nil {
		return st
	}
	if head, herr := n.Exchange().Ledger.Head(author); herr == nil { // it was quicker than the kill
		return ledger.Stage{Size: head.Size, Bytes: 0}
	}
	t.Fatalf("nothing of the log was kept: %v", err)
	return ledger.Stage{}
}
