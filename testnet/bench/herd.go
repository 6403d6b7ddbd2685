package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// herdRounds are ours in each herd; the others, who are slower and vary less
// than the distance to ours, have one.
const herdRounds = 3

// A herd is a number of nodes that want the same image at the same moment from
// one source, each in a process of its own.
type herd struct {
	name    string
	nodes   int
	size    int64   // bytes
	source  int64   // bytes a second that the source may send; 0 is no limit
	uplinks []int64 // the same of the nodes, by turns; none is no limit
	// roundTrip is of the packets of any two processes.
	roundTrip time.Duration
	// churn has some of the nodes killed and replaced, and one more stopped.
	churn bool
	// garbage is how many peers more there are that send bytes which nobody wants.
	garbage int
	// plain has a client of anacrolix's library as it comes be the only source of ours.
	plain   bool
	against []string // contenders besides ours
}

const (
	stock   = "anacrolix"
	oneMB   = 1_000_000
	fullMiB = 256 << 20
)

// herds are all of them, the smallest first. Those of sixteen, and behind
// an ordinary client, have less of size and rate, because two cores must carry them.
func herds() []herd {
	all := []string{stock, aria, debianRegistry}
	even := func(mb int64) []int64 { return []int64{mb * oneMB} }
	mixed := []int64{10 * oneMB, 50 * oneMB, 100 * oneMB}
	return []herd{
		{name: "herd/4", nodes: 4, size: fullMiB, source: 50 * oneMB, uplinks: even(50), against: all},
		{name: "herd/8", nodes: 8, size: fullMiB, source: 50 * oneMB, uplinks: even(50), against: all},
		{name: "herd/plain-8", nodes: 8, size: fullMiB / 2, source: 12.5 * oneMB, uplinks: []int64{12.5 * oneMB}, plain: true, against: []string{stock}},
		{name: "herd/16", nodes: 16, size: fullMiB / 4, source: 12.5 * oneMB, uplinks: []int64{12.5 * oneMB}, against: all},
		{name: "herd/mixed", nodes: 6, size: fullMiB, source: 50 * oneMB, uplinks: mixed, against: []string{stock, aria}},
		{name: "herd/rtt-20", nodes: 6, size: fullMiB, source: 50 * oneMB, uplinks: mixed, roundTrip: 20 * time.Millisecond, against: []string{stock}},
		{name: "herd/rtt-50", nodes: 6, size: fullMiB, source: 50 * oneMB, uplinks: mixed, roundTrip: 50 * time.Millisecond, against: []string{stock}},
		{name: "herd/churn", nodes: 8, size: fullMiB, source: 50 * oneMB, uplinks: even(50), churn: true, against: []string{stock}},
		{name: "one-to-eight", nodes: 8, size: fullMiB, against: all},
		{name: "hostile/garbage", nodes: 8, size: fullMiB / 2, garbage: 8},
	}
}

func (h herd) uplink(node int) int64 {
	if len(h.uplinks) == 0 {
		return 0
	}
	return h.uplinks[node%len(h.uplinks)]
}

// ideal is the least time in seconds in which all could have all of it: the
// source sends everything once, and every byte that arrives was sent by somebody.
// Without limits there is none, and it is 0.
func (h herd) ideal() float64 {
	if h.source == 0 {
		return 0
	}
	sum := h.source
	for i := range h.nodes {
		sum += h.uplink(i)
	}
	return float64(h.size) / float64(min(h.source, sum/int64(h.nodes)))
}

// killed are the nodes that a herd with churn loses: a tenth of them, and at
// least one. The one after them is stopped.
func (h herd) killed() int {
	if !h.churn {
		return 0
	}
	return max(1, h.nodes/10)
}

// written is how many bytes all of them write.
func (h herd) written() int64 { return h.size * int64(h.nodes) }

