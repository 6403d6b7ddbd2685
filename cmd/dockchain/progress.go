package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/dockchains/dockchain/node/api"
)

// progress tells how a road goes: bars on a terminal, plain lines where there
// is none, nothing where the answer is for a program. The returned stop must be
// called before anything else is printed.
func (u *ui) progress() (show func(api.Progress), stop func()) {
	switch {
	case u.format == formatJSON || u.format == formatJSONL:
		return func(api.Progress) {}, func() {}
	case u.terminal:
		b := newBars(u.err)
		return b.show, b.stop
	}
	p := &plain{w: u.err, now: u.now, steps: map[string]*stepTotal{}}
	return p.show, func() {}
}

// maxBars is where finished bars begin to leave the screen.
const maxBars = 16

// bars shows a bar for each item (a layer, as a rule).
type bars struct {
	container *mpb.Progress

	mu   sync.Mutex
	bars map[string]*bar // guarded by mu
}

type bar struct {
	*mpb.Bar
	mu   sync.Mutex
	last api.Progress // guarded by mu
}

func newBars(w io.Writer) *bars {
	return &bars{
		container: mpb.New(mpb.WithOutput(w), mpb.WithRefreshRate(120*time.Millisecond), mpb.WithAutoRefresh()),
		bars:      map[string]*bar{},
	}
}

func (b *bars) show(p api.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := p.Step + " " + p.Item
	it, ok := b.bars[key]
	if !ok {
		if len(b.bars) >= maxBars {
			b.makeRoom()
		}
		it = b.add(p)
		b.bars[key] = it
	}
	it.mu.Lock()
	it.last = p
	it.mu.Unlock()
	if p.Total > 0 {
		it.SetTotal(p.Total, false)
		it.SetCurrent(p.Done)
		if p.Done >= p.Total {
			it.SetTotal(p.Total, true)
		}
	}
}

// makeRoom takes finished bars off the screen.
func (b *bars) makeRoom() {
	for key, it := range b.bars {
		if it.Completed() {
			it.Abort(true)
			delete(b.bars, key)
		}
	}
}

func (b *bars) add(p api.Progress) *bar {
	it := &bar{last: p}
	read := func(f func(api.Progress) string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			it.mu.Lock()
			defer it.mu.Unlock()
			return f(it.last)
		}, decor.WCSyncSpaceR)
	}
	it.Bar = b.container.AddBar(0, // only a bar made without a total can get others later
		mpb.BarWidth(20),
		mpb.PrependDecorators(read(func(p api.Progress) string { return clean(p.Step + " " + shortItem(p.Item)) })),
		mpb.AppendDecorators(read(amount), read(rate), read(sources)),
	)
	return it
}

func (it *bar) withoutTotal() bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.last.Total == 0
}

func (b *bars) stop() {
	b.mu.Lock()
	for _, it := range b.bars {
		if !it.Completed() {
			it.Abort(it.withoutTotal()) // what had no end to reach leaves nothing to see
		}
	}
	b.mu.Unlock()
	b.container.Wait()
}

// plain tells a line for each step, and then one per 10 % or 5 s of it. What
// there is to do grows as items appear.
type plain struct {
	w   io.Writer
	now func() time.Time

	mu    sync.Mutex
	steps map[string]*stepTotal // guarded by mu
}

type stepTotal struct {
	items       map[string]api.Progress
	done, total int64
	told        time.Time
	toldDone    int64
}

const tellEvery = 5 * time.Second

func (p *plain) show(next api.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.steps[next.Step]
	if !known {
		s = &stepTotal{items: map[string]api.Progress{}}
		p.steps[next.Step] = s
	}
	before := s.items[next.Item]
	s.items[next.Item] = next
	s.done += next.Done - before.Done
	s.total += next.Total - before.Total
	now := p.now()
	tenth := s.total > 0 && (s.done-s.toldDone)*10 >= s.total
	if known && !tenth && now.Sub(s.told) < tellEvery {
		return
	}
	s.told, s.toldDone = now, s.done
	fmt.Fprintln(p.w, clean(s.line(next)))
}

// line is the step as a whole; rate and peers are those of all its items.
func (s *stepTotal) line(next api.Progress) string {
	sum := api.Progress{Step: next.Step, Done: s.done, Total: s.total}
	for _, it := range s.items {
		if it.Total == 0 || it.Done < it.Total {
			sum.Rate += it.Rate
			sum.Peers = max(sum.Peers, it.Peers)
		}
	}
	words := []string{next.Step}
	if len(s.items) == 1 {
		words = append(words, shortItem(next.Item))
	}
	if s.total > 0 {
		words = append(words, fmt.Sprintf("%3d %%", s.done*100/s.total))
	}
	words = append(words, amount(sum), rate(sum), sources(sum))
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

func amount(p api.Progress) string {
	switch {
	case p.Total > 0:
		return bytesOf(p.Done) + " of " + bytesOf(p.Total)
	case p.Done > 0:
		return bytesOf(p.Done)
	}
	return ""
}

func rate(p api.Progress) string {
	if p.Rate < 1 {
		return ""
	}
	return bytesOf(int64(p.Rate)) + "/s"
}

func sources(p api.Progress) string {
	if p.Peers == 0 {
		return ""
	}
	return plural(p.Peers, "peer")
}

// shortItem keeps enough of a digest to tell it from others.
func shortItem(item string) string {
	if alg, hex, ok := strings.Cut(item, ":"); ok && len(hex) >= 64 && !strings.ContainsAny(hex, "/:") {
		return alg + ":" + hex[:12]
	}
	return shorten(item, 40)
}
