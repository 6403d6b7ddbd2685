package p2p

import (
	"io"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-yamux/v5"
)

// TestWindowsMayGrow: connections that carry pieces are believed to be long enough for
// their windows to grow, at both ends; those by QUIC, which has windows of its own, and
// those that carry none are left alone.
func TestWindowsMayGrow(t *testing.T) {
	t.Parallel()
	if roundTripOf == nil {
		t.Fatal("the multiplexer keeps the round trip somewhere else")
	}
	called := make(chan struct{})
	a := openHost(t, nil)
	b := openHost(t, nil)
	b.HandleStream(func(_ peer.ID, c net.Conn) {
		defer c.Close()
		close(called)
		_, _ = io.Copy(io.Discard, c)
	})
	connect(t, a, b)
	believed := func(h, to *Host) int64 {
		var session *yamux.Session
		for _, c := range h.lib.Network().ConnsToPeer(to.ID()) {
			if !c.As(&session) {
				t.Fatal("no multiplexer of ours")
			}
		}
		return int64(session.RTT())
	}
	await(t, "the round trip to be measured", func() bool { return believed(a, b) > 0 && believed(b, a) > 0 })
	c, err := a.DialStream(t.Context(), b.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("a beginning")); err != nil {
		t.Fatal(err)
	}
	<-called
	if d := believed(a, b); d < int64(leastRoundTrip) {
		t.Errorf("the caller believes in a round trip of %d ns", d)
	}
	if d := believed(b, a); d < int64(leastRoundTrip) {
		t.Errorf("the called believes in a round trip of %d ns", d)
	}
}
