package p2p

import (
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// muxed joins two multiplexers by TCP. What the second one takes comes out of scope.
func muxed(t *testing.T, scope network.PeerScope) (from, to network.MuxedConn) {
	t.Helper()
	out, in := tcpPair(t)
	var err error
	if from, err = newMuxer().NewConn(out, false, &network.NullScope{}); err != nil {
		t.Fatal(err)
	}
	if to, err = newMuxer().NewConn(in, true, scope); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	return from, to
}

// pour opens a stream that is written to without end, and counts what was.
func pour(t *testing.T, from, to network.MuxedConn) (written *atomic.Int64, r *muxedStream) {
	t.Helper()
	w, err := from.OpenStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written = new(atomic.Int64)
	go func() {
		b := make([]byte, 16<<10)
		for {
			n, err := w.Write(b)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	s, err := to.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Reset(); s.Reset() })
	r, ok := s.(*muxedStream)
	if !ok {
		t.Fatal("the multiplexer keeps its windows somewhere else")
	}
	return written, r
}

// A window grows, and all of it is granted: who stops reading right before the next half
// of it is due is sent another half all the same. Of windows that the multiplexer grows
// by itself nothing is left then.
func TestWindowsGrow(t *testing.T) {
	t.Parallel()
	from, to := muxed(t, &network.NullScope{})
	written, r := pour(t, from, to)
	read, b := int64(0), make([]byte, 16<<10)
	for range 5 {
		for *r.window < 2<<20 || r.read < *r.window/2-uint32(2*len(b)) {
			n, err := r.Read(b)
			if read += int64(n); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "half a window to be sent ahead", func() bool { return written.Load()-read >= int64(*r.window/2) })
		if ahead := written.Load() - read; ahead > int64(*r.window)+1<<20 { // and what is under way
			t.Fatalf("%d bytes were sent ahead, the window is %d", ahead, *r.window)
		}
		for r.read > uint32(len(b)) {
			n, err := r.Read(b)
			if read += int64(n); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What windows grow by is memory of the peer whose they are, until the stream ends, and
// where there is none they stay as they are.
func TestWindowsAreAccountedFor(t *testing.T) {
	t.Parallel()
	limits, err := newLimits(testConfig(t), "raw")
	if err != nil {
		t.Fatal(err)
	}
	defer limits.Close()
	conn, err := limits.OpenConnection(network.DirInbound, true, ma.StringCast("/ip4/127.0.0.1/tcp/1"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Done()
	id, err := peer.IDFromPrivateKey(testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetPeer(id); err != nil {
		t.Fatal(err)
	}
	taken := func() (n int64) {
		err := limits.ViewPeer(id, func(s network.PeerScope) error {
			n = s.Stat().Memory
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	from, to := muxed(t, conn.PeerScope())
	_, r := pour(t, from, to)
	before := taken()
	for p := make([]byte, 16<<10); *r.window < 1<<20; {
		if _, err := r.Read(p); err != nil {
			t.Fatal(err)
		}
	}
	if grown := taken() - before; grown != 1<<20-256<<10 {
		t.Errorf("the memory of the peer grew by %d bytes", grown)
	}
	if err := r.Reset(); err != nil {
		t.Fatal(err)
	}
	if n := taken(); n != 0 {
		t.Errorf("%d bytes are taken after the end", n)
	}

	tight := &tightScope{}
	from, to = muxed(t, tight)
	_, r = pour(t, from, to)
	for p := make([]byte, 64<<10); tight.refused < 3; {
		if _, err := r.Read(p); err != nil {
			t.Fatal(err)
		}
	}
	if *r.window != 256<<10 {
		t.Errorf("without memory the window is %d bytes", *r.window)
	}
}

// A tightScope has memory for the beginning of a stream alone.
type tightScope struct {
	network.NullScope
	refused int
}

func (s *tightScope) BeginSpan() (network.ResourceScopeSpan, error) { return s, nil }

func (s *tightScope) ReserveMemory(n int, prio uint8) error {
	if prio == windowPriority {
		s.refused++
		return network.ErrResourceLimitExceeded
	}
	return nil
}
