package swarm

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// A visitor speaks the wire protocol by hand to a whole holder.
type visitor struct {
	t    *testing.T
	c    net.Conn
	told chan int
	got  chan pp.Message
}

func (tn *town) visit(t *testing.T, r *resident, ih Infohash) *visitor {
	t.Helper()
	c, err := tn.dial(t.Context(), "visitor", r.name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := writePreamble(c, ih, false); err != nil {
		t.Fatal(err)
	}
	bits := pp.NewPeerExtensionBytes(pp.ExtensionBitFast, pp.ExtensionBitLtep)
	hello := append([]byte(protocolHeader), bits[:]...)
	hello = append(append(hello, ih[:]...), "-XX0000-justavisitor"...)
	if _, err := c.Write(hello); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, handshakeSize)); err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, c: c, told: make(chan int, 1000), got: make(chan pp.Message, 1000)}
	v.send(pp.Message{Type: pp.Extended, ExtendedID: pp.HandshakeExtendedID, ExtendedPayload: bencode.MustMarshal(pp.ExtendedHandshakeMessage{
		M: map[pp.ExtensionName]pp.ExtensionNumber{},
	})})
	v.send(pp.Message{Type: pp.HaveNone})
	v.send(pp.Message{Type: pp.Interested})
	go v.listen()
	return v
}

func (v *visitor) send(m pp.Message) {
	b, err := m.MarshalBinary()
	if err == nil {
		_, err = v.c.Write(b)
	}
	if err != nil {
		v.t.Error(err)
	}
}

func (v *visitor) listen() {
	d := pp.Decoder{R: bufio.NewReader(v.c), MaxLength: 1 << 20}
	for {
		var m pp.Message
		if err := d.Decode(&m); err != nil {
			close(v.told)
			close(v.got)
			return
		}
		switch {
		case m.Keepalive:
		case m.Type == pp.Have:
			v.told <- int(m.Index)
		case m.Type == pp.HaveAll, m.Type == pp.HaveNone, m.Type == pp.Bitfield, m.Type == pp.Piece:
			v.got <- m
		}
	}
}

// fetch asks for a piece and takes it whole.
func (v *visitor) fetch(bl blob, piece int) {
	v.t.Helper()
	length := min(256<<10, len(bl.data)-piece<<18)
	for off := 0; off < length; off += nodeChunk {
		v.send(pp.Message{Type: pp.Request, Index: pp.Integer(piece), Begin: pp.Integer(off), Length: nodeChunk})
		m := <-v.got
		if m.Type != pp.Piece || int(m.Index) != piece || int(m.Begin) != off {
			v.t.Fatalf("asked for piece %d at %d, got %v of %d at %d", piece, off, m.Type, m.Index, m.Begin)
		}
		if string(m.Piece) != string(bl.data[piece<<18+off:][:nodeChunk]) {
			v.t.Fatalf("piece %d at %d has other bytes", piece, off)
		}
	}
}

// Two visitors of a whole holder are told that it has nothing, and then of
// different pieces, one after another as they take them.
func TestSuperSeeding(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	// At this rate a visitor is told of one piece ahead.
	source := tn.node("source", func(c *Config) { c.Limits.Upload = 1 << 20 })
	bl := newBlob(t, 90, 4<<20) // 16 pieces
	source.shelf.put(bl.info, bl.source())
	seen := map[int]int{}
	visitors := []*visitor{tn.visit(t, source, bl.ih), tn.visit(t, source, bl.ih)}
	for _, v := range visitors {
		if m := <-v.got; m.Type != pp.HaveNone {
			t.Fatalf("the first word about pieces is %v", m.Type)
		}
	}
	for range 8 {
		for _, v := range visitors {
			piece := <-v.told
			seen[piece]++
			v.fetch(bl, piece)
			v.send(pp.Message{Type: pp.Have, Index: pp.Integer(piece)})
		}
	}
	for p := range 16 {
		if seen[p] != 1 {
			t.Errorf("piece %d was told to %d visitors before each was told to one", p, seen[p])
		}
	}
}

// A visitor that reads in order is told of what it waits for, and then of what follows.
func TestReadersAreToldInOrder(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	source := tn.node("source", func(c *Config) { c.Limits.Upload = 1 << 20 })
	bl := newBlob(t, 94, 4<<20) // 16 pieces
	source.shelf.put(bl.info, bl.source())
	v := tn.visit(t, source, bl.ih)
	if m := <-v.got; m.Type != pp.HaveNone {
		t.Fatalf("the first word about pieces is %v", m.Type)
	}
	take := func() int {
		piece := <-v.told
		v.fetch(bl, piece)
		v.send(pp.Message{Type: pp.Have, Index: pp.Integer(piece)})
		return piece
	}
	begin := take() // where the source begins
	waits := (begin + 8) % 16
	v.send(pp.Message{Type: pp.Suggest, Index: pp.Integer(waits)})
	for take() != waits { // what it had said before
	}
	for want := waits + 1; want < 16 && want != begin; want++ {
		if piece := take(); piece != want {
			t.Fatalf("told of piece %d instead of %d", piece, want)
		}
	}
}

