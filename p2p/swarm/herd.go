package swarm

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/dockchains/dockchain/p2p/swarm/superseed"
)

// A herd is the visitors of a torrent that is whole here, and what each of them is
// let know of it.
type herd struct {
	ih     Infohash
	mu     sync.Mutex // guards seeder, and the visitors it knows
	seeder *superseed.Seeder
	done   chan struct{} // closed when the last visitor left
	count  int           // guarded by herds.mu
}

// herds are those of a swarm, by torrent.
type herds struct {
	mu sync.Mutex
	of map[Infohash]*herd
}

// join takes a visitor into a torrent's herd, which it may be the first of.
func (hs *herds) join(ih Infohash, shape superseed.Shape, tell func(piece int)) (*herd, *superseed.Visitor) {
	hs.mu.Lock()
	h := hs.of[ih]
	if h == nil {
		if hs.of == nil {
			hs.of = map[Infohash]*herd{}
		}
		h = &herd{ih: ih, seeder: superseed.New(shape, rand.IntN(max(shape.Pieces, 1))), done: make(chan struct{})}
		hs.of[ih] = h
		go h.tick()
	}
	h.count++
	hs.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h, h.seeder.Join(time.Now(), tell)
}

func (hs *herds) leave(h *herd, v *superseed.Visitor) {
	h.mu.Lock()
	v.Leave(time.Now())
	h.mu.Unlock()
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h.count--; h.count == 0 {
		delete(hs.of, h.ih)
		close(h.done)
	}
}

func (h *herd) tick() {
	t := time.NewTicker(superseed.TickEvery)
	defer t.Stop()
	for {
		select {
		case <-h.done:
			return
		case now := <-t.C:
			h.mu.Lock()
			h.seeder.Tick(now)
			h.mu.Unlock()
		}
	}
}
