package swarm

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

func TestWrongBytesFromTheOnlyPeer(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob")
	bl := newBlob(t, 2, 2<<20)
	mallory := &impostor{blob: bl}
	mallory.piece = mallory.lie
	tn.settle("mallory", mallory.accept)

	job := bl.job(t, "mallory")
	res, err := bob.Fetch(within(t, patience), job)
	if !errors.Is(err, ErrNoPeers) {
		t.Fatalf("got %v, want ErrNoPeers once the only peer is banned", err)
	}
	if len(res.FromPeers) != 0 {
		t.Errorf("credit for wrong bytes: %v", res.FromPeers)
	}
	if n := bob.seen.count("mallory", BadPiece); n != 1 {
		t.Errorf("bad piece observed %d times, want once", n)
	}
	if n := bob.seen.bytes("mallory"); n != 0 {
		t.Errorf("%d bytes counted as verified", n)
	}
}

func TestWrongBytesAmongHonestPeers(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*impostor) func(index, begin, length int) []byte{
		"all of them": func(im *impostor) func(int, int, int) []byte { return im.lie },
		"one chunk of each piece, the rest refused": func(im *impostor) func(int, int, int) []byte {
			return func(index, begin, length int) []byte {
				if begin == 0 {
					return im.lie(index, begin, length)
				}
				return nil
			}
		},
		"one chunk in eight, the rest right": func(im *impostor) func(int, int, int) []byte {
			return func(index, begin, length int) []byte {
				if (index+begin/length)%8 == 0 {
					return im.lie(index, begin, length)
				}
				return im.truth(index, begin, length)
			}
		},
	}
	for name, piece := range tests {
		for _, small := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", small chunks"}[small], func(t *testing.T) {
				t.Parallel()
				tn := newTown(t)
				alice, carol, bob := tn.node("alice"), tn.node("carol"), tn.node("bob")
				bl := newBlob(t, 3, 8<<20)
				// Nobody sends the first chunk before mallory's version of it arrived. In
				// the end they do: she may never be asked for it.
				honest := bl.source()
				patient, giveUp := context.WithTimeout(t.Context(), patience/9)
				t.Cleanup(giveUp)
				honest.Open = func() (io.ReaderAt, io.Closer, error) {
					return withheld{bl.reader().(io.ReaderAt), patient, func() bool { return believed(bob, bl.ih) }}, io.NopCloser(nil), nil
				}
				alice.shelf.put(bl.info, honest)
				carol.shelf.put(bl.info, honest)
				mallory := &impostor{blob: bl}
				mallory.piece = piece(mallory)
				tn.settle("mallory", mallory.accept)

				job := bl.job(t, "mallory", "alice", "carol")
				job.Public = small // requests of 16 KiB: several senders a piece
				res, err := bob.Fetch(within(t, patience), job)
				if err != nil {
					t.Fatal(err)
				}
				bl.check(t, job.Partial)
				if string(res.Digest) != bl.digest() {
					t.Errorf("digest %s", res.Digest)
				}
				for _, honest := range []string{"alice", "carol"} {
					if bob.seen.count(honest, BadPiece) != 0 {
						t.Errorf("%s was blamed", honest)
					}
				}
				if blamed := bob.seen.count("mallory", BadPiece); blamed != 1 && mallory.lies.Load() > 0 {
					t.Errorf("mallory told %d lies and was blamed %d times", mallory.lies.Load(), blamed)
				}
			})
		}
	}
}

// A withheld blob's first bytes cannot be read until they are free, or ctx ends.
type withheld struct {
	io.ReaderAt
	ctx  context.Context
	free func() bool
}

func (w withheld) ReadAt(b []byte, off int64) (int, error) {
	for off == 0 && !w.free() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-w.ctx.Done():
			return w.ReaderAt.ReadAt(b, off)
		}
	}
	return w.ReaderAt.ReadAt(b, off)
}

// believed says whether a lie of mallory's on the first chunk was taken.
func believed(bob *resident, ih Infohash) bool {
	f := bob.fetchOf(ih)
	if f == nil {
		return false
	}
	f.blame.mu.Lock()
	defer f.blame.mu.Unlock()
	of := func(s share) bool { return s.peer == "mallory" && s.off == 0 }
	return f.blame.banned["mallory"] || slices.ContainsFunc(f.blame.shares[0], of) ||
		slices.ContainsFunc(f.blame.evidence[0], func(e exhibit) bool { return of(e.share) })
}

