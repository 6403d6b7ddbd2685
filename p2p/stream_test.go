package p2p

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// streams is both ends of a raw stream, open and used once.
func streams(t *testing.T, listen []string) (a, b *Host, dialled, accepted net.Conn) {
	t.Helper()
	a = openHost(t, func(c *Config) { c.Listen = listen })
	b = openHost(t, func(c *Config) { c.Listen = listen })
	got := make(chan net.Conn, 1)
	b.HandleStream(func(from peer.ID, c net.Conn) {
		if from != a.ID() {
			t.Errorf("stream from %s", from)
		}
		got <- c
	})
	connect(t, a, b)
	dialled, err := a.DialStream(t.Context(), b.ID())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close() })
	say(t, dialled, "hello")
	accepted = receive(t, "stream", got)
	t.Cleanup(func() { accepted.Close() })
	hear(t, accepted, "hello")
	return a, b, dialled, accepted
}

func say(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b, err, want)
	}
}

func TestStreamIsAConn(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string][]string{"tcp": tcpAndQUIC[:1], "quic": tcpAndQUIC[1:]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b, dialled, accepted := streams(t, listen)
			say(t, accepted, "and back")
			hear(t, dialled, "and back")
			for _, end := range []struct {
				conn          net.Conn
				local, remote peer.ID
			}{{dialled, a.ID(), b.ID()}, {accepted, b.ID(), a.ID()}} {
				if end.conn.LocalAddr().String() != end.local.String() || end.conn.RemoteAddr().String() != end.remote.String() {
					t.Errorf("ends are %s and %s", end.conn.LocalAddr(), end.conn.RemoteAddr())
				}
				if end.conn.RemoteAddr().Network() != "libp2p" {
					t.Errorf("network is %s", end.conn.RemoteAddr().Network())
				}
			}

			dialled.SetReadDeadline(time.Now().Add(-time.Second))
			if _, err := dialled.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read after the deadline = %v", err)
			}
			dialled.SetReadDeadline(time.Time{})
			say(t, accepted, "still")
			hear(t, dialled, "still")

			if err := dialled.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
			if _, err := accepted.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("read from a stream closed at the other end = %v, want a reset", err)
			}
			for range 2 {
				dialled.Close()
				for _, set := range []func(time.Time) error{
					dialled.SetDeadline, dialled.SetReadDeadline, dialled.SetWriteDeadline,
					accepted.SetDeadline, accepted.SetReadDeadline, accepted.SetWriteDeadline,
				} {
					if err := set(time.Now()); err != nil {
						t.Errorf("deadline on a closed stream = %v", err)
					}
				}
			}
			if sa, sb := a.Stats(), b.Stats(); sa.StreamsDialled != 1 || sb.StreamsAccepted != 1 {
				t.Errorf("counted %d dialled, %d accepted", sa.StreamsDialled, sb.StreamsAccepted)
			}
		})
	}
}

func TestOpenStreamsProtectTheConnection(t *testing.T) {
	t.Parallel()
	a, b, dialled, _ := streams(t, tcpAndQUIC[:1])
	second, err := a.DialStream(t.Context(), b.ID())
	if err != nil {
		t.Fatal(err)
	}
	dialled.Close()
	dialled.Close()
	if !a.lib.ConnManager().IsProtected(b.ID(), "") {
		t.Error("connection with an open stream is not protected")
	}
	second.Close()
	if a.lib.ConnManager().IsProtected(b.ID(), "stream/1") || a.lib.ConnManager().IsProtected(b.ID(), "stream/2") {
		t.Error("connection without streams is protected")
	}
}

func TestStreamWithoutHandlerIsRefused(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := a.DialStream(ctx, b.ID())
	if err != nil { // the reset may come while the stream is being opened
		if ctx.Err() != nil {
			t.Errorf("dial = %v, want a reset", err)
		}
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte("hello"))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read = %v, want a reset", err)
	}
}

func TestStreamsOfOnePeerAreBounded(t *testing.T) {
	t.Parallel()
	a, b := pair(t, nil)
	b.HandleStream(func(_ peer.ID, c net.Conn) { io.Copy(io.Discard, c) })
	s := stranger(t) // our own side would refuse first
	introduce(t, s, b)
	open := 0
	for ; open < 400; open++ {
		st, err := s.NewStream(t.Context(), b.ID(), b.btProto)
		if err != nil {
			break
		}
		defer st.Reset()
		if _, err := st.Write([]byte("x")); err != nil {
			break
		}
	}
	if open < 100 || b.Stats().StreamsAccepted > 192 {
		t.Errorf("%d streams opened, %d accepted", open, b.Stats().StreamsAccepted)
	}
	if _, err := a.DialStream(t.Context(), b.ID()); err != nil {
		t.Errorf("another peer's stream: %v", err)
	}
}
