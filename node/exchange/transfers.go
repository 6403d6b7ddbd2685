package exchange

import (
	"slices"
	"sync"
	"time"
)

// transfers are the fetches under way, for Status.
type transfers struct {
	mu   sync.Mutex
	live map[*transferEntry]struct{}
}

type transferEntry struct {
	all   *transfers
	state Transfer
	items map[string]Progress // by blob
}

func (t *transfers) begin(target string, total int64) *transferEntry {
	e := &transferEntry{all: t, state: Transfer{Target: target, Total: total, Started: time.Now()}, items: map[string]Progress{}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = map[*transferEntry]struct{}{}
	}
	t.live[e] = struct{}{}
	return e
}

func (e *transferEntry) update(p Progress) {
	if p.Step != "fetch" {
		return
	}
	e.all.mu.Lock()
	defer e.all.mu.Unlock()
	e.items[p.Item] = p
	e.state.Done, e.state.Rate, e.state.Peers = 0, 0, 0
	for _, i := range e.items {
		e.state.Done += i.Done
		if i.Done < i.Total {
			e.state.Rate += i.Rate
			e.state.Peers = max(e.state.Peers, i.Peers)
		}
	}
}

func (e *transferEntry) end() {
	e.all.mu.Lock()
	defer e.all.mu.Unlock()
	delete(e.all.live, e)
}

// Transfers are the fetches under way, the oldest first.
func (x *Exchange) Transfers() []Transfer { return x.transfer.list() }

func (t *transfers) list() []Transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Transfer, 0, len(t.live))
	for e := range t.live {
		out = append(out, e.state)
	}
	slices.SortFunc(out, func(a, b Transfer) int { return a.Started.Compare(b.Started) })
	return out
}
