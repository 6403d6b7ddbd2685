package main

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

// A Scenario is what is played. Rates are bytes a second, sizes bytes.
type Scenario struct {
	Nodes   int
	Size    int64
	Piece   int64
	Chunk   int64   // of one request
	Source  float64 // what the source may send
	Uplinks []float64
	// RoundTrip is that of any two.
	RoundTrip time.Duration
	// Depth is how many requests a connection has under way.
	Depth int
	// Super has the source announce pieces by the rules of package superseed;
	// without, it shows all of them to everybody.
	Super bool
	// Whole has a sender serve a connection until the piece is whole before the
	// next one's turn; without, connections have turns chunk by chunk.
	Whole bool
	// Verify is how long a piece takes from its last byte to its announcement.
	Verify time.Duration
	// Arrivals is the time over which the nodes come, evenly; 0 is all at once.
	Arrivals time.Duration
	// Frozen is the share of the nodes that stop for good after a third of the
	// ideal time, Liars the share that say they have everything and send garbage
	// until they are found out.
	Frozen, Liars float64
	Seed          uint64
}

const (
	// Connections, as p2p/swarm has them: how many a node seeks, and has at most.
	wantConns = 30
	maxConns  = 50
	// stealGrace and nudgeEvery are p2p/swarm's too.
	stealGrace = 300 * time.Millisecond
	nudgeEvery = 200 * time.Millisecond
	// patience bounds a play, in virtual time.
	patience = time.Hour
)

// Usual is the scenario that is measured with real nodes: 256 MiB in pieces of 1
// MiB, 50 MB/s for everybody.
func Usual(nodes int) Scenario {
	return Scenario{
		Nodes: nodes, Size: 256 << 20, Piece: 1 << 20, Chunk: 256 << 10, Source: 50e6, Uplinks: []float64{50e6},
		Depth: 4, Super: true, Verify: 2 * time.Millisecond, Seed: 1,
	}
}

// Ideal is the least time in which all could have all of it.
func (s Scenario) Ideal() time.Duration {
	sum := s.Source
	for i := range s.Nodes {
		sum += s.Uplinks[i%len(s.Uplinks)]
	}
	return time.Duration(float64(s.Size) / min(s.Source, sum/float64(s.Nodes)) * 1e9)
}

// node is the source, number 0, or one of the others.
type node struct {
	up     float64
	have   []uint64 // verified, by piece
	shown  []uint64 // announced to neighbours
	full   []uint64 // every chunk is here or asked for
	avail  []int16  // neighbours that have announced the piece
	perm   []uint16 // what decides between pieces that are equally rare
	got    []uint64 // by piece: chunks that arrived
	asked  []uint64 // by piece: chunks asked for
	bad    map[int32][]int32
	count  int
	in     []int32 // links by which it receives
	out    []int32 // links by which it sends
	ready  []int32 // of those, the ones with requests waiting, by turns
	busy   bool
	joined time.Duration
	done   time.Duration // 0: not yet
	last   time.Duration // that a chunk arrived

	frozen, liar           bool
	sent, received, wasted int64
}

// link is one direction of a connection.
type link struct {
	up, down int32
	reqs     []request // asked for and not arrived
	queue    []request // at the sender, waiting
	queued   bool
	dead     bool
	shown    []uint64 // by the source, where it shows less than it has
	visitor  *superseed.Visitor
	piece    int32         // of the last chunk sent
	useful   time.Duration // last chunk that arrived
}

type request struct {
	piece, chunk int32
	at           time.Duration
}

func (r request) same(o request) bool { return r.piece == o.piece && r.chunk == o.chunk }

// world is a play.
type world struct {
	Scenario
	pieces, words int
	now           time.Duration
	events        heap
	nodes         []node
	links         []link
	seeder        *superseed.Seeder
	waiting       []int32 // nodes that the source had no place for
	visitors      int
	left          int // nodes that are to finish
	random        *rand.Rand
	picked        []candidate
}

func newWorld(s Scenario) *world {
	w := &world{Scenario: s, random: rand.New(rand.NewPCG(s.Seed, 17))}
	w.pieces = int((s.Size + s.Piece - 1) / s.Piece)
	w.words = (w.pieces + 63) / 64
	w.nodes = make([]node, s.Nodes+1)
	for i := range w.nodes {
		n := &w.nodes[i]
		n.shown, n.have = make([]uint64, w.words), make([]uint64, w.words)
		if i == 0 {
			n.up = s.Source
			w.fill(n.have)
			continue
		}
		n.up = s.Uplinks[(i-1)%len(s.Uplinks)]
		n.full = make([]uint64, w.words)
		n.avail, n.perm = make([]int16, w.pieces), make([]uint16, w.pieces)
		n.got, n.asked = make([]uint64, w.pieces), make([]uint64, w.pieces)
		for p, q := range w.random.Perm(w.pieces) {
			n.perm[p] = uint16(q)
		}
		n.joined = s.Arrivals * time.Duration(i-1) / time.Duration(max(s.Nodes, 1))
	}
	w.seeder = superseed.New(superseed.Shape{Pieces: w.pieces, PieceLength: s.Piece, Size: s.Size}, w.random.IntN(w.pieces))
	w.appoint()
	w.connect()
	return w
}

