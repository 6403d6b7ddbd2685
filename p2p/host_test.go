package p2p

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	manet "github.com/multiformats/go-multiaddr/net"
)

var tcpAndQUIC = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}

func TestAddrsReportActualPorts(t *testing.T) {
	t.Parallel()
	h := openHost(t, func(c *Config) { c.Listen = tcpAndQUIC })
	addrs := h.Addrs()
	if len(addrs) != 2 || !strings.Contains(addrs[0], "/tcp/") || !strings.Contains(addrs[1], "/quic-v1/") {
		t.Fatalf("Addrs() = %q, want one of TCP, then one of QUIC", addrs)
	}
	for _, a := range addrs {
		if !strings.HasSuffix(a, "/p2p/"+h.ID().String()) {
			t.Errorf("%s does not end in the peer id", a)
		}
		if strings.Contains(a, "/tcp/0/") || strings.Contains(a, "/udp/0/") {
			t.Errorf("%s has no port", a)
		}
	}
}

func TestPeersAreDescribed(t *testing.T) {
	t.Parallel()
	a := startHost(t, func(c *Config) { c.Version = "1.2.3" })
	b := startHost(t, nil)
	connect(t, a, b)
	await(t, "b to measure a", func() bool {
		p := b.Peers()
		return len(p) == 1 && p[0].Latency > 0 && p[0].Member
	})
	got := b.Peers()[0]
	if got.ID != a.ID() || got.Direction != "in" || got.Agent != "dockchain/1.2.3" || len(got.Addrs) != 1 {
		t.Errorf("b sees %+v", got)
	}
	if got := a.Peers(); len(got) != 1 || got[0].Direction != "out" {
		t.Errorf("a sees %+v", got)
	}
	if s := a.Stats(); s.Peers != 1 || s.Members != 1 {
		t.Errorf("a counts %+v", s)
	}
}

func TestTCPIsPreferred(t *testing.T) {
	t.Parallel()
	a := openHost(t, func(c *Config) { c.Listen, c.headStart = tcpAndQUIC, patience })
	b := openHost(t, func(c *Config) { c.Listen = tcpAndQUIC })
	told := b.Addrs()
	if len(told) != 2 {
		t.Fatalf("b is told to be at %v", told)
	}
	slices.Reverse(told) // as if QUIC were the first choice
	if err := a.Connect(t.Context(), told...); err != nil {
		t.Fatal(err)
	}
	for _, c := range a.lib.Network().ConnsToPeer(b.ID()) {
		if transportRank(c.RemoteMultiaddr()) != 0 {
			t.Errorf("connected over %s", c.RemoteMultiaddr())
		}
	}
}

func TestAddressesOfOnePeer(t *testing.T) {
	t.Parallel()
	a, b, c := openHost(t, nil), openHost(t, nil), openHost(t, nil)
	if err := a.Connect(t.Context(), append(b.Addrs(), c.Addrs()...)...); !errors.Is(err, ErrBadAddress) {
		t.Errorf("connecting to two peers as one: %v", err)
	}
	if err := a.Connect(t.Context()); err == nil {
		t.Error("connected to nobody")
	}
	if n := len(a.Peers()); n != 0 {
		t.Errorf("%d peers are connected", n)
	}
}

