package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// maxPerVisitor bounds those of one peer, or of one IP address.
	maxPerVisitor = 64
)

// A gate counts who is connected.
type gate struct {
	most     int // accepted connections, all together
	mu       sync.Mutex
	visitors map[string]int
	total    int
	greeting int
}

func newGate(most int) *gate { return &gate{most: most, visitors: map[string]int{}} }

// enter admits a visitor who has not said yet what it wants.
func (g *gate) enter(who string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.greeting >= maxGreeting || g.total >= g.most || g.visitors[who] >= maxPerVisitor {
		return false
	}
	g.greeting++
	g.total++
	g.visitors[who]++
	return true
}

// greeted says that a visitor has said what it wants, or not.
func (g *gate) greeted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.greeting--
}

func (g *gate) leave(who string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.visitors[who]--; g.visitors[who] <= 0 {
		delete(g.visitors, who)
	}
}

// A visit leaves the gate when it is closed.
type visit struct {
	net.Conn
	leave func()
	once  sync.Once
}

func (v *visit) Close() error {
	v.once.Do(v.leave)
	return v.Conn.Close()
}

// Accept takes a stream that a peer of ours opened: it reads the preamble, loads
// the torrent it names, and serves it. It returns as soon as the stream is
// handed over or closed, at the latest when the peer took too long to speak.
func (s *Swarm) Accept(from string, c net.Conn) {
	if !validPeer(from) || !s.admit(from) {
		_ = c.Close()
		return
	}
	c = s.meter(c, true)
	v := &visit{Conn: c, leave: func() { s.gate.leave(from) }}
	greeted, err := s.greet(from, v)
	s.gate.greeted()
	if err != nil {
		_ = v.Close()
		s.log.Debug("refused stream", "peer", from, "err", err)
		return
	}
	s.inbox.put(greeted)
}

// admit lets a visitor in, unless the swarm is paused or full.
func (s *Swarm) admit(who string) bool {
	if s.paused.Load() {
		return false
	}
	if !s.gate.enter(who) {
		s.refused.Add(1)
		return false
	}
	return true
}

var errNotHere = errors.New("torrent is not here")

func (s *Swarm) greet(from string, v *visit) (net.Conn, error) {
	if err := v.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return nil, fmt.Errorf("setting deadline: %w", err)
	}
	ih, reader, err := readPreamble(v)
	if err != nil {
		s.cfg.Observe(from, Event{Kind: complaint(err)})
		return nil, err
	}
	if s.banned(ih, from) {
		return nil, errors.New("peer sent bad data")
	}
	if !s.load(ih) {
		return nil, fmt.Errorf("%s: %w", ih, errNotHere)
	}
	w := s.newWire(v, peerAddr{ih, from})
	if reader {
		w.reader = 0
	}
	return w, nil
}

// complaint tells a peer that said nothing from one that said nonsense.
func complaint(err error) Kind {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return Timeout
	}
	return Garbage
}

// guard watches what a peer of ours sends.
func (s *Swarm) guard(r io.Reader, addr peerAddr) *frameGuard {
	return newFrameGuard(r, addr.ih,
		func(k Kind) { s.cfg.Observe(addr.peer, Event{Kind: k, Infohash: addr.ih}) },
		func() {
			if f := s.fetchOf(addr.ih); f != nil {
				f.crowd.heard(addr.peer)
			}
		})
}

// acceptTCP takes connections of ordinary clients.
func (s *Swarm) acceptTCP(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.tcp.Close() })()
	for {
		c, err := s.tcp.Accept()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting BitTorrent clients: %w", err)
		case err != nil:
			s.log.Warn("accepting a BitTorrent client", "err", err)
			select { // out of file descriptors, as a rule
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		go s.welcome(c)
	}
}

func (s *Swarm) welcome(c net.Conn) {
	who, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil || !s.admit(who) {
		_ = c.Close()
		return
	}
	c = s.meter(c, false)
	v := &visit{Conn: c, leave: func() { s.gate.leave(who) }}
	_ = v.SetDeadline(time.Now().Add(greetTimeout))
	ih, named, r, err := peekHandshake(v)
	s.gate.greeted()
	if err != nil || named && !s.load(ih) {
		_ = v.Close()
		return
	}
	s.inbox.put(s.newInlet(v, r, c.RemoteAddr(), c.RemoteAddr().String()))
}