// appoint chooses who freezes and who lies.
func (w *world) appoint() {
	order := w.random.Perm(w.Nodes)
	frozen, liars := int(w.Frozen*float64(w.Nodes)), int(w.Liars*float64(w.Nodes))
	for k, i := range order {
		n := &w.nodes[i+1]
		switch {
		case k < frozen:
			w.push(event{at: w.Ideal() / 3, kind: freezes, a: int32(i + 1)})
		case k < frozen+liars:
			n.liar = true
			w.fill(n.have)
			w.fill(n.shown)
		default:
			w.left++
		}
	}
}

// connect has every node seek others at random among those who have come, and
// then the source, which has place for some.
func (w *world) connect() {
	type pair struct{ a, b int32 }
	known := map[pair]bool{}
	degree := make([]int, w.Nodes+1)
	for i := 1; i <= w.Nodes; i++ {
		there := i // with arrivals one after another: those before
		if w.Arrivals == 0 {
			there = w.Nodes
		}
		for range 20 * wantConns {
			j := 1 + w.random.IntN(there)
			p := pair{int32(min(i, j)), int32(max(i, j))}
			if degree[i] >= min(wantConns, w.Nodes-1) {
				break
			}
			if i == j || degree[j] >= maxConns || known[p] {
				continue
			}
			known[p] = true
			degree[i]++
			degree[j]++
			w.push(event{at: max(w.nodes[i].joined, w.nodes[j].joined), kind: connects, a: p.a, b: p.b})
		}
		w.push(event{at: w.nodes[i].joined, kind: arrives, a: int32(i)})
	}
}

func (w *world) fill(set []uint64) {
	for p := range w.pieces {
		set[p/64] |= 1 << (p % 64)
	}
}

func has(set []uint64, p int32) bool { return set[p/64]&(1<<(p%64)) != 0 }

func count(set []uint64) int {
	n := 0
	for _, x := range set {
		n += bits.OnesCount64(x)
	}
	return n
}

func (w *world) length(piece int32) int64 {
	return min(w.Piece, w.Size-int64(piece)*w.Piece)
}

func (w *world) chunks(piece int32) int32 {
	return int32((w.length(piece) + w.Chunk - 1) / w.Chunk)
}

func (w *world) chunkLength(r request) int64 {
	return min(w.Chunk, w.length(r.piece)-int64(r.chunk)*w.Chunk)
}

func (w *world) clock() time.Time { return time.Unix(0, int64(w.now)) }

// Result is how a play ended.
type Result struct {
	Scenario
	Times  []time.Duration // of each node that finished, from its arrival, sorted
	Last   time.Duration   // when the last had finished, from the beginning
	Copies float64         // sent by the source
	Wasted float64         // of what was received, as a share
	Sent   int64           // by all
	Got    int64           // by all
	Events int
}

// Ratio is a quantile of the nodes' times against the ideal one.
func (r Result) Ratio(q float64) float64 {
	i := min(int(q*float64(len(r.Times))), len(r.Times)-1)
	return float64(r.Times[i]) / float64(r.Ideal())
}

// Play runs a scenario to its end.
func Play(s Scenario) (Result, error) { return newWorld(s).play() }

// drain lets what is under way arrive.
func (w *world) drain() {
	for _, e := range w.events {
		if e.kind == delivers {
			w.now = max(w.now, e.at)
			w.deliver(e.a, request{piece: e.piece, chunk: e.chunk})
		}
	}
}

func (w *world) play() (Result, error) {
	s := w.Scenario
	w.push(event{kind: ticks})
	n := 0
	for ; w.left > 0; n++ {
		e, ok := w.events.pop()
		if !ok || e.at > patience {
			return Result{}, fmt.Errorf("%d of %d nodes are not done at %s", w.left, s.Nodes, w.now)
		}
		w.now = e.at
		w.happen(e)
	}
	r := Result{Scenario: s, Events: n}
	for i := range w.nodes {
		nd := &w.nodes[i]
		r.Sent += nd.sent
		r.Got += nd.received
		r.Wasted += float64(nd.wasted)
		if i > 0 && nd.done > 0 {
			r.Times = append(r.Times, nd.done-nd.joined)
			r.Last = max(r.Last, nd.done)
		}
	}
	slices.Sort(r.Times)
	r.Copies = float64(w.nodes[0].sent) / float64(s.Size)
	r.Wasted /= float64(r.Got)
	return r, nil
}

// Validate says what of a scenario makes no sense.
func (s Scenario) Validate() error {
	switch {
	case s.Size < 1 || s.Piece < 1 || s.Chunk < 1 || s.Chunk > s.Piece || (s.Piece+s.Chunk-1)/s.Chunk > 63:
		return errors.New("size, piece and chunk do not go together: at most 63 chunks are a piece")
	case (s.Size+s.Piece-1)/s.Piece > 1<<16:
		return errors.New("more than 65536 pieces")
	case s.Source <= 0 || s.Depth < 1 || s.RoundTrip < 0 || s.Arrivals < 0:
		return errors.New("source and depth must be positive, times not negative")
	case s.Frozen < 0 || s.Liars < 0 || s.Frozen+s.Liars >= 1:
		return errors.New("frozen and liars are shares of the nodes, and some must be left")
	}
	return nil
}
