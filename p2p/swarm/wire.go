package swarm

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

const (
	haveSize = 9
	// haveDelay is how long a message that tells of a piece waits for others.
	haveDelay = 10 * time.Millisecond
	// oneWrite bounds what is copied to go out together with such messages, in bytes.
	oneWrite = 16 << 10
)

// A wire is a stream to a peer of ours as the library sees it. It follows what
// passes in both directions, and puts in a few words of its own between two
// messages, which no other program could tell from the library's:
//
//   - Where the library announces a whole torrent, the peer is told that there is
//     nothing, and then of one piece after another, as package superseed says.
//   - A peer whose preamble says so reads the content from its beginning while it comes;
//     one that suggests a piece to a whole holder waits for that piece next. It is told
//     of pieces in that order, as far as others were not.
//   - When a peer has sent most of what was asked for, the library reads a
//     "suggest piece" (BEP 6), which has it ask for more. By itself it asks for
//     more only when the peer owes nothing any more: a round trip lost each time.
//   - Messages that announce pieces wait a few milliseconds for one another: in a
//     large herd they would be most of all packets.
type wire struct {
	conn
	s    *Swarm
	addr peerAddr
	in   *frameGuard
	flow *flow
	// choked says that the peer does not let itself be asked, as at first.
	choked atomic.Bool

	reading atomic.Int64 // 1 more than the piece that the peer was told is read next here
	// Of the reading side, which is one goroutine.
	inject []byte // for the library to read, between two messages

	// wmu is held while something is written. It guards out, passed and decided,
	// and may be held when herd.mu is taken, not the other way round.
	wmu     sync.Mutex
	out     frameScanner
	passed  []passage // pieces' bytes in the portion being written
	whole   []byte    // the byte that announces the whole torrent, in that portion
	decided bool      // what the peer is told of has been settled

	// mu guards what follows.
	mu      sync.Mutex
	herd    *herd // nil unless the peer is told of pieces one after another
	visitor *superseed.Visitor
	reader  int    // the piece that somebody waits for there, -1 for none
	haves   []byte // messages that tell of pieces, not written yet
	closed  bool

	wake chan struct{} // there are haves
	done chan struct{} // closed by Close
}

// A passage is some bytes of a piece that were sent.
type passage struct {
	piece int
	n     int64
}

// newWire wraps a stream whose preamble has passed.
func (s *Swarm) newWire(c net.Conn, addr peerAddr) *wire {
	w := &wire{s: s, addr: addr, flow: newFlow(), reader: -1, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.in = s.guard(c, addr)
	w.in.message, w.in.data = w.heard, w.arrived
	w.out.message, w.out.data = w.said, w.sent
	w.out.begun = w.saying
	w.conn = conn{Conn: c, r: w.in, remote: addr}
	w.choked.Store(true)
	s.wires.add(addr, w)
	go w.announce()
	return w
}

// Read gives the library what came, and between two messages what is put in.
func (w *wire) Read(b []byte) (int, error) {
	if len(w.inject) > 0 {
		if w.in.between() {
			n := copy(b, w.inject)
			w.inject = w.inject[n:]
			return n, nil
		}
		if left := w.in.left(); left < len(b) {
			b = b[:left] // so that the end of the message is the end of the portion
		}
	}
	return w.in.Read(b)
}

// heard is told of the peer's messages.
func (w *wire) heard(kind int, body []byte) {
	now := time.Now()
	switch kind {
	case framePiece:
		if w.flow.begins(requestOf(body), now) {
			w.inject = append(w.inject[:0], 0, 0, 0, 5, frameSuggest, body[0], body[1], body[2], body[3])
		}
	case frameChoke:
		w.choked.Store(true)
	case frameUnchoke:
		w.choked.Store(false)
	case frameSuggest:
		if len(body) == 4 {
			piece := int(binary.BigEndian.Uint32(body))
			w.mu.Lock()
			w.reader = piece
			w.mu.Unlock()
			w.tellHerd(func(v *superseed.Visitor) { v.Reads(piece, now) })
		}
	case frameReject:
		w.flow.ended(requestOf(body))
	case frameHave, frameBitfield, frameHaveAll, frameRequest:
		w.tellHerd(func(v *superseed.Visitor) { listen(v, kind, body, now) })
	}
}

func listen(v *superseed.Visitor, kind int, body []byte, now time.Time) {
	switch kind {
	case frameHave:
		v.Has(int(binary.BigEndian.Uint32(body)), now)
	case frameRequest:
		v.Asked(int(binary.BigEndian.Uint32(body)), now)
	case frameHaveAll:
		v.HasAll(now)
	case frameBitfield:
		for i, b := range body {
			for j := range 8 {
				if b&(0x80>>j) != 0 {
					v.Has(8*i+j, now)
				}
			}
		}
	}
}

func (w *wire) arrived(_ int, n int) { w.flow.came(int64(n), time.Now()) }

// tellHerd lets the visitor know, if the peer is one.
func (w *wire) tellHerd(f func(v *superseed.Visitor)) {
	w.mu.Lock()
	h, v := w.herd, w.visitor
	w.mu.Unlock()
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f(v)
}

// saying sees the type of each message that is written.
func (w *wire) saying(at []byte) {
	if !w.decided && (at[0] == frameHaveAll || at[0] == frameHaveNone || at[0] == frameBitfield) {
		w.decided = true
		if at[0] == frameHaveAll {
			w.whole = at[:1]
		}
	}
}

// said sees the messages that are written.
func (w *wire) said(kind int, body []byte) {
	if kind == frameRequest && len(body) == 12 {
		w.flow.asked(requestOf(body), int64(binary.BigEndian.Uint32(body[8:])), time.Now())
	}
}

func (w *wire) sent(piece int, n int) {
	if last := len(w.passed) - 1; last >= 0 && w.passed[last].piece == piece {
		w.passed[last].n += int64(n)
		return
	}
	w.passed = append(w.passed, passage{piece, int64(n)})
}

// Write sends what the library says.
func (w *wire) Write(b []byte) (int, error) {
	w.wmu.Lock()
	defer w.wmu.Unlock()
	if w.out.between() && onlyHaves(b) && w.decided {
		w.out.scan(b)
		w.queue(b)
		return len(b), nil
	}
	n := len(b)
	if !w.decided {
		b = bytes.Clone(b) // what it says may be changed
	}
	switch haves := w.takeHaves(); {
	case len(haves) == 0:
	case n <= oneWrite:
		b = append(haves, b...)
	default:
		if _, err := w.Conn.Write(haves); err != nil {
			return 0, err
		}
	}
	w.passed = w.passed[:0]
	w.out.scan(b[len(b)-n:])
	var shape superseed.Shape
	hide := false
	if w.whole != nil {
		if shape, hide = w.s.shapeOf(w.addr.ih); hide {
			w.whole[0] = frameHaveNone
		}
		w.whole = nil
	}
	if _, err := w.Conn.Write(b); err != nil {
		return 0, err
	}
	if hide {
		w.enrol(shape)
	}
	if len(w.passed) > 0 {
		now := time.Now()
		w.tellHerd(func(v *superseed.Visitor) {
			for _, p := range w.passed {
				v.Sent(p.piece, p.n, now)
			}
		})
	}
	return n, nil
}

// enrol makes the peer a visitor of the torrent's herd.
func (w *wire) enrol(shape superseed.Shape) {
	h, v := w.s.herds.join(w.addr.ih, shape, w.tell)
	w.mu.Lock()
	closed, reader := w.closed, w.reader
	if !closed {
		w.herd, w.visitor = h, v
	}
	w.mu.Unlock()
	if reader >= 0 {
		w.tellHerd(func(v *superseed.Visitor) { v.Reads(reader, time.Now()) })
	}
	if closed {
		w.s.herds.leave(h, v)
		return
	}
}

// tell has the peer hear of a piece. The herd's lock is held.
func (w *wire) tell(piece int) {
	w.queue(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 5, frameHave}, uint32(piece)))
}

