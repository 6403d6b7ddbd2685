package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"
)

// Watch over the connections that raw streams run on. One that has brought
// nothing for a while is asked for a sign of life; the asking becomes rarer the
// longer nothing was wanted of it.
const (
	watchEach   = time.Second
	quietFirst  = 3 * time.Second
	quietMost   = 15 * time.Second
	signTimeout = 5 * time.Second
	// relayLinger is how long a relayed connection stays open beside a direct one,
	// for what is in flight.
	relayLinger = 10 * time.Second
)

// wires are the connections that raw streams run on.
type wires struct {
	mu sync.Mutex
	m  map[network.Conn]*wire
}

// A wire is a connection with raw streams.
type wire struct {
	all     *wires
	conn    network.Conn
	heard   atomic.Int64 // when bytes came or a sign of life, Unix nanoseconds
	asking  atomic.Bool
	asked   atomic.Int64         // when it was last asked
	streams map[*streamConn]bool // guarded by wires.mu
}

func newWires() *wires { return &wires{m: map[network.Conn]*wire{}} }

// attach makes a stream a connection. done, nil for one that the peer opened, is
// called when it is closed.
func (ws *wires) attach(h *Host, s network.Stream, done func()) *streamConn {
	road := roadOf(s.Conn().RemoteMultiaddr())
	c := &streamConn{stream: s, count: h.stats.road(road), done: done, dialed: done != nil}
	if s.Conn().Stat().Limited {
		c.budget = h.budget
	}
	c.closed, c.stop = context.WithCancel(context.Background())
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.m[s.Conn()]
	if w == nil {
		w = &wire{all: ws, conn: s.Conn(), streams: map[*streamConn]bool{}}
		w.heardNow()
		ws.m[s.Conn()] = w
	}
	w.streams[c] = true
	c.wire = w
	return c
}

func (w *wire) detach(c *streamConn) {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	delete(w.streams, c)
	if len(w.streams) == 0 {
		delete(w.all.m, w.conn)
	}
}

func (w *wire) heardNow() { w.heard.Store(time.Now().UnixNano()) }

// abandon cuts off the streams that this node dialled to a peer through relays:
// there is a direct connection now.
func (ws *wires) abandon(id peer.ID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for conn, w := range ws.m {
		if conn.RemotePeer() != id || !conn.Stat().Limited {
			continue
		}
		for c := range w.streams {
			if c.dialed {
				c.stream.Reset()
			}
		}
	}
}

// watchWires closes connections that died without a word, as when a cable is
// pulled, so that other roads are tried within seconds.
func (h *Host) watchWires(ctx context.Context) error {
	tick := time.NewTicker(watchEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-tick.C:
			for _, w := range h.wires.quiet(now) {
				go h.askSign(ctx, w)
			}
		}
	}
}

// quiet are the wires to be asked for a sign of life now.
func (ws *wires) quiet(now time.Time) []*wire {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var out []*wire
	for _, w := range ws.m {
		silence := now.Sub(time.Unix(0, w.heard.Load()))
		since := now.Sub(time.Unix(0, w.asked.Load()))
		if silence >= quietFirst && since >= min(max(silence/2, quietFirst), quietMost) && w.asking.CompareAndSwap(false, true) {
			w.asked.Store(now.UnixNano())
			out = append(out, w)
		}
	}
	return out
}

// askSign closes the connection of a wire that gives no sign of life.
func (h *Host) askSign(ctx context.Context, w *wire) {
	defer w.asking.Store(false)
	before := w.heard.Load()
	ctx, cancel := context.WithTimeout(overRelay(ctx, "ping"), signTimeout)
	defer cancel()
	err := signOfLife(ctx, w.conn)
	if err == nil || w.heard.Load() != before || w.conn.IsClosed() || context.Cause(ctx) == context.Canceled {
		return
	}
	h.stats.deadConns.Add(1)
	h.log.Debug("connection died", "peer", w.conn.RemotePeer(), "addr", w.conn.RemoteMultiaddr().String(), "err", err)
	if err := w.conn.Close(); err != nil {
		h.log.Debug("dead connection not closed cleanly", "peer", w.conn.RemotePeer(), "err", err)
	}
}

// signOfLife has the peer answer a ping (github.com/libp2p/specs, ping) on this
// very connection: there may be another one that lives.
func signOfLife(ctx context.Context, c network.Conn) error {
	s, err := c.NewStream(ctx)
	if err != nil {
		return err
	}
	defer s.Reset()
	if d, ok := ctx.Deadline(); ok {
		s.SetDeadline(d)
	}
	var sent, got [ping.PingSize]byte
	rand.Read(sent[:])
	ended := context.AfterFunc(ctx, func() { s.Reset() })
	defer ended()
	if err := multistream.SelectProtoOrFail(ping.ID, s); err != nil {
		return err
	}
	if _, err := s.Write(sent[:]); err != nil {
		return err
	}
	if _, err := io.ReadFull(s, got[:]); err != nil {
		return err
	}
	if !bytes.Equal(sent[:], got[:]) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// onConn is told of every new connection. A direct one makes those through relays
// needless, and one through a relay is the way to a hole.
func (h *Host) onConn(_ network.Network, c network.Conn) {
	if c.Stat().Limited {
		h.lookOutside()
		return
	}
	id := c.RemotePeer()
	h.wires.abandon(id)
	for _, other := range h.lib.Network().ConnsToPeer(id) {
		if other.Stat().Limited {
			time.AfterFunc(relayLinger, func() { other.Close() })
		}
	}
}
