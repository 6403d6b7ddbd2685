package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const testRelay = "/ip4/1.2.3.4/tcp/1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo/p2p-circuit"

func TestCheapestFirst(t *testing.T) {
	t.Parallel()
	cheapest := []string{
		"/ip4/192.168.1.2/tcp/1", "/ip4/8.8.8.8/tcp/1", "/ip4/192.168.1.2/udp/1/quic-v1", "/ip4/8.8.8.8/udp/1/quic-v1", testRelay,
	}
	var in []ma.Multiaddr
	for i := range cheapest { // in another order
		in = append(in, ma.StringCast(cheapest[(i*3+2)%len(cheapest)]))
	}
	var last time.Duration
	for i, r := range cheapestFirst(tcpHeadStart)(in) {
		if r.Addr.String() != cheapest[i] {
			t.Errorf("place %d: %s, want %s", i, r.Addr, cheapest[i])
		}
		if i > 0 && r.Delay <= last {
			t.Errorf("%s is dialled after %s, and the one before after %s", r.Addr, r.Delay, last)
		}
		last = r.Delay
	}
	if last > 5*time.Second {
		t.Errorf("the last road is tried after %s only", last)
	}
	if got := cheapestFirst(tcpHeadStart)(in[:0]); len(got) != 0 {
		t.Errorf("nothing ranked as %v", got)
	}
	for _, a := range cheapest {
		if got := cheapestFirst(tcpHeadStart)([]ma.Multiaddr{ma.StringCast(a)}); got[0].Delay != 0 {
			t.Errorf("%s alone is dialled after %s", a, got[0].Delay)
		}
	}
}

func TestRoadOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]Road{
		"/ip4/8.8.8.8/tcp/1": RoadTCP, "/ip6/::1/udp/1/quic-v1": RoadQUIC, testRelay: RoadRelay,
	} {
		if got := roadOf(ma.StringCast(addr)); got != want {
			t.Errorf("%s is of the road %s, want %s", addr, got, want)
		}
	}
	for addr, want := range map[string]bool{
		"/ip4/10.1.2.3/tcp/1": true, "/ip4/127.0.0.1/udp/1/quic-v1": true, "/ip4/8.8.8.8/tcp/1": false,
		strings.Replace(testRelay, "1.2.3.4", "192.168.1.1", 1): false,
	} {
		if isNear(ma.StringCast(addr)) != want {
			t.Errorf("near of %s is not %t", addr, want)
		}
	}
}

func TestRelayBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRelayBudget(100 << 10)
		start := time.Now()
		for range 3 {
			if err := b.take(t.Context(), relayBurst); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 2*relayBurst*time.Second/relayRate {
			t.Errorf("three bursts passed within %s", took)
		}
		if b.spent() {
			t.Error("spent before its time")
		}
		if err := b.take(t.Context(), relayBurst); !errors.Is(err, ErrRelayBudget) {
			t.Errorf("over the budget: %v", err)
		}
		if !b.spent() {
			t.Error("not spent")
		}
		time.Sleep(relayTerm)
		if b.spent() || b.take(t.Context(), 1) != nil {
			t.Error("no new budget in the next term")
		}
		closed, stop := context.WithCancel(t.Context())
		stop()
		if err := b.take(closed, relayBurst); err == nil {
			t.Error("a closed stream waited for its turn")
		}
	})
}

func TestRelayCallsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRelays()
		for i := range callsPerPeer {
			if !r.AllowConnect("a", nil, "b") {
				t.Fatalf("call %d refused", i)
			}
		}
		if r.AllowConnect("a", nil, "b") {
			t.Error("one too many of a peer")
		}
		for i := range callsInAll - callsPerPeer {
			if !r.AllowConnect(peer.ID(rune(i+1000)), nil, "b") {
				t.Fatalf("call %d of others refused", i)
			}
		}
		if r.AllowConnect("c", nil, "b") {
			t.Error("one too many of all")
		}
		time.Sleep(callsIn + 1)
		if !r.AllowConnect("a", nil, "b") {
			t.Error("refused for ever")
		}
		if r.AllowReserve("a", nil) {
			t.Error("a place was given by a host that is not open yet")
		}
	})
}

// A cable passes connections on until it is cut, which neither end is told of.
type cable struct {
	net.Listener
	to string

	mu  sync.Mutex
	cut bool
}

func (c *cable) run() {
	for {
		in, err := c.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		if err != nil {
			in.Close()
			continue
		}
		for _, ends := range [][2]net.Conn{{in, out}, {out, in}} {
			go io.Copy(sink{c, ends[0]}, ends[1])
		}
	}
}

type sink struct {
	*cable
	w io.Writer
}

func (s sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return len(b), nil
	}
	return s.w.Write(b)
}

// TestDeadConnectionIsClosed: a connection whose way was cut without a word is
// closed while a stream waits on it; one that is merely quiet stays.
func TestDeadConnectionIsClosed(t *testing.T) {
	t.Parallel()
	a, b, quiet := startHost(t, nil), startHost(t, nil), startHost(t, nil)
	for _, h := range []*Host{b, quiet} {
		h.HandleStream(func(_ peer.ID, c net.Conn) { io.Copy(io.Discard, c) })
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, to, err := manet.DialArgs(b.lib.Network().ListenAddresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	way := &cable{Listener: l, to: to}
	go way.run()
	t.Cleanup(func() { l.Close() })
	connect(t, a, quiet)
	port := l.Addr().(*net.TCPAddr).Port
	if err := a.Connect(t.Context(), fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", port, b.ID())); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*Host{b, quiet} {
		c, err := a.DialStream(t.Context(), h.ID())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	way.mu.Lock()
	way.cut = true
	way.mu.Unlock()
	await(t, "the dead connection to be closed", func() bool { return a.Stats().DeadConns == 1 })
	if len(a.lib.Network().ConnsToPeer(quiet.ID())) == 0 {
		t.Error("the connection to a quiet peer was closed too")
	}
}
