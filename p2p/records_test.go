package p2p

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

// A tallyConn counts the writes of a connection.
type tallyConn struct {
	net.Conn
	mu     sync.Mutex
	writes int
}

func (c *tallyConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *tallyConn) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// tlsPair is the ends of a TLS connection over TCP, and what lies under the first.
func tlsPair(t *testing.T) (from, to sec.SecureConn, below *tallyConn) {
	t.Helper()
	end := func() (*recordTLS, peer.ID) {
		key, _, err := crypto.GenerateEd25519Key(nil)
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newRecordTLS(libp2ptls.ID, key, []upgrader.StreamMuxer{})
		if err != nil {
			t.Fatal(err)
		}
		return s, id
	}
	client, _ := end()
	server, id := end()
	dialled, accepted := tcpPair(t)
	below = &tallyConn{Conn: dialled}
	done := make(chan error, 1)
	go func() {
		var err error
		to, err = server.SecureInbound(t.Context(), accepted, "")
		done <- err
	}()
	from, err := client.SecureOutbound(t.Context(), below, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return from, to, below
}

// Whatever is written in whatever portions arrives, a message of the multiplexer
// with one write of the socket.
func TestRecordsGoTogether(t *testing.T) {
	t.Parallel()
	from, to, below := tlsPair(t)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 256<<10)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	var all bytes.Buffer
	write := func(n int) {
		at := rng.IntN(len(noise) - n + 1)
		b := noise[at : at+n]
		all.Write(b)
		if m, err := from.Write(b); err != nil || m != n {
			t.Errorf("writing %d bytes: %d, %v", n, m, err)
		}
	}
	got := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(to)
		if err != nil {
			t.Error(err)
		}
		got <- b
	}()
	write(len(noise)) // so that records have their full length
	for range 10 {
		before := below.count()
		write(64 << 10)
		if n := below.count() - before; n != 1 {
			t.Fatalf("64 KiB took %d writes", n)
		}
	}
	for range 50 {
		write(1 + rng.IntN(100_000))
	}
	write(1)
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, all.Bytes()) {
		t.Error("other bytes arrived than were sent")
	}
}

// A connection that is idle holds no buffer.
func TestRecordsHoldNothingWhenIdle(t *testing.T) {
	t.Parallel()
	from, to, _ := tlsPair(t)
	go func() {
		for range 20 {
			_, _ = from.Write(make([]byte, 64<<10))
		}
		_, _ = from.Write([]byte("a"))
	}()
	if _, err := io.ReadFull(to, make([]byte, 1280<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	raw := from.(*gatheringConn).raw
	if raw.out != nil || raw.n != 0 {
		t.Error("the writing side holds a buffer")
	}
}
