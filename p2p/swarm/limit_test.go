package swarm

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	good := Limits{Rates: Rates{Upload: MinRate}, LimitLAN: true}
	good.Classes[Client] = Rates{Upload: 1 << 20, Download: 1 << 30}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Limits{Rates: Rates{Upload: -1, Download: MinRate - 1}}
	bad.Classes[Relay].Upload = 1
	err := bad.Validate()
	for _, want := range []string{"upload of -1", "download of 16383", "upload of relay of 1 "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q in it", err, want)
		}
	}
	for name, cfg := range map[string]Config{
		"rate":     {UploadLimit: 5},
		"few":      {Conns: 2},
		"torrent":  {Conns: 10, ConnsPerTorrent: 11},
		"memory":   {Conns: 100, RequestMemory: 100*maxChunk - 1},
		"negative": {ConnsPerTorrent: -1},
	} {
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: %+v is taken", name, cfg)
		}
	}
	if conns, per, memory := (Config{Conns: 100, RequestMemory: 100 * 512 << 10}).Budget(); conns != 100 || per != 50 || memory != 100*512<<10 {
		t.Errorf("the budget is %d, %d, %d", conns, per, memory)
	}
}

// viaConn is a stream that tells where it goes.
type viaConn struct {
	net.Conn
	addr    netip.Addr
	relayed bool
}

func (c viaConn) Via() (netip.Addr, bool) { return c.addr, c.relayed }
func (c viaConn) RemoteAddr() net.Addr    { return peerAddr{} }

type tcpConn struct {
	net.Conn
	addr string
}

func (c tcpConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.addr), 1))
}

func TestClasses(t *testing.T) {
	t.Parallel()
	asked := 0
	interfaces := func() ([]net.Addr, error) {
		asked++
		_, home, _ := net.ParseCIDR("192.168.1.0/24")
		_, local, _ := net.ParseCIDR("fe80::/64")
		_, public, _ := net.ParseCIDR("203.0.113.0/24")
		_, loopback, _ := net.ParseCIDR("127.0.0.0/8")
		return []net.Addr{home, local, public, loopback, &net.TCPAddr{}}, nil
	}
	s := &Swarm{lan: neighbours{interfaces: interfaces}}
	for addr, want := range map[string]Class{
		"192.168.1.7": LAN, "::ffff:192.168.1.7": LAN, "fe80::1%eth0": LAN,
		"192.168.2.7": Client, "10.0.0.1": Client, "203.0.113.9": Client, "127.0.0.1": Client, "::1": Client, "8.8.8.8": Client,
	} {
		if got := s.classOf(tcpConn{addr: addr}, false); got != want {
			t.Errorf("%s is %v, want %v", addr, got, want)
		}
		wantNode := want
		if want == Client {
			wantNode = Node
		}
		ip := netip.MustParseAddr(addr)
		if got := s.classOf(viaConn{addr: ip}, true); got != wantNode {
			t.Errorf("a node at %s is %v, want %v", addr, got, wantNode)
		}
		if got := s.classOf(viaConn{addr: ip, relayed: true}, true); got != Relay {
			t.Errorf("through a relay at %s: %v", addr, got)
		}
	}
	if got := s.classOf(viaConn{}, true); got != Node {
		t.Errorf("a stream that tells nothing is %v", got)
	}
	if asked != 1 {
		t.Errorf("interfaces were listed %d times", asked)
	}
	s.cfg.LoopbackIsLAN = true
	if got := s.classOf(tcpConn{addr: "127.0.0.1"}, false); got != LAN {
		t.Errorf("this machine is %v", got)
	}
	for _, c := range Classes() {
		if got, ok := ClassNamed(c.String()); !ok || got != c {
			t.Errorf("%v is %v by its name", c, got)
		}
	}
	if _, ok := ClassNamed("wan"); ok {
		t.Error("wan is a class")
	}
}

// A pipe without an end that takes or gives whatever is asked.
type endless struct{ net.Conn }

func (endless) Read(b []byte) (int, error)  { return len(b), nil }
func (endless) Write(b []byte) (int, error) { return len(b), nil }
func (endless) Close() error                { return nil }
func (endless) RemoteAddr() net.Addr        { return peerAddr{} }

