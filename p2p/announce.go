package p2p

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	maxPlanned       = 1 << 20
	maxAnnouncing    = 4 // at once
	announceTimeout  = time.Minute
	announceInterval = 5 * time.Second // the plan is looked through at most this often
	firstRetry       = 5 * time.Second
	lastRetry        = 10 * time.Minute
)

// staleValue is how kad-dht refuses a value older than the one it keeps.
const staleValue = "can't replace a newer value with an older value"

// announcement is one record that this node keeps in the DHT.
type announcement struct {
	key   string
	value []byte // nil: a provider record
	next  time.Time
	table int // size of the routing table when last announced
	fails int
	busy  bool
}

// announcements is what this node keeps in the DHT, in memory only.
type announcements struct {
	mu    sync.Mutex
	items map[string]*announcement // by "p" or "v" and key
}

func newAnnouncements() *announcements {
	return &announcements{items: map[string]*announcement{}}
}

func (p *announcements) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.items)
}

// forget removes this announcement, unless a newer one took its place.
func (p *announcements) forget(a *announcement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := planID(a.key, a.value != nil); p.items[id] == a {
		delete(p.items, id)
	}
}

func planID(key string, isValue bool) string {
	if isValue {
		return "v" + key
	}
	return "p" + key
}

// add plans an announcement, which the caller tries at once (busy is set).
func (p *announcements) add(key string, value []byte) (*announcement, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := planID(key, value != nil)
	if _, ok := p.items[id]; !ok && len(p.items) >= maxPlanned {
		return nil, fmt.Errorf("%w: %d records announced already", ErrTooLarge, maxPlanned)
	}
	a := &announcement{key: key, value: value, busy: true}
	p.items[id] = a
	return a, nil
}

func (p *announcements) remove(key string, isValue bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.items, planID(key, isValue))
}

// due takes up to n announcements whose time has come, or for which the routing
// table has doubled since: the peers that should hold them are others now.
func (p *announcements) due(now time.Time, table, n int) []*announcement {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*announcement
	for _, a := range p.items {
		if len(out) == n {
			break
		}
		grown := table >= 2*a.table && table > a.table
		if !a.busy && (grown || !now.Before(a.next)) {
			a.busy = true
			out = append(out, a)
		}
	}
	return out
}

// done records an attempt. Times are spread by a tenth, so that what was
// published together is not announced together for ever.
func (p *announcements) done(a *announcement, err error, now time.Time, table int, every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.busy, a.table = false, table
	if err == nil {
		a.fails = 0
		a.next = now.Add(every - rand.N(every/10+1))
		return
	}
	a.next = now.Add(min(firstRetry<<min(a.fails, 10), lastRetry))
	a.fails++
}

// Provide tells the DHT that this node holds what the key stands for, and keeps
// telling it until StopProvide or Close; nothing of this survives a restart. An
// error means that the first attempt failed (ErrNoPeers when the node is alone);
// it is tried again all the same.
func (h *Host) Provide(ctx context.Context, key []byte) error {
	a, err := h.plan.add(string(key), nil)
	if err != nil {
		return fmt.Errorf("announcing provider: %w", err)
	}
	return h.attempt(ctx, a)
}

// StopProvide stops announcing a key. Records that peers hold run out by
// themselves within two days.
func (h *Host) StopProvide(key []byte) { h.plan.remove(string(key), false) }

// PutValue puts a record into the DHT and keeps it there like Provide does. A
// value that the validator refuses (its error), or that is older than the one
// this node knows (ErrStale), is not kept.
func (h *Host) PutValue(ctx context.Context, key string, value []byte) error {
	if err := h.records.Validate(key, value); err != nil {
		return fmt.Errorf("putting record: %w", err)
	}
	a, err := h.plan.add(key, append(make([]byte, 0, len(value)), value...))
	if err != nil {
		return fmt.Errorf("putting record: %w", err)
	}
	return h.attempt(ctx, a)
}

// StopValue stops keeping a record in the DHT.
func (h *Host) StopValue(key string) { h.plan.remove(key, true) }

// attempt announces once and plans the next time.
func (h *Host) attempt(ctx context.Context, a *announcement) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	table := h.dht.RoutingTable().Size()
	err := h.put(ctx, a)
	switch {
	case err != nil && err.Error() == staleValue:
		err = ErrStale
		h.plan.forget(a)
	case err != nil && table == 0:
		err = ErrNoPeers
	}
	h.plan.done(a, err, time.Now(), table, h.cfg.Reannounce)
	if err != nil {
		h.stats.announceFailed.Add(1)
		return fmt.Errorf("announcing: %w", oneLine(err))
	}
	h.stats.announced.Add(1)
	return nil
}

func (h *Host) put(ctx context.Context, a *announcement) error {
	if a.value != nil {
		return h.dht.PutValue(ctx, a.key, bytes.Clone(a.value))
	}
	c, err := providerKey([]byte(a.key))
	if err != nil {
		return err
	}
	return h.dht.Provide(ctx, c, true)
}

// announce repeats the announcements when their time has come.
func (h *Host) announce(ctx context.Context) error {
	for {
		joined := h.seen.joined.wait()
		for h.announceDue(ctx) && ctx.Err() == nil {
		}
		timer := time.NewTimer(announceInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-joined:
			timer.Stop()
			if err := h.awaitTable(ctx); err != nil {
				h.log.Debug("new peer did not enter the routing table", "err", err)
			}
		case <-timer.C:
		}
	}
}

// announceDue announces a batch and says whether there was one.
func (h *Host) announceDue(ctx context.Context) bool {
	table := h.dht.RoutingTable().Size()
	if table == 0 {
		return false
	}
	batch := h.plan.due(time.Now(), table, 256)
	var wg sync.WaitGroup
	for part := range slices.Chunk(batch, max(1, (len(batch)+maxAnnouncing-1)/maxAnnouncing)) {
		wg.Go(func() {
			for _, a := range part {
				if err := h.attempt(ctx, a); err != nil {
					h.log.Debug("record not announced", "err", err)
				}
			}
		})
	}
	wg.Wait()
	return len(batch) > 0
}