// A peer that connected to us, and so has no address anacrolix could ban, must
// not get away with it, nor bring the process down.
func TestWrongBytesFromAPeerThatDialled(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 4, 4<<20)
	job := bl.job(t)
	job.Info = bl.info
	more := make(chan string)
	job.MorePeers = more
	done := make(chan error, 1)
	go func() {
		_, err := bob.Fetch(within(t, patience), job)
		done <- err
	}()
	await(t, "bob to fetch", func() bool { return bob.Open() == 1 })

	mallory := &impostor{blob: bl}
	mallory.piece = mallory.lie
	near, far, err := tcpPair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go bob.Accept("mallory", far)
	if err := writePreamble(near, bl.ih, false); err != nil {
		t.Fatal(err)
	}
	hello := append([]byte(protocolHeader), 0, 0, 0, 0, 0, 0x10, 0, 4)
	hello = append(append(hello, bl.ih[:]...), "-XX0000-impostorpeer"...)
	if _, err := near.Write(hello); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(near, make([]byte, handshakeSize)); err != nil {
		t.Fatal(err)
	}
	go mallory.serve(near)
	await(t, "mallory to be blamed", func() bool { return bob.seen.count("mallory", BadPiece) == 1 })

	alice.shelf.put(bl.info, bl.source())
	more <- "alice"
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	_ = near.Close()
}

// A link so slow that a chunk takes longer than the patience with silence.
func TestSlowIsNotSilent(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob", func(c *Config) { c.Stall = 4 * time.Second })
	bl := newBlob(t, 16, 200_000)
	slow := &impostor{blob: bl}
	tn.settle("slow", func(from string, c net.Conn) { slow.accept(from, trickle{c}) })
	job := bl.job(t, "slow")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	if bob.seen.count("slow", Timeout) != 0 {
		t.Error("taken for silent")
	}
}

// A trickle takes five seconds and more for a long message.
type trickle struct{ net.Conn }

func (c trickle) Write(b []byte) (int, error) {
	if len(b) < 100_000 {
		return c.Conn.Write(b)
	}
	var n int
	for part := range slices.Chunk(b, len(b)/50) {
		m, err := c.Conn.Write(part)
		if n += m; err != nil {
			return n, err
		}
		time.Sleep(100 * time.Millisecond) // what is tested is slowness
	}
	return n, nil
}

// The torrent is consistent, but of other bytes than the digest it is named by.
func TestRightPiecesOfAWrongBlob(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	wanted, other := newBlob(t, 7, 1<<20), newBlob(t, 8, 1<<20)
	info, ih, err := BuildLayer(t.Context(), wanted.name, 1<<20, other.reader())
	if err != nil {
		t.Fatal(err)
	}
	alice.shelf.put(info, other.source())
	job := wanted.job(t, "alice")
	job.Infohash = ih
	_, err = bob.Fetch(within(t, patience), job)
	var ce *ContentError
	if !errors.Is(err, ErrWrongContent) || !errors.As(err, &ce) {
		t.Fatalf("got %v", err)
	}
	if string(ce.Want) != wanted.digest() || string(ce.Got) != other.digest() || ce.From["alice"] != 1<<20 {
		t.Errorf("got %+v", ce)
	}
	if fileExists(job.Partial) {
		t.Error("wrong content was kept")
	}
	if bob.Open() != 0 {
		t.Error("wrong content is being seeded")
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]func(net.Conn){
		"huge length prefix": func(c net.Conn) {
			_, _ = c.Write([]byte{0xff, 0xff, 0xff, 0xff, 7})
		},
		"large bitfield": func(c net.Conn) {
			b := binary.BigEndian.AppendUint32(nil, 1<<18)
			_, _ = c.Write(append(b, 5))
		},
		"unknown message":  func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 1, 99}) },
		"noise":            func(c net.Conn) { _, _ = c.Write(randomBytes(1, 1<<16)) },
		"piece of nothing": func(c net.Conn) { _, _ = c.Write([]byte{0, 0, 0, 9, 7, 0, 0, 0, 0, 0, 0, 0, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice"), tn.node("bob")
			bl := newBlob(t, 11, 1<<20)
			alice.shelf.put(bl.info, bl.source())
			mallory := &impostor{blob: bl, raw: func(c net.Conn) {
				raw(c)
				_, _ = io.Copy(io.Discard, c)
			}}
			tn.settle("mallory", mallory.accept)
			more := make(chan string, 1)
			job := bl.job(t, "mallory")
			job.MorePeers = more
			done := make(chan error, 1)
			go func() {
				_, err := bob.Fetch(within(t, patience), job)
				done <- err
			}()
			await(t, "mallory to be heard of", func() bool { return bob.seen.count("mallory", Garbage) > 0 })
			more <- "alice"
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
		})
	}
}

