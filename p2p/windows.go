package p2p

import (
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-yamux/v5"
)

// The multiplexer doubles a stream's window, which begins with 256 KiB, while half of
// it comes within four round trips. It measures these while the connection is idle: on
// a local network 0.1 ms, within which no window is ever filled, so that a sender that
// could send a gigabyte a second waits for each 128 KiB to be acknowledged; and far
// away, where a lost packet holds up what came behind it, they are too short as well.
// So for a connection that carries pieces it is made to believe in a longer one. It
// reserves the memory of what it grows by, as before, and grows up to 16 MiB.
//
// What it believes is a field of its own that it lets nobody set.
const (
	// leastRoundTrip lets a window grow to 16 MiB at 200 MB/s.
	leastRoundTrip = 10 * time.Millisecond
	// lossyRoundTrips is how many real ones are taken for one.
	lossyRoundTrips = 2
	mostRoundTrip   = time.Second
)

// roundTripOf is where in a session of the multiplexer that field is; nil where it is
// not known.
var roundTripOf = func() func(*yamux.Session) *int64 {
	f, ok := reflect.TypeFor[yamux.Session]().FieldByName("rtt")
	if !ok || f.Type.Kind() != reflect.Int64 || len(f.Index) != 1 {
		return nil
	}
	return func(s *yamux.Session) *int64 { return (*int64)(unsafe.Add(unsafe.Pointer(s), f.Offset)) }
}()

// widen lets the windows of a connection grow as fast as pieces may come.
func (h *Host) widen(c network.Conn) {
	var session *yamux.Session
	if roundTripOf == nil || !c.As(&session) {
		return
	}
	field := roundTripOf(session)
	far := h.lib.Peerstore().LatencyEWMA(c.RemotePeer())
	if far == 0 {
		far = time.Duration(atomic.LoadInt64(field))
	}
	want := int64(min(max(leastRoundTrip, lossyRoundTrips*far), mostRoundTrip))
	for {
		is := atomic.LoadInt64(field)
		if is >= want || atomic.CompareAndSwapInt64(field, is, want) {
			return
		}
	}
}