// An ordinary client sees at once that all is there.
func TestOrdinaryClientsSeeAll(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	source := tn.node("source", func(c *Config) { c.Listen = "127.0.0.1:0" })
	bl := newBlob(t, 91, 1<<20)
	source.shelf.put(bl.info, bl.source())
	tn.settle("door", func(_ string, c net.Conn) {
		defer c.Close()
		if _, _, err := readPreamble(c); err != nil { // which ordinary clients do not send
			t.Error(err)
			return
		}
		out, err := net.Dial("tcp", source.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		go func() { _, _ = io.Copy(out, c) }()
		_, _ = io.Copy(c, out)
	})
	v := tn.visit(t, &resident{name: "door"}, bl.ih)
	if m := <-v.got; m.Type != pp.HaveAll && m.Type != pp.Bitfield {
		t.Errorf("the first word about pieces is %v", m.Type)
	}
}

// Who knows the source alone hears from it of the others, and they give to one
// another: together they take less from the source than each would by itself.
func TestIntroductions(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	card := func(peer string) []byte { return []byte("card of " + peer) }
	var mu sync.Mutex
	met := map[string]bool{}
	meet := func(peer string, c []byte) error {
		if string(c) != "card of "+peer {
			return fmt.Errorf("it came with %q", c)
		}
		mu.Lock()
		defer mu.Unlock()
		met[peer] = true
		return nil
	}
	with := func(c *Config) { c.Card, c.Meet, c.Limits.Upload = card, meet, 8<<20 }
	source := tn.node("source", with)
	bl := newBlob(t, 92, 12<<20)
	source.shelf.put(bl.info, bl.source())
	var wg sync.WaitGroup
	var between int64
	for i := range 4 {
		node := tn.node(fmt.Sprint("node", i), with)
		job := bl.job(t, "source")
		wg.Go(func() {
			res, err := node.Fetch(within(t, patience), job)
			if err != nil {
				t.Error(err)
				return
			}
			bl.check(t, job.Partial)
			mu.Lock()
			defer mu.Unlock()
			for from, n := range res.FromPeers {
				if from != "source" {
					between += n
				}
			}
		})
	}
	wg.Wait()
	delete(met, "source") // they tell each other of it, too
	if len(met) < 2 {
		t.Errorf("introduced besides the source: %v", met)
	}
	if sent := source.Stats().Sent; sent > 3*12<<20 || between == 0 {
		t.Errorf("the source sent %d bytes of %d to four nodes, who gave each other %d", sent, 12<<20, between)
	}
}

func TestBadIntroductions(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("d4:card0:2:id1:ae", maxIntroduced+1)
	for name, payload := range map[string]string{
		"nothing":    "",
		"no list":    "d5:peersi1ee",
		"too many":   "d5:peersl" + many + "ee",
		"an address": "d5:peersld4:card0:2:id11:127.0.0.1:1eee",
		"no id":      "d5:peersld4:card0:2:id0:eee",
		"long card":  fmt.Sprintf("d5:peersld4:card%d:%s2:id1:aeee", maxCardSize+1, strings.Repeat("x", maxCardSize+1)),
		"cut":        "d5:peersld4:card0:2:id1:ae",
	} {
		if got, err := parseIntroduction([]byte(payload)); err == nil {
			t.Errorf("%s: taken for %v", name, got)
		}
	}
	if got, err := parseIntroduction([]byte("d5:peersld4:card1:x2:id1:aeee")); err != nil || len(got) != 1 || got[0] != (introduced{"x", "a"}) {
		t.Errorf("a good one is %v, %v", got, err)
	}
}

func FuzzIntroduction(f *testing.F) {
	f.Add([]byte("d5:peersld4:card1:x2:id1:aeee"))
	f.Add([]byte("d5:peersle e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		peers, err := parseIntroduction(b)
		if err != nil {
			return
		}
		if len(peers) > maxIntroduced {
			t.Errorf("%d peers", len(peers))
		}
		for _, p := range peers {
			if !validPeer(p.ID) || len(p.Card) > maxCardSize {
				t.Errorf("took %q with a card of %d bytes", p.ID, len(p.Card))
			}
		}
	})
}

// A peer that leaves one chunk unanswered does not hold the fetch up while others
// send: it is cut off long before it counts as silent.
func TestNoPieceWaitsForOne(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	bob, alice := tn.node("bob", func(c *Config) { c.Stall = 2 * patience }), tn.node("alice")
	bl := newBlob(t, 93, 24<<20)
	alice.shelf.put(bl.info, bl.source())
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	lazy := &impostor{blob: bl}
	lazy.piece = func(index, begin, length int) []byte {
		if lazy.requests.Load() > 2 {
			<-stop
		}
		return lazy.truth(index, begin, length)
	}
	tn.settle("lazy", lazy.accept)
	job := bl.job(t, "lazy", "alice")
	if _, err := bob.Fetch(within(t, patience), job); err != nil {
		t.Fatal(err)
	}
	bl.check(t, job.Partial)
	if bob.seen.count("lazy", Timeout) != 0 {
		t.Error("who was slow counts as silent")
	}
}
