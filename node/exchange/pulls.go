package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/kv"
)

const (
	// maxPulls bounds the list of pulls.
	maxPulls = 1000
	// samePull is how soon the next request of a client belongs to the same pull:
	// one pull asks for a tag, digests and layers, one after the other.
	samePull = 30 * time.Second
	// storePulls is how often the list is written down. A crash loses that much of it.
	storePulls = time.Second
	maxWhy     = 400 // bytes
)

// States of a PullRecord.
const (
	PullRunning = "running"
	PullDone    = "done"
	PullFailed  = "failed"
)

// PullRecord tells of one pull by a client of the registry: where its bytes came
// from, and why.
type PullRecord struct {
	ID           uint64    `json:"id"`
	Started      time.Time `json:"started"`
	Name         string    `json:"name"` // as the client asked for it
	Digest       string    `json:"digest,omitempty"`
	Client       string    `json:"client,omitempty"` // user agent
	State        string    `json:"state"`            // running, done, failed
	FromPeers    int64     `json:"bytes_from_peers"`
	FromUpstream int64     `json:"bytes_from_upstream"`
	FromDisk     int64     `json:"bytes_from_disk"`
	Seconds      float64   `json:"seconds"` // from the first request to the last byte that came
	Why          string    `json:"why,omitempty"`
}

// PullsRequest asks for a part of the list of pulls.
type PullsRequest struct {
	Limit int    `json:"limit,omitempty"` // 0: 20, at most 1000
	After uint64 `json:"after,omitempty"` // only those with a higher id
}

// ongoing is a pull of the list, and what goes on for it.
type ongoing struct {
	PullRecord
	repo   string // HOST/REPO or AUTHOR-ID/REPO
	active int    // transfers
	last   time.Time
	failed bool
}

// pulls is the list, the newest last.
type pulls struct {
	now func() time.Time

	mu    sync.Mutex
	list  []*ongoing
	next  uint64
	dirty map[uint64]bool
}

func newPulls(now func() time.Time) *pulls {
	return &pulls{now: now, next: 1, dirty: map[uint64]bool{}}
}

// begin notes a request, as a part of the pull that its client is at already.
func (p *pulls) begin(req PullRequest, repo string) *ongoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now().UTC()
	for i := len(p.list) - 1; i >= 0; i-- {
		o := p.list[i]
		if now.Sub(o.last) > samePull && o.active == 0 {
			continue
		}
		if o.repo == repo && o.Client == req.Client && (o.Name == req.Target || o.Digest != "" && hasSuffixDigest(req.Target)) {
			o.last = now
			return o
		}
	}
	o := &ongoing{repo: repo, last: now, PullRecord: PullRecord{
		ID: p.next, Started: now, Name: shorten(req.Target, 600), Client: shorten(req.Client, 200), State: PullRunning,
	}}
	p.next++
	p.list = append(p.list, o)
	if len(p.list) > maxPulls {
		p.list = slices.Delete(p.list, 0, len(p.list)-maxPulls)
	}
	return o
}

func shorten(s string, max int) string { return s[:min(len(s), max)] }

func hasSuffixDigest(target string) bool {
	return slices.Contains([]byte(target), '@')
}

// change changes a pull of the list, and tells what it has come to.
func (p *pulls) change(o *ongoing, f func(*ongoing)) {
	if o == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f(o)
	now := p.now().UTC()
	o.last, o.Seconds = now, now.Sub(o.Started).Seconds()
	o.Why = shorten(o.Why, maxWhy)
	switch {
	case o.failed:
		o.State = PullFailed
	case o.active > 0:
		o.State = PullRunning
	default:
		o.State = PullDone
	}
	p.dirty[o.ID] = true
}

// because adds a reason that is not there yet.
func (o *ongoing) because(why string) {
	switch {
	case why == "" || o.Why == why:
	case o.Why == "":
		o.Why = why
	case len(o.Why)+len(why) < maxWhy && !containsReason(o.Why, why):
		o.Why += "; " + why
	}
}

func containsReason(all, why string) bool {
	for len(all) >= len(why) {
		if all[:len(why)] == why {
			return true
		}
		all = all[1:]
	}
	return false
}

