package swarm

import (
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

// shares is the extension (BEP 10) by which a node that downloads, and gives what it
// has, says that it asks ordinary clients that have everything for its share of the
// pieces first. No message belongs to it.
const shares pp.ExtensionName = "dc_share"

// A company is the fellows of a fetch, who say so too, and the ordinary clients that
// they share.
type company struct {
	mu      sync.Mutex
	share   *superseed.Share // nil before the info dict is here, and in the end
	ended   bool
	fellows map[*torrent.PeerConn]*fellow
	byID    map[string]*fellow // by peer id of the handshake
	sources map[*inlet]hidden
}

// A fellow may have several connections for a moment.
type fellow struct {
	id                string
	conns             int
	*superseed.Fellow // nil before there is a share
}

// hidden is what an ordinary client said that it has.
type hidden struct {
	pieces int // so many from the first; 0 is all
	source *superseed.Source
}

func newCompany() *company {
	return &company{fellows: map[*torrent.PeerConn]*fellow{}, byID: map[string]*fellow{}, sources: map[*inlet]hidden{}}
}

// begin shares out the pieces of a torrent. The client's lock is not held.
func (c *company) begin(l *layout, me string) {
	c.mu.Lock()
	now := time.Now()
	shape := superseed.Shape{Pieces: l.numPieces(), PieceLength: l.pieceLen, Size: l.size}
	c.share = superseed.NewShare(shape, me, now)
	var early []*torrent.PeerConn
	for id, f := range c.byID {
		f.Fellow = c.share.Meet(id)
	}
	for pc := range c.fellows {
		early = append(early, pc)
	}
	for in, h := range c.sources {
		c.open(in, h, now)
	}
	c.mu.Unlock()
	for _, pc := range early {
		has := pc.PeerPieces()
		c.mu.Lock()
		if f := c.fellows[pc]; f != nil {
			for it := has.Iterator(); it.HasNext(); {
				f.Has(int(it.Next()))
			}
		}
		c.mu.Unlock()
	}
}

// end lets all of them go.
func (c *company) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.share, c.ended = nil, true
	clear(c.fellows)
	clear(c.byID)
	clear(c.sources)
}

// open has the library told of what a client has. The caller holds mu.
func (c *company) open(in *inlet, h hidden, now time.Time) {
	if h.pieces > 0 && h.pieces < c.share.Pieces() {
		for p := range h.pieces {
			in.queue(p)
		}
		return
	}
	h.source = c.share.Open(now, in.queue)
	c.sources[in] = h
}

// joins takes a fellow in.
func (c *company) joins(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, met := c.fellows[pc]; met || c.ended {
		return
	}
	id := string(pc.PeerID[:])
	f := c.byID[id]
	if f == nil {
		f = &fellow{id: id}
		c.byID[id] = f
		if c.share != nil {
			f.Fellow = c.share.Meet(id)
		}
	}
	f.conns++
	c.fellows[pc] = f
}

func (c *company) leaves(pc *torrent.PeerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fellows[pc]
	if f == nil {
		return
	}
	delete(c.fellows, pc)
	if f.conns--; f.conns > 0 {
		return
	}
	delete(c.byID, f.id)
	if f.Fellow != nil {
		f.Leave(time.Now())
	}
}

// heard sees what peers say that they have. Of an ordinary client that has everything
// the library learns that it has nothing.
func (c *company) heard(pc *torrent.PeerConn, m *pp.Message, in *inlet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.fellows[pc]; f != nil {
		if f.Fellow != nil {
			hears(f.Fellow, m)
		}
		return
	}
	if c.ended || in == nil {
		return
	}
	h := hidden{}
	switch m.Type {
	case pp.HaveAll:
	case pp.Bitfield:
		if h.pieces = allOf(m.Bitfield); h.pieces == 0 || c.share != nil && h.pieces < c.share.Pieces() {
			return
		}
	default:
		return
	}
	if !in.hide(c) {
		return
	}
	if m.Type == pp.HaveAll {
		m.Type = pp.HaveNone
	}
	clear(m.Bitfield)
	c.sources[in] = h
	if c.share != nil {
		c.open(in, h, time.Now())
	}
}

func hears(f *superseed.Fellow, m *pp.Message) {
	switch m.Type {
	case pp.Have:
		f.Has(int(m.Index))
	case pp.HaveAll:
		f.HasAll()
	case pp.Bitfield:
		for i, has := range m.Bitfield {
			if has {
				f.Has(i)
			}
		}
	}
}

// allOf is how many pieces a bitfield has that may be whole: one without gaps, but for
// the spare bits at its end. Else 0.
func allOf(bits []bool) int {
	n := len(bits)
	for n > 0 && !bits[n-1] {
		n--
	}
	if len(bits)-n > 7 {
		return 0
	}
	for _, b := range bits[:n] {
		if !b {
			return 0
		}
	}
	return n
}

func (c *company) received(in *inlet, piece int, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if src := c.sources[in].source; src != nil {
		src.Received(piece, n, time.Now())
	}
}

func (c *company) closed(in *inlet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if src := c.sources[in].source; src != nil {
		src.Leave(time.Now())
	}
	delete(c.sources, in)
}

// tell lets the share know something, if there is one.
func (c *company) tell(f func(s *superseed.Share, now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.share != nil {
		f(c.share, time.Now())
	}
}

// shares says whether this node gives of what it fetches.
func (f *fetch) shares() bool {
	f.company.mu.Lock()
	defer f.company.mu.Unlock()
	return !f.job.TakeOnly && !f.company.ended
}