// TestTLSIsPreferred: nodes encrypt with TLS among themselves, with Noise where
// the other end knows nothing else, whoever dialled.
func TestTLSIsPreferred(t *testing.T) {
	t.Parallel()
	a, b := openHost(t, nil), openHost(t, nil)
	caller, called := stranger(t), stranger(t)
	connect(t, a, b)
	introduce(t, caller, a)
	if err := a.connect(t.Context(), peer.AddrInfo{ID: called.ID(), Addrs: called.Addrs()}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[peer.ID]protocol.ID{b.ID(): libp2ptls.ID, caller.ID(): noise.ID, called.ID(): noise.ID} {
		await(t, "a connection with "+string(want), func() bool { return len(a.lib.Network().ConnsToPeer(id)) > 0 })
		for _, c := range a.lib.Network().ConnsToPeer(id) {
			if got := c.ConnState().Security; got != want {
				t.Errorf("connected with %s instead of %s", got, want)
			}
		}
	}
}

func TestQUICWorksAlone(t *testing.T) {
	t.Parallel()
	a := openHost(t, func(c *Config) { c.Listen = tcpAndQUIC })
	b := openHost(t, func(c *Config) { c.Listen = tcpAndQUIC[1:] })
	b.Handle("echo", 100, func(_ context.Context, _ peer.ID, req []byte) ([]byte, error) { return req, nil })
	connect(t, a, b)
	got, err := a.Request(t.Context(), b.ID(), "echo", []byte("hello"))
	if err != nil || string(got) != "hello" {
		t.Fatalf("Request over QUIC = %q, %v", got, err)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	for _, listen := range tcpAndQUIC {
		h := openHost(t, func(c *Config) { c.Listen = []string{listen} })
		cfg := testConfig(t)
		cfg.Listen = []string{h.lib.Network().ListenAddresses()[0].String()}
		if strings.Contains(listen, "tcp") {
			cfg.Listen = append([]string{"/ip4/127.0.0.1/udp/0/quic-v1"}, cfg.Listen...) // one that works
		}
		_, err := New(cfg, testLog(t))
		if !errors.Is(err, ErrAddrInUse) || !errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "\n") {
			t.Errorf("New on %s = %v, want one line that the address is in use", cfg.Listen, err)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Config)
		want   string
	}{
		"network":   {func(c *Config) { c.Network = "a/b" }, "network"},
		"key":       {func(c *Config) { c.Key = nil }, "key"},
		"listen":    {func(c *Config) { c.Listen = []string{"127.0.0.1:1"} }, "listen"},
		"announce":  {func(c *Config) { c.Announce = []string{"nowhere"} }, "announced"},
		"bootstrap": {func(c *Config) { c.Bootstrap = []string{"/ip4/127.0.0.1/tcp/1"} }, "bootstrap"},
		"dht":       {func(c *Config) { c.DHT = "both" }, "dht mode"},
		"reach":     {func(c *Config) { c.Reach = "far" }, "reach"},
		"limits":    {func(c *Config) { c.LowWater, c.HighWater = 5, 4 }, "connection limits"},
		"requests":  {func(c *Config) { c.Requests = -1 }, "request limits"},
		"duration":  {func(c *Config) { c.JoinWait = -1 }, "duration"},
	}
	for name, tt := range tests {
		cfg := testConfig(t)
		tt.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Validate() = %v, want a word on %q", name, err, tt.want)
		}
		if h, err := New(cfg, testLog(t)); err == nil {
			h.Close()
			t.Errorf("%s: New took the configuration", name)
		}
	}
	if err := testConfig(t).Validate(); err != nil {
		t.Errorf("good configuration refused: %v", err)
	}
}

func TestConnectRefusesBadAddresses(t *testing.T) {
	t.Parallel()
	h := openHost(t, nil)
	for _, a := range []string{"", "x", "/ip4/127.0.0.1/tcp/1", "/p2p/x", "/ip4/127.0.0.1/tcp/1/p2p/Qm"} {
		if err := h.Connect(t.Context(), a); !errors.Is(err, ErrBadAddress) {
			t.Errorf("Connect(%q) = %v", a, err)
		}
	}
	gone := openHost(t, nil)
	addr := gone.Addrs()[0]
	gone.Close()
	if err := h.Connect(t.Context(), addr); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("Connect to nobody = %v, want one line", err)
	}
}

func FuzzParseAddr(f *testing.F) {
	f.Add("/ip4/192.0.2.7/tcp/4747/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo")
	f.Add("/ip4/127.0.0.1/tcp/1")
	f.Fuzz(func(t *testing.T, s string) {
		if info, err := ParseAddr(s); err == nil && info.ID == "" {
			t.Errorf("ParseAddr(%q) has no peer id", s)
		}
	})
}

// TestEventsAlternate connects and disconnects, and sees each told once. The
// other end is a stranger: the DHT of a node of ours would connect again.
func TestEventsAlternate(t *testing.T) {
	t.Parallel()
	a, b := startHost(t, nil), stranger(t)
	events := make(chan string, 10)
	a.OnConnect(func(id peer.ID) { events <- "+" + id.String() })
	a.OnDisconnect(func(id peer.ID) { events <- "-" + id.String() })
	for range 3 {
		if err := a.connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "connect", events); got != "+"+b.ID().String() {
			t.Fatalf("event %s", got)
		}
		if err := a.Disconnect(b.ID()); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, "disconnect", events); got != "-"+b.ID().String() {
			t.Fatalf("event %s", got)
		}
	}
}

// TestEarlyPeersAreTold connects before Run.
func TestEarlyPeersAreTold(t *testing.T) {
	t.Parallel()
	a, b := openHost(t, nil), openHost(t, nil)
	arrived := make(chan peer.ID, 1)
	a.OnConnect(func(id peer.ID) { arrived <- id })
	connect(t, b, a)
	await(t, "a to identify b", func() bool { return a.isMember(b.ID()) })
	run(t, a)
	if got := receive(t, "connect", arrived); got != b.ID() {
		t.Errorf("told of %s", got)
	}
}

