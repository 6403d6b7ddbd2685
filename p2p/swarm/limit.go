package swarm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MinRate is the least rate that can be held: a block must not take so long that
// its peer takes this node for silent.
const MinRate = 16 << 10

// Rates are bytes a second each way, 0 for no limit.
type Rates struct {
	Upload   int64 `json:"upload"`
	Download int64 `json:"download"`
}

// Limits bound what goes over the wire: BitTorrent's messages with all that is in
// them, and what AwaitUpload, AwaitTurn and Downloaded are told of.
type Limits struct {
	Rates                     // of all peers together, without those of the LAN
	Classes [NumClasses]Rates // of a class, within the former
	// LimitLAN counts the LAN into the rates of all.
	LimitLAN bool
}

// Validate tells every rate that cannot be held.
func (l Limits) Validate() error {
	var errs []error
	check := func(what string, rate int64) {
		if rate < 0 || rate > 0 && rate < MinRate {
			errs = append(errs, fmt.Errorf("%s of %d bytes a second: want 0 for no limit, or at least %d", what, rate, MinRate))
		}
	}
	check("upload", l.Upload)
	check("download", l.Download)
	for c, r := range l.Classes {
		check("upload of "+Class(c).String(), r.Upload)
		check("download of "+Class(c).String(), r.Download)
	}
	return errors.Join(errs...)
}

// A way is one direction.
type way struct {
	all       bucket
	class     [NumClasses]bucket
	exemptLAN atomic.Bool
}

// counts says whether a class is held to the rate of all.
func (w *way) counts(c Class) bool { return c != LAN || !w.exemptLAN.Load() }

// portion is how much of a class may pass at a turn, 0 for any amount.
func (w *way) portion(c Class) int {
	n := w.class[c].portion()
	if w.counts(c) {
		if all := w.all.portion(); n == 0 || all != 0 && all < n {
			n = all
		}
	}
	return n
}

func (w *way) take(c Class, n int, urgent bool, stop <-chan struct{}) bool {
	return w.class[c].take(n, urgent, stop) && (!w.counts(c) || w.all.take(n, urgent, stop))
}

func (w *way) charge(c Class, n int64) {
	w.class[c].charge(n)
	if w.counts(c) {
		w.all.charge(n)
	}
}

func (w *way) set(l Limits, rate func(Rates) int64) {
	w.exemptLAN.Store(!l.LimitLAN)
	w.all.setRate(rate(l.Rates))
	for c := range w.class {
		w.class[c].setRate(rate(l.Classes[c]))
	}
}

// Kinds of traffic.
const (
	kindTorrent = iota
	kindRequest
	numKinds
)

// A limiter holds all connections to the limits, and counts what passes.
type limiter struct {
	up, down way
	counts   [NumClasses]struct {
		up, down [numKinds]atomic.Int64
		conns    atomic.Int64
	}

	mu     sync.Mutex
	limits Limits
	open   map[*metered]struct{}
}

func newLimiter(l Limits) *limiter {
	lim := &limiter{open: map[*metered]struct{}{}}
	lim.set(l)
	return lim
}

func (l *limiter) set(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
	l.up.set(limits, func(r Rates) int64 { return r.Upload })
	l.down.set(limits, func(r Rates) int64 { return r.Download })
}

// SetLimits changes the limits; what is under way feels it at once.
func (s *Swarm) SetLimits(l Limits) error {
	if err := l.Validate(); err != nil {
		return err
	}
	s.limiter.set(l)
	return nil
}

// Limits are those that hold now.
func (s *Swarm) Limits() Limits {
	s.limiter.mu.Lock()
	defer s.limiter.mu.Unlock()
	return s.limiter.limits
}

// A metered conn counts what passes, and holds it to the limits of its class. It
// must be closed.
type metered struct {
	net.Conn
	l     *limiter
	class Class
	gone  chan struct{} // closed by Close
	once  sync.Once
}

// meter puts a connection under the limits.
func (s *Swarm) meter(c net.Conn, ours bool) net.Conn {
	l := s.limiter
	m := &metered{Conn: c, l: l, class: s.classOf(c, ours), gone: make(chan struct{})}
	l.counts[m.class].conns.Add(1)
	l.mu.Lock()
	l.open[m] = struct{}{}
	l.mu.Unlock()
	if s.paused.Load() { // since it was let in or dialled
		_ = m.Close()
	}
	return m
}

