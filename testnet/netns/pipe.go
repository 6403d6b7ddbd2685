package netns

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Link is what a place's way to the internet is like, the same in both directions.
type Link struct {
	// Delay that each packet takes, one way.
	Delay time.Duration
	// Loss is the share of packets that vanish, from 0 to 1.
	Loss float64
	// Rate in bytes a second. 0 is no limit.
	Rate float64
	// MTU is how long a packet may be, in bytes, when the place is made. Default: 1500.
	MTU int
	// Queue is how many bytes may wait for the rate, more are dropped. Default: as
	// much as the rate moves in 50 ms, at least 64 KiB.
	Queue int
}

func (l Link) queue() float64 {
	if l.Queue > 0 {
		return float64(l.Queue)
	}
	return max(l.Rate/20, 64<<10)
}

func (l Link) mtu() int {
	if l.MTU > 0 {
		return min(l.MTU, maxPacket)
	}
	return 1500
}

// maxPacket is how long a packet of IPv4 may be.
const maxPacket = 1<<16 - 1

// A pipe is one direction of a link. It hands packets on in the order they came.
type pipe struct {
	next func([]byte)

	mu   sync.Mutex
	link Link
	cut  bool
	rnd  *rand.Rand
	free time.Time // when the last packet will have left
	wake chan struct{}
	list []parcel
	sent uint64 // bytes handed on
	lost uint64 // packets that did not make it
}

type parcel struct {
	due  time.Time
	data []byte
}

func newPipe(link Link, seed uint64, next func([]byte)) *pipe {
	return &pipe{next: next, link: link, rnd: rand.New(rand.NewPCG(seed, 1)), wake: make(chan struct{}, 1)}
}

func (p *pipe) set(l Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link = l
}

// close cuts the pipe, or opens it again.
func (p *pipe) close(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
}

// put takes a packet, which is the pipe's from then on.
func (p *pipe) put(data []byte, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut || p.link.Loss > 0 && p.rnd.Float64() < p.link.Loss {
		p.lost++
		return
	}
	leaves := now
	if p.link.Rate > 0 {
		start := p.free
		if start.Before(now) {
			start = now
		}
		if start.Sub(now).Seconds()*p.link.Rate > p.link.queue() {
			p.lost++
			return
		}
		leaves = start.Add(time.Duration(float64(len(data)) / p.link.Rate * float64(time.Second)))
		p.free = leaves
	}
	p.list = append(p.list, parcel{leaves.Add(p.link.Delay), data})
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run hands packets on when their time has come, until done is closed.
func (p *pipe) run(done <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := p.deliver(time.Now())
		timer.Reset(wait)
		select {
		case <-done:
			return
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// deliver hands on what is due and returns the time until the next is.
func (p *pipe) deliver(now time.Time) time.Duration {
	for {
		p.mu.Lock()
		if len(p.list) == 0 {
			p.list = nil
			p.mu.Unlock()
			return time.Hour
		}
		first := p.list[0]
		if wait := first.due.Sub(now); wait > 0 {
			p.mu.Unlock()
			return wait
		}
		p.list = p.list[1:]
		cut := p.cut
		if !cut {
			p.sent += uint64(len(first.data))
		}
		p.mu.Unlock()
		if !cut {
			p.next(first.data)
		}
	}
}