// traffic runs readers and writers of each class for ten seconds of the test's
// clock, and gives what passed of each, up and down.
func traffic(t *testing.T, l Limits, perClass int) (up, down [NumClasses]int64) {
	synctest.Test(t, func(t *testing.T) {
		s := &Swarm{limiter: newLimiter(l)}
		var wg sync.WaitGroup
		var over atomic.Bool
		for _, c := range Classes() {
			for range perClass {
				m := s.meter(endless{}, true).(*metered)
				m.class = c
				s.limiter.counts[Node].conns.Add(-1)
				s.limiter.counts[c].conns.Add(1)
				pass := func(f func([]byte) (int, error)) func() {
					return func() {
						for b := make([]byte, 256<<10); !over.Load(); {
							if _, err := f(b); err != nil {
								return
							}
							if m.l.up.portion(c) == 0 || m.l.down.portion(c) == 0 {
								time.Sleep(10 * time.Millisecond) // as a wire would
							}
						}
					}
				}
				wg.Go(pass(m.Write))
				wg.Go(pass(m.Read))
			}
		}
		time.Sleep(10 * time.Second)
		over.Store(true)
		s.limiter.closeAll()
		wg.Wait()
		for i, n := range s.limiter.traffic() {
			up[i], down[i] = n.TorrentUp, n.TorrentDown
			if n.Conns != 0 {
				t.Errorf("%d connections of class %v are open", n.Conns, n.Class)
			}
		}
	})
	return up, down
}

func near100(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got < want*95/100 || got > want*105/100 {
		t.Errorf("%s: %d bytes in ten seconds, want %d", what, got, want)
	}
}

func TestLimitsOfClasses(t *testing.T) {
	t.Parallel()
	const mb = 1_000_000
	l := Limits{Rates: Rates{Upload: 4 * mb, Download: 8 * mb}}
	l.Classes[Client] = Rates{Upload: mb / 2, Download: mb}
	l.Classes[Relay] = Rates{Upload: 100_000}
	up, down := traffic(t, l, 3)
	near100(t, "upload of clients", up[Client], 5*mb)
	near100(t, "upload through relays", up[Relay], mb)
	near100(t, "upload of all but the LAN", up[Client]+up[Node]+up[Relay], 40*mb)
	near100(t, "download of clients", down[Client], 10*mb)
	near100(t, "download of all but the LAN", down[Client]+down[Node]+down[Relay], 80*mb)
	if up[LAN] < 50*mb || down[LAN] < 50*mb {
		t.Errorf("the LAN got %d up, %d down: it should be free", up[LAN], down[LAN])
	}

	l.LimitLAN = true
	up, _ = traffic(t, l, 3)
	near100(t, "upload of all", sum(up[:]), 40*mb)
	if ratio := float64(up[LAN]) / float64(up[Node]); ratio < 0.9 || ratio > 1.1 {
		t.Errorf("the LAN got %d, nodes %d", up[LAN], up[Node])
	}

	l = Limits{}
	l.Classes[LAN].Upload = mb
	up, _ = traffic(t, l, 2)
	near100(t, "upload to the LAN at a rate of its own", up[LAN], 10*mb)
	if up[Node] < 50*mb {
		t.Errorf("nodes got %d, and have no limit", up[Node])
	}
}

// Answers to direct requests are part of the upload; a peer does not wait for one
// without an end.
func TestRequestsCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Swarm{limiter: newLimiter(Limits{Rates: Rates{Upload: 1 << 20, Download: 1 << 20}})}
		began := time.Now()
		s.AwaitUpload(t.Context(), Node, 3<<20)
		if d := time.Since(began); d < 2900*time.Millisecond || d > 3100*time.Millisecond {
			t.Errorf("3 MiB at 1 MiB a second took %v", d)
		}
		began = time.Now()
		s.AwaitUpload(t.Context(), Node, 100<<20)
		if d := time.Since(began); d != requestPatience {
			t.Errorf("an answer waited for %v", d)
		}
		began = time.Now()
		s.limiter.up.take(Node, 1, false, nil)
		if d := time.Since(began); d < debtOf-burstOf {
			t.Errorf("what it did not wait for cost the others %v", d)
		}
		s.AwaitUpload(t.Context(), LAN, 1<<30)
		s.Downloaded(Client, 1<<20)
		began = time.Now()
		s.limiter.down.take(Node, 1, false, nil)
		if d := time.Since(began); d < 900*time.Millisecond {
			t.Errorf("1 MiB that came cost %v", d)
		}
		got := s.limiter.traffic()
		if got[Node].RequestUp != 103<<20 || got[LAN].RequestUp != 1<<30 || got[Client].RequestDown != 1<<20 || got[Node].TorrentUp != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// Who fetches a torrent otherwise waits for each byte, however long that takes.
func TestTurnsOfAWebSeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &Swarm{limiter: newLimiter(Limits{Rates: Rates{Upload: 1 << 20}})}
		began := time.Now()
		if err := s.AwaitTurn(t.Context(), Client, 20<<20); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 19900*time.Millisecond || d > 20100*time.Millisecond {
			t.Errorf("20 MiB at 1 MiB a second took %v", d)
		}
		if err := s.AwaitTurn(t.Context(), LAN, 1<<30); err != nil {
			t.Errorf("the LAN has no limit: %v", err)
		}
		if got := s.limiter.traffic(); got[Client].TorrentUp != 20<<20 || got[LAN].TorrentUp != 1<<30 {
			t.Errorf("counted %+v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.AwaitTurn(ctx, Client, 20<<20); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who went away: %v", err)
		}
	})
}
