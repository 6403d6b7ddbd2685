package registry

import (
	"runtime"
	"sync"

	"github.com/dockchains/dockchain/node/kv"
)

// maxBatch bounds the changes that share a transaction.
const maxBatch = 64

// batcher lets changes that come at the same time share one transaction, for it
// is the sync that takes the time. There is no goroutine of its own: the first to
// come writes, and those who come while it writes form the next batch, which one
// of them writes.
type batcher struct {
	bucket kv.Bucket

	mu      sync.Mutex
	waiting []*change
	busy    bool // somebody writes
}

// change is one of a batch on its way.
type change struct {
	do   func(kv.Txn) error
	err  error
	turn chan bool // true: it is written, or failed with err; false: you write the next batch
}

// update returns when what do wrote is durable. A do that returns an error must
// not have written anything before: others share its transaction. It may be called
// twice.
func (b *batcher) update(do func(kv.Txn) error) error {
	c := &change{do: do, turn: make(chan bool, 1)}
	b.mu.Lock()
	b.waiting = append(b.waiting, c)
	lead := !b.busy
	b.busy = true
	b.mu.Unlock()
	if lead || !<-c.turn {
		b.lead(c)
	}
	return c.err
}

// lead writes one batch, which c is the first of, and hands over.
func (b *batcher) lead(c *change) {
	runtime.Gosched() // those the last batch woke come along, instead of waiting for a batch of one
	b.mu.Lock()
	n := min(len(b.waiting), maxBatch)
	batch := append([]*change(nil), b.waiting[:n]...)
	b.waiting = append([]*change(nil), b.waiting[n:]...)
	b.mu.Unlock()

	b.write(batch)
	for _, other := range batch {
		if other != c {
			other.turn <- true
		}
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 {
		b.waiting[0].turn <- false
		return
	}
	b.busy = false
}

// write writes a batch and sets the err of each. When the whole does not go, as
// when it is too big for one transaction, each goes by itself.
func (b *batcher) write(batch []*change) {
	failed := b.bucket.Update(func(tx kv.Txn) error {
		for _, c := range batch {
			c.err = c.do(tx)
		}
		return nil
	})
	if failed == nil {
		return
	}
	for _, c := range batch {
		c.err = failed
		if len(batch) > 1 {
			c.err = b.bucket.Update(c.do)
		}
	}
}