func quick(c *Config) { c.Stall = time.Second }

func TestSilentPeers(t *testing.T) {
	t.Parallel()
	hush := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	bl := newBlob(t, 12, 4<<20)
	after := func(n int64) func(im *impostor) {
		return func(im *impostor) {
			never := make(chan struct{})
			im.piece = func(index, begin, length int) []byte {
				if im.requests.Load() > n {
					<-never
				}
				return im.truth(index, begin, length)
			}
		}
	}
	for name, silence := range map[string]func(*impostor){
		"from the handshake":  func(im *impostor) { im.raw = hush },
		"from the request":    after(0),
		"in the middle of it": after(5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			alice, bob := tn.node("alice"), tn.node("bob", quick)
			alice.shelf.put(bl.info, bl.source())
			mute := &impostor{blob: bl}
			silence(mute)
			tn.settle("mute", mute.accept)
			more := make(chan string, 1)
			job := bl.job(t, "mute")
			job.MorePeers = more
			done := make(chan error, 1)
			go func() {
				_, err := bob.Fetch(within(t, patience), job)
				done <- err
			}()
			await(t, "the silence to be noticed", func() bool { return bob.seen.count("mute", Timeout) > 0 })
			more <- "alice"
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			bl.check(t, job.Partial)
		})
	}
}

// A peer that takes all requests and answers none must not hold up the others.
func TestSilentPeerBesideAnother(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 13, 4<<20)
	alice.shelf.put(bl.info, bl.source())
	never := make(chan struct{})
	mute := &impostor{blob: bl, piece: func(int, int, int) []byte { <-never; return nil }}
	tn.settle("mute", mute.accept)
	job := bl.job(t, "mute", "alice")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
}

func TestStreamsThatSayNothingUseful(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob := tn.node("bob")
	bl := newBlob(t, 14, 1<<20)
	for name, hello := range map[string][]byte{
		"nothing":         {},
		"other protocol":  []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"later version":   append([]byte("dcbt\x03"), bl.ih[:]...),
		"unknown torrent": append([]byte("dcbt\x01"), bl.ih[:]...),
		"half a preamble": []byte("dcbt\x01abc"),
	} {
		t.Run(name, func(t *testing.T) {
			near, far, err := tcpPair(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				bob.Accept("eve", far)
			}()
			_, _ = near.Write(hello)
			_ = near.(*net.TCPConn).CloseWrite()
			<-done
			if n, err := io.Copy(io.Discard, near); n != 0 {
				t.Errorf("it answered %d bytes (%v)", n, err)
			}
		})
	}
	if bob.Open() != 0 {
		t.Error("a torrent was opened")
	}
	if bob.seen.count("eve", Garbage) != 4 {
		t.Errorf("garbage observed %d times", bob.seen.count("eve", Garbage))
	}
}

func TestGateKeepsOneVisitorFromTakingAllRoom(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	alice, bob := tn.node("alice"), tn.node("bob")
	bl := newBlob(t, 15, 1<<20)
	alice.shelf.put(bl.info, bl.source())
	for range 3 * maxPerVisitor {
		near, far, err := tcpPair(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = near.Close() })
		go alice.Accept("eve", far) // and says nothing
	}
	await(t, "eve to fill her share", func() bool {
		alice.gate.mu.Lock()
		defer alice.gate.mu.Unlock()
		return alice.gate.visitors["eve"] == maxPerVisitor
	})
	job := bl.job(t, "alice")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
}
