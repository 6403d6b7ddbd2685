package p2p

import (
	"context"
	"net"
	"reflect"
	"sync"
	"time"
	"unsafe"

	"github.com/libp2p/go-libp2p/core/network"
	libp2pyamux "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-yamux/v5"
)

// Windows of streams over TCP: how much a peer may send that was not read yet. They
// begin with 256 KiB, and one doubles when half of it is read within four round trips.
//
// The multiplexer, yamux, would do that by itself, but in a way that costs most of what
// it gains: when a window grows, what was read of it until then is counted as granted
// anew, and is not (v5.1.0, sendWindowUpdate: the first delta of the two). A window of
// 16 MiB has lost half of itself so, and since it is granted by halves, the sender has
// nothing left each time when the next half comes: everything waits for a round trip,
// and far away for the queues on the way as well. So the multiplexer is told to let no
// window grow, and they are made to grow here, where nothing else is granted meanwhile.
//
// How large a window is to be is a field of its stream that it lets nobody set.
const (
	mostWindow = 16 << 20 // bytes
	// growWithin is the round trips, leastRoundTrip and mostRoundTrip bound one: on a
	// local network, where it takes 0.1 ms, a window could not be filled within four.
	growWithin     = 4
	leastRoundTrip = 10 * time.Millisecond
	mostRoundTrip  = time.Second
	// lossyRoundTrips is how many real ones are taken for one: a lost packet holds up
	// what came behind it.
	lossyRoundTrips = 2
	// windowPriority is how much of the memory that a peer may take up has to be free
	// for its windows, as yamux has it: half.
	windowPriority = 128
)

// windowField is where in a stream of the multiplexer its window is; known is false
// where it is not there.
var windowField, windowKnown = func() (offset uintptr, known bool) {
	f, ok := reflect.TypeFor[yamux.Stream]().FieldByName("recvWindow")
	return f.Offset, ok && f.Type.Kind() == reflect.Uint32 && len(f.Index) == 1
}()

// newMuxer is yamux with windows that grow. Where it does not keep them as expected
// it is left to itself.
func newMuxer() network.Multiplexer {
	if !windowKnown {
		return libp2pyamux.DefaultTransport
	}
	inner := *libp2pyamux.DefaultTransport
	inner.MaxStreamWindowSize = inner.InitialStreamWindowSize
	return muxer{&inner}
}

type muxer struct{ inner *libp2pyamux.Transport }

// NewConn implements network.Multiplexer.
func (m muxer) NewConn(nc net.Conn, isServer bool, scope network.PeerScope) (network.MuxedConn, error) {
	c, err := m.inner.NewConn(nc, isServer, scope)
	if err != nil {
		return nil, err
	}
	var session *yamux.Session
	if !c.As(&session) {
		return c, nil
	}
	return &muxedConn{c, session, scope}, nil
}

type muxedConn struct {
	network.MuxedConn
	session *yamux.Session
	scope   network.PeerScope // may be nil
}

// OpenStream implements network.MuxedConn.
func (c *muxedConn) OpenStream(ctx context.Context) (network.MuxedStream, error) {
	s, err := c.MuxedConn.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	return c.widening(s), nil
}

// AcceptStream implements network.MuxedConn.
func (c *muxedConn) AcceptStream() (network.MuxedStream, error) {
	s, err := c.MuxedConn.AcceptStream()
	if err != nil {
		return nil, err
	}
	return c.widening(s), nil
}

// widening wraps a stream of yamux, which libp2p knows by a type of its own that is
// the same.
func (c *muxedConn) widening(s network.MuxedStream) network.MuxedStream {
	v := reflect.ValueOf(s)
	if v.Kind() != reflect.Pointer || !v.Type().ConvertibleTo(reflect.TypeFor[*yamux.Stream]()) {
		return s
	}
	return &muxedStream{
		MuxedStream: s, conn: c,
		window: (*uint32)(unsafe.Add(v.UnsafePointer(), windowField)),
		since:  time.Now(),
	}
}

// A muxedStream is a stream whose window grows. Like any stream it has one reader, who
// alone looks at the window, in yamux as here.
type muxedStream struct {
	network.MuxedStream
	conn   *muxedConn
	window *uint32 // bytes, of yamux
	read   uint32  // bytes, of half a window
	since  time.Time

	mu    sync.Mutex
	span  network.ResourceScopeSpan // the memory of what it grew by; nil at first
	ended bool
}

// Read implements network.MuxedStream.
func (s *muxedStream) Read(b []byte) (int, error) {
	n, err := s.MuxedStream.Read(b)
	if s.read += uint32(n); s.read >= *s.window/2 {
		now := time.Now()
		if *s.window < mostWindow && now.Sub(s.since) < growWithin*s.conn.roundTrip() && s.reserve(*s.window) {
			*s.window *= 2 // granted with the next Read
		}
		s.read, s.since = 0, now
	}
	return n, err
}

func (c *muxedConn) roundTrip() time.Duration {
	return min(max(leastRoundTrip, lossyRoundTrips*c.session.RTT()), mostRoundTrip)
}

// reserve takes the memory of a growing window from what the peer may take up.
func (s *muxedStream) reserve(n uint32) bool {
	if s.conn.scope == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if s.span == nil {
		span, err := s.conn.scope.BeginSpan()
		if err != nil {
			return false
		}
		s.span = span
	}
	return s.span.ReserveMemory(int(n), windowPriority) == nil
}

// end gives the memory back.
func (s *muxedStream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.span != nil {
		s.span.Done()
		s.span = nil
	}
}

// Close implements network.MuxedStream.
func (s *muxedStream) Close() error {
	defer s.end()
	return s.MuxedStream.Close()
}

// Reset implements network.MuxedStream.
func (s *muxedStream) Reset() error {
	defer s.end()
	return s.MuxedStream.Reset()
}

// ResetWithError implements network.MuxedStream.
func (s *muxedStream) ResetWithError(code network.StreamErrorCode) error {
	defer s.end()
	return s.MuxedStream.ResetWithError(code)
}