// Read reads, and waits for its turn afterwards: what has not been read fills the
// windows of the connection, and its sender waits too.
func (m *metered) Read(b []byte) (int, error) {
	portion := m.l.down.portion(m.class)
	if portion > 0 && len(b) > portion {
		b = b[:portion]
	}
	n, err := m.Conn.Read(b)
	m.l.counts[m.class].down[kindTorrent].Add(int64(n))
	if portion > 0 && n > 0 {
		m.l.down.take(m.class, n, n <= smallWrite, m.gone)
	}
	return n, err
}

// Write waits for its turn, portion by portion. The library puts its short
// messages before a block, so the first bytes of each write that does not begin
// with a block go out of turn, as far as there is room for that.
func (m *metered) Write(b []byte) (n int, err error) {
	sent := &m.l.counts[m.class].up[kindTorrent]
	for first := !beginsWithBlock(b); ; first = false {
		part := b[n:]
		if portion := m.l.up.portion(m.class); portion > 0 {
			if first {
				portion = smallWrite
			}
			part = part[:min(len(part), portion)]
			if !m.l.up.take(m.class, len(part), first, m.gone) {
				return n, net.ErrClosed
			}
		}
		k, err := m.Conn.Write(part)
		sent.Add(int64(k))
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

// beginsWithBlock says whether a portion of whole messages begins with a block. Where
// it is something else that looks so, as when it is obfuscated, that waits in turn.
func beginsWithBlock(b []byte) bool {
	return len(b) > smallWrite && b[4] == framePiece && binary.BigEndian.Uint32(b) > smallWrite && binary.BigEndian.Uint32(b) <= 9+maxChunk
}

func (m *metered) Close() error {
	m.once.Do(func() {
		close(m.gone)
		m.l.counts[m.class].conns.Add(-1)
		m.l.mu.Lock()
		delete(m.l.open, m)
		m.l.mu.Unlock()
	})
	return m.Conn.Close()
}

// closeAll ends every connection.
func (l *limiter) closeAll() {
	l.mu.Lock()
	conns := make([]*metered, 0, len(l.open))
	for m := range l.open {
		conns = append(conns, m)
	}
	l.mu.Unlock()
	for _, m := range conns {
		_ = m.Close()
	}
}

// conns is how many connections there are.
func (l *limiter) conns() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// requestPatience bounds how long an answer waits for its turn: the peer waits for
// it with a deadline.
const requestPatience = 5 * time.Second

// AwaitUpload waits until n bytes may be sent to a peer outside of BitTorrent, as
// in the answer to a direct request, and counts them. It waits for some seconds at
// most; what has had no turn by then is made up for by the torrents.
func (s *Swarm) AwaitUpload(ctx context.Context, class Class, n int) {
	l := s.limiter
	l.counts[class].up[kindRequest].Add(int64(n))
	portion := l.up.portion(class)
	if portion == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	for left := n; left > 0; {
		part := min(left, portion)
		if !l.up.take(class, part, n <= smallWrite, ctx.Done()) {
			l.up.charge(class, int64(left))
			return
		}
		left -= part
	}
}

// AwaitTurn waits until n bytes of a torrent may be sent outside of BitTorrent, as by a
// web seed, for as long as that takes, and counts them.
func (s *Swarm) AwaitTurn(ctx context.Context, class Class, n int) error {
	l := s.limiter
	for left := n; left > 0; {
		part := left
		if portion := l.up.portion(class); portion > 0 {
			part = min(left, portion)
			if !l.up.take(class, part, false, ctx.Done()) {
				return context.Cause(ctx)
			}
		}
		left -= part
	}
	l.counts[class].up[kindTorrent].Add(int64(n))
	return nil
}

// Downloaded counts bytes that came from a peer outside of BitTorrent.
func (s *Swarm) Downloaded(class Class, n int) {
	s.limiter.counts[class].down[kindRequest].Add(int64(n))
	s.limiter.down.charge(class, int64(n))
}