func TestBlock(t *testing.T) {
	t.Parallel()
	a, b := startHost(t, nil), startHost(t, nil)
	connect(t, a, b)
	await(t, "a to see b", func() bool { return a.Stats().Members == 1 })
	a.Block(b.ID(), time.Hour)
	await(t, "b to be gone", func() bool { return len(a.Peers()) == 0 && len(b.Peers()) == 0 })
	if err := a.Connect(t.Context(), b.Addrs()[0]); !errors.Is(err, ErrBlocked) {
		t.Errorf("dialling a blocked peer = %v", err)
	}
	if _, err := a.Request(t.Context(), b.ID(), "x", nil); !errors.Is(err, ErrBlocked) {
		t.Errorf("asking a blocked peer = %v", err)
	}
	if _, err := a.DialStream(t.Context(), b.ID()); !errors.Is(err, ErrBlocked) {
		t.Errorf("opening a stream to a blocked peer = %v", err)
	}
	// The dialler's handshake is over before the blocker drops it, so what
	// counts is that the connection does not last.
	if err := b.Connect(t.Context(), a.Addrs()[0]); err == nil {
		await(t, "a to drop b", func() bool { return len(b.Peers()) == 0 })
	}
	if len(a.Peers()) != 0 {
		t.Error("a blocked peer is connected")
	}
	a.Block(b.ID(), 0)
	await(t, "b to get in again", func() bool { return a.Connect(t.Context(), b.Addrs()[0]) == nil })
}

func TestBansEndAndAreBounded(t *testing.T) {
	t.Parallel()
	b := newBans()
	b.set("short", time.Nanosecond)
	await(t, "ban to end", func() bool { return !b.has("short") })
	b.set("first", time.Hour)
	for i := range maxBans + 10 {
		b.set(peer.ID(string(rune(i+1000))), 2*time.Hour)
	}
	if len(b.until) != maxBans || b.has("first") {
		t.Errorf("%d bans, the one that ends first still there: %t", len(b.until), b.has("first"))
	}
}

// TestBootstrap joins by the list, by peers known from before, and by a peer
// that comes up later.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	listed, known := startHost(t, nil), startHost(t, nil)
	lateKey := testKey(t)
	lateID, err := peer.IDFromPrivateKey(lateKey)
	if err != nil {
		t.Fatal(err)
	}
	gate := newGate(t)
	var mu sync.Mutex
	seen := map[peer.ID][]string{}
	h := startHost(t, func(c *Config) {
		c.Bootstrap = []string{listed.Addrs()[0], gate.addr() + "/p2p/" + lateID.String()}
		c.Known = func() []string { return []string{"damaged", known.Addrs()[0]} }
		c.Seen = func(id peer.ID, addrs []string) {
			mu.Lock()
			defer mu.Unlock()
			seen[id] = addrs
		}
	})
	has := func(id peer.ID) bool { return len(h.lib.Network().ConnsToPeer(id)) > 0 }
	await(t, "listed and known peer", func() bool { return has(listed.ID()) && has(known.ID()) })
	await(t, "the late peer to be missed", func() bool { return gate.missed.Load() > 0 })
	gate.open(startHost(t, func(c *Config) { c.Key = lateKey }))
	await(t, "late peer", func() bool { return has(lateID) })
	await(t, "addresses to be remembered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 3
	})
	mu.Lock()
	defer mu.Unlock()
	for id, addrs := range seen {
		for _, a := range addrs {
			if info, err := ParseAddr(a); err != nil || info.ID != id {
				t.Errorf("address of %s to remember: %s, %v", id, a, err)
			}
		}
	}
}

// A gate is an address at which a host can be reached once it is open.
type gate struct {
	l      net.Listener
	missed atomic.Int64
	to     atomic.Pointer[string]
}

func newGate(t testing.TB) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := &gate{l: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.lead(c)
		}
	}()
	return g
}

func (g *gate) addr() string {
	return "/ip4/127.0.0.1/tcp/" + strconv.Itoa(g.l.Addr().(*net.TCPAddr).Port)
}

func (g *gate) open(h *Host) {
	_, addr, _ := manet.DialArgs(h.lib.Network().ListenAddresses()[0])
	g.to.Store(&addr)
}

func (g *gate) lead(c net.Conn) {
	defer c.Close()
	to := g.to.Load()
	if to == nil {
		g.missed.Add(1)
		return
	}
	far, err := net.Dial("tcp", *to)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		io.Copy(far, c)
		far.Close()
	}()
	io.Copy(c, far)
}

func TestBackoffGrowsToALimit(t *testing.T) {
	t.Parallel()
	var b backoff
	now := time.Now()
	last := time.Duration(0)
	for range 20 {
		b.failed(now)
		if b.delay < last || b.delay > lastBackoff || b.next.Sub(now) > b.delay || b.next.Sub(now) < b.delay/2 {
			t.Fatalf("delay %s after %s, next in %s", b.delay, last, b.next.Sub(now))
		}
		last = b.delay
	}
	if last != lastBackoff {
		t.Errorf("delay ends at %s", last)
	}
}

func TestNetworksDoNotMix(t *testing.T) {
	t.Parallel()
	a := startHost(t, nil)
	b := startHost(t, func(c *Config) { c.Network = "other" })
	b.Handle("echo", 10, func(_ context.Context, _ peer.ID, req []byte) ([]byte, error) { return req, nil })
	connect(t, a, b)
	if _, err := a.Request(t.Context(), b.ID(), "echo", nil); err == nil {
		t.Error("a node of another network answered")
	}
	if s := a.Stats(); s.Members != 0 || s.Table != 0 {
		t.Errorf("a node of another network is a member: %+v", s)
	}
}