// reads tells the peer which piece is waited for here. A node that super-seeds
// understands a suggestion from its visitor so.
func (w *wire) reads(piece int) {
	if w.reading.Swap(int64(piece)+1) != int64(piece)+1 {
		w.queue(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 5, frameSuggest}, uint32(piece)))
	}
}

// queue has messages that tell of pieces written before long. They are many and
// short, and wait a moment for others, or for the next piece.
func (w *wire) queue(b []byte) {
	w.mu.Lock()
	w.haves = append(w.haves, b...)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// onlyHaves says whether a portion of whole messages tells of pieces and no more.
func onlyHaves(b []byte) bool {
	if len(b) == 0 || len(b)%haveSize != 0 {
		return false
	}
	for ; len(b) > 0; b = b[haveSize:] {
		if [5]byte(b) != [5]byte{0, 0, 0, 5, frameHave} {
			return false
		}
	}
	return true
}

// announce writes what the peer is to hear while the library writes nothing.
func (w *wire) announce() {
	pause := time.NewTimer(haveDelay)
	defer pause.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-w.wake:
		}
		pause.Reset(haveDelay)
		select {
		case <-w.done:
			return
		case <-pause.C:
		}
		w.wmu.Lock()
		b := w.takeHaves()
		var err error
		if len(b) > 0 {
			_, err = w.Conn.Write(b)
		}
		w.wmu.Unlock()
		if err != nil {
			_ = w.Close()
			return
		}
	}
}

// takeHaves are the messages that the peer is to hear now: none while one is half
// written. The caller holds wmu.
func (w *wire) takeHaves() []byte {
	if !w.out.between() {
		return nil // the library's next write comes soon
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	haves := w.haves
	w.haves = nil
	return haves
}

// Close ends the connection.
func (w *wire) Close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	h, v := w.herd, w.visitor
	w.mu.Unlock()
	if !again {
		close(w.done)
		if h != nil {
			w.s.herds.leave(h, v)
		}
		w.s.wires.remove(w.addr, w)
	}
	return w.conn.Close()
}

// shapeOf is the pieces of a torrent that is loaded.
func (s *Swarm) shapeOf(ih Infohash) (superseed.Shape, bool) {
	s.mu.Lock()
	e := s.open[ih]
	s.mu.Unlock()
	if e == nil {
		return superseed.Shape{}, false
	}
	info := e.t.Info()
	if info == nil || info.NumPieces() == 0 {
		return superseed.Shape{}, false
	}
	return superseed.Shape{Pieces: info.NumPieces(), PieceLength: info.PieceLength, Size: info.TotalLength()}, true
}
