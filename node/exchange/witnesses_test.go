package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/policy"
	"github.com/dockchains/dockchain/ledger/witness"
	"github.com/dockchains/dockchain/node/store"
)

// witnessNet is a network of one witness.
type witnessNet struct {
	Network
	witness   *witness.Witness
	asked     atomic.Int32
	published atomic.Int32
}

func (n *witnessNet) ID() peer.ID                           { return "me" }
func (n *witnessNet) Publish(context.Context, []byte) error { n.published.Add(1); return nil }

func (n *witnessNet) Request(ctx context.Context, _ peer.ID, op string, req []byte) ([]byte, error) {
	if op != OpCosign {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, op)
	}
	n.asked.Add(1)
	a, _ := n.witness.Serve(ctx, req) // refusals are answers
	return a.Encode(), nil
}

// cosignedLog is an author whose witness is asked when the test lets time pass.
// The clock is set while the author pauses.
type cosignedLog struct {
	*Exchange
	net    *witnessNet
	now    time.Time // of the witness
	pauses chan rest
}

type rest struct {
	d   time.Duration
	end chan<- time.Time
}

// newCosigned is as much of an exchange as has its author's log cosigned, with
// the clock ahead of its witness's by so much.
func newCosigned(t *testing.T, ahead time.Duration) *cosignedLog {
	t.Helper()
	c := &cosignedLog{now: time.Unix(1_795_190_400, 0), pauses: make(chan rest)}
	s, err := store.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := ledger.New(s.Ledgers(), "public")
	key := ledgertest.Key(1)
	me := Author{ID: ledgertest.Author(t, l, key), Key: key}
	w, err := witness.New(witness.Config{Name: "w.example", Key: ledgertest.Key(2), Logs: witness.Authors(l), Store: s.Witness(), Now: func() time.Time { return c.now }})
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.Decode("12D3KooWFCzdvvuQuevqo5j9AfW9Ji7bFtQDJzGHHHDYcrL3UCmu")
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse(fmt.Appendf(nil, "witness w %s %s%s\nquorum w\n", w.Key(), PeerScheme, id))
	if err != nil {
		t.Fatal(err)
	}
	c.net = &witnessNet{witness: w}
	now := func() time.Time { return c.now.Add(ahead) }
	c.Exchange = &Exchange{
		Config: Config{Me: me, Store: s, Ledger: l, Net: c.net, Rule: policy.Rule{Policy: p, Now: now}, Now: now},
		log:    slog.New(slog.DiscardHandler),
	}
	if c.witnesses, err = newWitnesses(p, c.net); err != nil {
		t.Fatal(err)
	}
	c.witnesses.after = func(d time.Duration) <-chan time.Time {
		end := make(chan time.Time)
		select {
		case c.pauses <- rest{d, end}:
		case <-t.Context().Done():
		}
		return end
	}
	return c
}

// run asks the witness until the test ends.
func (c *cosignedLog) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		c.keepCosigned(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

// pausing waits for the pause after the witness was asked so many times in all,
// which has the log cosigned now.
func (c *cosignedLog) pausing(t *testing.T, asked int32) rest {
	t.Helper()
	p := <-c.pauses
	if p.d != cosignAgain {
		t.Errorf("a pause of %v, want %v", p.d, cosignAgain)
	}
	if a, told := c.net.asked.Load(), c.net.published.Load(); a != asked || told != asked {
		t.Errorf("asked %d times, told others %d times, want %d", a, told, asked)
	}
	if s, err := c.sighting(c.Me.ID, 1); err != nil || !s.Quorum || !s.Time.Equal(c.now) {
		t.Errorf("cosigned at %v, %v, want %v", s.Time, err, c.now)
	}
	return p
}

func (c *cosignedLog) pass(p rest) {
	c.now = c.now.Add(p.d)
	p.end <- c.now
}

// An author's log that does not grow is cosigned again every six hours, which
// others are told, and no more often; one that grows at once.
func TestCosignedAgain(t *testing.T) {
	t.Parallel()
	c := newCosigned(t, 0)
	c.run(t)
	for asked := range int32(5) {
		c.pass(c.pausing(t, asked+1))
	}
	c.pausing(t, 6)
	p := ledgertest.Append(t, c.Ledger, c.Me.ID, c.Me.Key, "app", "1", 1)
	e, _, err := p.Verify()
	if err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(time.Minute)
	c.noteGrowth([]*ledger.Entry{e})
	c.pausing(t, 7)
}

// TestThreatClockOfAuthor: an author whose clock is wrong, or steps back, has its
// log cosigned all the same, again every six hours, and does not besiege the
// witness.
func TestThreatClockOfAuthor(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{
		"ten years back": -10 * 365 * 24 * time.Hour, "a day back": -24 * time.Hour, "a day ahead": 24 * time.Hour, "ten years ahead": 10 * 365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCosigned(t, ahead)
			c.run(t)
			for asked := range int32(3) {
				c.pass(c.pausing(t, asked+1))
			}
			c.pausing(t, 4)
		})
	}
}
