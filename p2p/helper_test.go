package p2p

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

func testKey(t testing.TB) crypto.PrivKey {
	t.Helper()
	_, raw, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func testConfig(t testing.TB) Config {
	return Config{
		Network:   "test",
		Key:       testKey(t),
		Listen:    []string{"/ip4/127.0.0.1/tcp/0"},
		Validator: goodRecords{},
		JoinWait:  patience,
	}
}

// openHost opens a host that is closed at the end of the test.
func openHost(t testing.TB, change func(*Config)) *Host {
	t.Helper()
	cfg := testConfig(t)
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("closing host: %v", err)
		}
	})
	return h
}

// run runs a host until stop is called or the test ends.
func run(t testing.TB, h *Host) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running host: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func startHost(t testing.TB, change func(*Config)) *Host {
	t.Helper()
	h := openHost(t, change)
	run(t, h)
	return h
}

func connect(t testing.TB, from, to *Host) {
	t.Helper()
	if err := from.Connect(t.Context(), to.Addrs()[0]); err != nil {
		t.Fatal(err)
	}
}

// stranger is a libp2p host that is none of ours.
func stranger(t testing.TB) host.Host {
	t.Helper()
	s, err := libp2p.New(
		libp2p.Identity(testKey(t)),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func infoOf(h *Host) peer.AddrInfo {
	return peer.AddrInfo{ID: h.ID(), Addrs: h.lib.Network().ListenAddresses()}
}

// introduce connects a stranger to one of our hosts.
func introduce(t testing.TB, s host.Host, h *Host) {
	t.Helper()
	s.Peerstore().AddAddrs(h.ID(), infoOf(h).Addrs, peerstore.PermanentAddrTTL)
	if err := s.Connect(t.Context(), infoOf(h)); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what must come, on however busy a
// machine.
const patience = 3 * time.Minute

// await polls until the condition holds.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// tcpPair is the two ends of a connection.
func tcpPair(t testing.TB) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if dialled, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return dialled, accepted
}

// receive takes a value from a channel.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// goodRecords takes values that start with "good"; the longest is the best.
type goodRecords struct{}

func (goodRecords) Validate(key string, value []byte) error {
	if !strings.HasPrefix(string(value), "good") {
		return errors.New("no good record")
	}
	return nil
}

func (goodRecords) Select(_ string, values [][]byte) (int, error) {
	best := 0
	for i, v := range values {
		if len(v) > len(values[best]) {
			best = i
		}
	}
	return best, nil
}

// allRecords takes anything.
type allRecords struct{ goodRecords }

func (allRecords) Validate(string, []byte) error { return nil }