// steady is how many nodes are there from beginning to end.
func (h herd) steady() int {
	if !h.churn {
		return h.nodes
	}
	return h.nodes - h.killed() - 1
}

// A passage is how a herd fared once.
type passage struct {
	seconds float64 // until the last of those who stayed had all of it
	first   float64 // until the first had
	sent    int64   // bytes of pieces by the source
	wasted  int64   // bytes received and thrown away, by all
	cpu     float64 // seconds of all processes
	clean   float64 // seconds of the same without garbage, where that was measured
	garbage int64   // bytes of garbage that was sent
}

func (h herd) record(s series, contender string, p passage) {
	add := func(of string, v float64) { s.add(h.name+"/"+contender+"/"+of, v) }
	add("rate", float64(h.size)*float64(h.nodes)/1e6/p.seconds)
	add("seconds", p.seconds)
	if ideal := h.ideal(); ideal > 0 {
		add("ratio", p.seconds/ideal)
	}
	if p.sent > 0 {
		add("copies", float64(p.sent)/float64(h.size))
	}
	add("waste", 100*float64(p.wasted)/float64(h.size)/float64(h.nodes))
	add("cpu", p.cpu)
	if p.clean > 0 {
		add("clean", p.clean)
	}
}

// herds measures what the planned rows need of all of them.
func (r *rig) herds(ctx context.Context, plan []plannedRow, s series) error {
	for _, h := range herds() {
		if !needs(plan, h.name) {
			continue
		}
		if err := r.herd(ctx, h, plan, s); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	return nil
}

func (r *rig) herd(ctx context.Context, h herd, plan []plannedRow, s series) error {
	f, err := openField(h)
	if err != nil {
		return err
	}
	defer f.close()
	if needs(plan, h.name+"/"+ours) {
		if err := r.ourHerd(ctx, f, s); err != nil {
			return err
		}
	}
	contenders := []struct {
		name string
		run  func(context.Context, *field, imageDir) (passage, error)
	}{{stock, r.stockHerd}, {aria, r.ariaHerd}, {debianRegistry, r.httpHerd}}
	for _, c := range contenders {
		if !slices.Contains(h.against, c.name) || !needs(plan, h.name+"/"+c.name) {
			continue
		}
		f := f
		if c.name == debianRegistry && h.source > 0 {
			f = &field{herd: h, sites: f.sites}
			f.size /= lonePart
		}
		img, err := makeImage(filepath.Join(r.dir, "herd-"+c.name), oneLayer, f.size)
		if err != nil {
			return err
		}
		p, err := c.run(ctx, f, img)
		if rerr := os.RemoveAll(img.path); err == nil {
			err = rerr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		f.record(s, c.name, p)
		r.tellHerd(f.herd, c.name, p)
	}
	return nil
}

// lonePart is the part of the image that a source alone, which sends a copy for
// each node, is measured with: its ratio to the ideal is the same.
const lonePart = 8

func (r *rig) tellHerd(h herd, who string, p passage) {
	ratio := ""
	if ideal := h.ideal(); ideal > 0 {
		ratio = fmt.Sprintf(" (%.2f of ideal %.2f s)", p.seconds/ideal, ideal)
	}
	if p.garbage > 0 {
		ratio += fmt.Sprintf(" (%.2f s without the %.1f MB of garbage that were sent)", p.clean, float64(p.garbage)/1e6)
	}
	r.tell("%s, %s: last %.2f s%s, first %.2f s, source sent %.2f copies, wasted %.3f %%, CPU %.1f s", h.name, who,
		p.seconds, ratio, p.first, float64(p.sent)/float64(h.size), 100*float64(p.wasted)/float64(h.size)/float64(h.nodes), p.cpu)
}

// cpuOf is the CPU time of running processes so far, of those that are left.
func cpuOf(ps []*process) float64 {
	sum := 0.0
	for _, p := range ps {
		if v, err := p.cpu(); err == nil {
			sum += v
		}
	}
	return sum
}
