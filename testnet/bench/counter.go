package main

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
)

// A counter stands between two hosts and counts the bytes of their TCP
// connections, in both directions.
type counter struct {
	listener net.Listener
	target   string // host:port
	multi    string // multiaddr of the target
	port     string // of the target
	bytes    atomic.Int64
}

// newCounter listens for connections to a host on loopback.
func newCounter(addr string) (*counter, error) {
	port, err := tcpPort(addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{listener: l, target: net.JoinHostPort("127.0.0.1", port), multi: addr, port: port}
	go c.accept()
	return c, nil
}

// addr is the multiaddr of the host by way of the counter.
func (c *counter) addr() string {
	_, mine, _ := net.SplitHostPort(c.listener.Addr().String())
	return strings.Replace(c.multi, "/tcp/"+c.port, "/tcp/"+mine, 1)
}

func (c *counter) close() { _ = c.listener.Close() }

func (c *counter) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", c.target)
		if err != nil {
			_ = from.Close()
			continue
		}
		go c.pass(from, to)
		go c.pass(to, from)
	}
}

// pass copies until one side ends, and then ends the other.
func (c *counter) pass(to, from net.Conn) {
	_, _ = io.Copy(to, io.TeeReader(from, c))
	_ = to.Close()
	_ = from.Close()
}

// Write counts.
func (c *counter) Write(b []byte) (int, error) {
	c.bytes.Add(int64(len(b)))
	return len(b), nil
}
