package testnet

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Cutter is the only way to a node, over which connections do not last: each is
// cut when so many bytes have passed over it, in both directions.
type Cutter struct {
	listener net.Listener
	each     int64
	total    atomic.Int64
	cuts     atomic.Int64

	mu     sync.Mutex
	target string // host:port
}

// NewCutter makes the way; each is how many bytes a connection carries.
func NewCutter(t testing.TB, each int64) *Cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening before a node: %v", err)
	}
	c := &Cutter{listener: l, each: each}
	t.Cleanup(func() { _ = l.Close() })
	go c.accept()
	return c
}

// Addr is the multiaddr to be announced by the node behind it.
func (c *Cutter) Addr() string {
	return fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", c.listener.Addr().(*net.TCPAddr).Port)
}

// AddrOf is the multiaddr under which the node can be dialled.
func (c *Cutter) AddrOf(id peer.ID) string { return c.Addr() + "/p2p/" + id.String() }

// Behind puts a node behind it, which listens on a multiaddr of TCP.
func (c *Cutter) Behind(listens string) {
	_, rest, _ := strings.Cut(listens, "/tcp/")
	port, _, _ := strings.Cut(rest, "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = net.JoinHostPort("127.0.0.1", port)
}

// Bytes is how many have passed.
func (c *Cutter) Bytes() int64 { return c.total.Load() }

// Cuts is how often a connection was cut.
func (c *Cutter) Cuts() int64 { return c.cuts.Load() }

func (c *Cutter) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		target := c.target
		c.mu.Unlock()
		to, err := net.Dial("tcp", target)
		if err != nil {
			_ = from.Close()
			continue
		}
		w := &way{cutter: c, ends: [2]net.Conn{from, to}}
		go w.pass(to, from)
		go w.pass(from, to)
	}
}

// way is one connection.
type way struct {
	cutter *Cutter
	ends   [2]net.Conn
	passed atomic.Int64
	once   sync.Once
}

func (w *way) pass(to io.Writer, from io.Reader) {
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			w.cutter.total.Add(int64(n))
			if w.passed.Add(int64(n)) > w.cutter.each {
				w.once.Do(func() { w.cutter.cuts.Add(1) })
				break
			}
			if _, err := to.Write(b[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	for _, c := range w.ends {
		_ = c.Close()
	}
}