// resolved notes what a name turned out to be.
func (p *pulls) resolved(o *ongoing, got Pulled, err error) {
	p.change(o, func(o *ongoing) {
		if err != nil {
			o.failed = true
			o.because(err.Error())
			return
		}
		o.failed = false
		if o.Digest == "" {
			o.Digest = got.Root.Digest.String()
		}
		if !got.Stale.IsZero() {
			o.because(fmt.Sprintf("the registry cannot be asked: its answer of %s ago", p.now().Sub(got.Stale).Round(time.Second)))
		}
	})
}

// of is the newest pull of a repository.
func (p *pulls) of(repo string) *ongoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.list) - 1; i >= 0; i-- {
		if p.list[i].repo == repo {
			return p.list[i]
		}
	}
	return nil
}

func (p *pulls) begins(repo string) { p.change(p.of(repo), func(o *ongoing) { o.active++ }) }

func (p *pulls) ends(repo string, l *layer, err error) {
	l.mu.Lock()
	fromPeers, fromUpstream, why := l.fromPeers, l.fromUpstream, l.why
	l.mu.Unlock()
	p.change(p.of(repo), func(o *ongoing) {
		o.active = max(o.active-1, 0)
		o.FromPeers += fromPeers
		o.FromUpstream += fromUpstream
		o.because(why)
		if err != nil {
			o.failed = true
			o.because(err.Error())
		}
	})
}

func (p *pulls) bytes(repo string, fromPeers, fromUpstream int64) {
	p.change(p.of(repo), func(o *ongoing) {
		o.FromPeers += fromPeers
		o.FromUpstream += fromUpstream
	})
}

func (p *pulls) fromDisk(repo string, d image.Descriptor) {
	p.change(p.of(repo), func(o *ongoing) { o.FromDisk += d.Size })
}

// Pulls lists what clients pulled, the newest first.
func (x *Exchange) Pulls(_ context.Context, req PullsRequest) ([]PullRecord, error) {
	limit := req.Limit
	if limit < 0 {
		return nil, fmt.Errorf("%w: a limit below 0", ErrBadRequest)
	}
	if limit == 0 {
		limit = 20
	}
	p := x.pulls
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []PullRecord{}
	for i := len(p.list) - 1; i >= 0 && len(out) < limit && p.list[i].ID > req.After; i-- {
		out = append(out, p.list[i].PullRecord)
	}
	return out, nil
}

// loadPulls reads the list back. What was under way when the node stopped is not in
// it.
func (x *Exchange) loadPulls() error {
	p := x.pulls
	return x.Store.Upstream().View(func(tx kv.Txn) error {
		for _, b := range tx.Each(pullKey, "") {
			r, err := decodePull(b)
			if err != nil {
				x.log.Warn("a pull of the list does not read", "err", err)
				continue
			}
			p.list = append(p.list, &ongoing{PullRecord: r, last: r.Started, failed: r.State == PullFailed})
			p.next = max(p.next, r.ID+1)
		}
		slices.SortFunc(p.list, func(a, b *ongoing) int { return cmp.Compare(a.ID, b.ID) })
		return tx.Err()
	})
}

func decodePull(b []byte) (PullRecord, error) {
	var r PullRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return r, err
	}
	if r.ID == 0 {
		return r, errors.New("a pull without a number")
	}
	return r, nil
}

func pullKeyOf(id uint64) string { return fmt.Sprintf("%s%020d", pullKey, id) }

// keepPulls writes the list down now and then, until ctx ends.
func (x *Exchange) keepPulls(ctx context.Context) {
	tick := time.NewTicker(storePulls)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			x.storePulls()
		}
	}
}

func (x *Exchange) storePulls() {
	p := x.pulls
	p.mu.Lock()
	var changed []PullRecord
	for _, o := range p.list {
		if p.dirty[o.ID] && o.State != PullRunning {
			changed = append(changed, o.PullRecord)
			delete(p.dirty, o.ID)
		}
	}
	p.mu.Unlock()
	if len(changed) == 0 {
		return
	}
	err := x.Store.Upstream().Update(func(tx kv.Txn) error {
		for _, r := range changed {
			b, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if err := tx.Set(pullKeyOf(r.ID), b); err != nil {
				return err
			}
			if r.ID > maxPulls {
				if err := tx.Delete(pullKeyOf(r.ID - maxPulls)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		x.log.Warn("list of pulls is not kept", "err", err)
	}
}
