package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/node/api"
)

// A pack is the processes of a herd of ours.
type pack struct {
	r      *rig
	f      *field
	source *nodeProcess
	nodes  []*nodeProcess
	made   int
}

func (p *pack) processes() []*process {
	all := []*process{p.source.process}
	for _, n := range p.nodes {
		all = append(all, n.process)
	}
	return all
}

// remove kills them, also those that are stopped, and takes their data away.
func (p *pack) remove() {
	for _, n := range p.nodes {
		n.kill()
	}
	if p.source != nil {
		p.source.kill()
	}
}

// start starts a node that may send so much, at the site of that number.
func (p *pack) start(ctx context.Context, at int, limit int64, args ...string) (*nodeProcess, error) {
	if limit > 0 {
		args = append(args, "--lan-limited", "--upload-limit", strconv.FormatInt(limit, 10)) // sites may be neighbours
	}
	if p.source != nil {
		args = append(args, "--bootstrap", p.source.addresses.Peer[0])
	}
	p.made++
	return p.r.startNodeAt(ctx, p.f.at(at), fmt.Sprintf("herd%d", p.made), args...)
}

// openPack starts the source and the nodes, and waits until all have met it.
func (r *rig) openPack(ctx context.Context, f *field) (_ *pack, err error) {
	p := &pack{r: r, f: f}
	defer func() {
		if err != nil {
			p.remove()
		}
	}()
	if p.source, err = p.start(ctx, 0, f.source); err != nil {
		return nil, err
	}
	for i := range f.nodes {
		n, err := p.start(ctx, i+1, f.uplink(i))
		if err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	for _, n := range p.nodes {
		if err := awaitPeer(ctx, n); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func awaitPeer(ctx context.Context, n *nodeProcess) error {
	return await(ctx, n.process, func() (bool, error) {
		st, err := n.Status(ctx)
		return st.Peers > 0, err
	})
}

// ourHerd measures ours, each round with an image that nobody has seen before.
// Without churn the nodes are the same in all rounds.
func (r *rig) ourHerd(ctx context.Context, f *field, s series) error {
	var p *pack
	defer func() {
		if p != nil {
			p.remove()
		}
	}()
	for round := range min(herdRounds, r.rounds) {
		if p != nil && f.churn {
			p.remove()
			p = nil
		}
		if p == nil {
			var err error
			if p, err = r.openPack(ctx, f); err != nil {
				return err
			}
		}
		pass := p.pass
		if f.plain {
			pass = p.plainPass
		}
		res, err := pass(ctx, round, f.garbage)
		if err != nil {
			return err
		}
		if f.garbage > 0 {
			clean, err := p.pass(ctx, round+herdRounds, 0)
			if err != nil {
				return err
			}
			res.clean = clean.seconds
		}
		f.record(s, ours, res)
		r.tellHerd(f.herd, ours, res)
	}
	return nil
}

// pass has the nodes fetch a new image of the source at the same moment.
func (p *pack) pass(ctx context.Context, round, garbage int) (res passage, err error) {
	img, err := makeImage(filepath.Join(p.r.dir, "herd-ours"), oneLayer, p.f.size)
	if err != nil {
		return res, err
	}
	defer os.RemoveAll(img.path)
	published, err := p.source.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: fmt.Sprintf("me/herd:%d", round)}, nil)
	if err != nil {
		return res, p.source.failure(err)
	}
	var liars *gang
	if garbage > 0 {
		if liars, err = p.r.startLiars(ctx, garbage, img, p.source); err != nil {
			return res, err
		}
		defer liars.kill()
	}
	if err := p.r.warm.settleFor(p.f.written()); err != nil {
		return res, err
	}
	sent, wasted, err := p.counters(ctx)
	if err != nil {
		return res, err
	}
	cpu := cpuOf(p.processes())
	if res.seconds, res.first, err = p.fetchAll(ctx, published.Magnet, img.size); err != nil {
		return res, err
	}
	res.cpu = cpuOf(p.processes()) - cpu
	sentThen, wastedThen, err := p.counters(ctx)
	res.sent, res.wasted = sentThen-sent, wastedThen-wasted
	if liars == nil || err != nil {
		return res, err
	}
	if res.garbage, err = liars.end(ctx); err == nil && res.garbage == 0 {
		err = errors.New("nobody asked the peers that send garbage for anything")
	}
	return res, err
}

// fetchAll gives the seconds until the last of the nodes that stay had the image,
// and the first.
func (p *pack) fetchAll(ctx context.Context, magnet string, size int64) (last, first float64, err error) {
	steady, killed := p.f.steady(), p.f.killed()
	times := make([]float64, steady)
	var g errgroup.Group
	doomed, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	for i, n := range p.nodes {
		if i >= steady { // it will not get there
			go func() { _, _ = n.Fetch(doomed, api.FetchRequest{Target: magnet}, nil) }()
			continue
		}
		g.Go(func() error {
			got, err := n.Fetch(ctx, api.FetchRequest{Target: magnet}, nil)
			times[i] = time.Since(start).Seconds()
			if err == nil && (!got.Verdict.Accepted || got.BytesFromPeers < size) {
				err = fmt.Errorf("the fetch gave %+v", got)
			}
			if err != nil {
				return n.failure(err)
			}
			return nil
		})
	}
	if p.f.churn {
		if err := p.shake(ctx, doomed, magnet, steady, killed); err != nil {
			return 0, 0, errors.Join(err, g.Wait())
		}
	}
	if err := g.Wait(); err != nil {
		return 0, 0, errors.Join(err, p.source.failure(errors.New("the source")))
	}
	for i, t := range times {
		last = max(last, t)
		if i == 0 || t < first {
			first = t
		}
	}
	return last, first, nil
}

// shake waits for a third of the ideal time, kills nodes and starts others in
// their place, and stops one more for good.
func (p *pack) shake(ctx, doomed context.Context, magnet string, steady, killed int) error {
	select {
	case <-time.After(time.Duration(p.f.ideal() / 3 * float64(time.Second))):
	case <-ctx.Done():
		return ctx.Err()
	}
	for i := steady; i < steady+killed; i++ {
		if err := p.nodes[i].cmd.Process.Kill(); err != nil {
			return err
		}
		n, err := p.start(ctx, i+1, p.f.uplink(i))
		if err != nil {
			return err
		}
		p.nodes[i].kill()
		p.nodes[i] = n
		go func() { _, _ = n.Fetch(doomed, api.FetchRequest{Target: magnet}, nil) }()
	}
	return p.nodes[steady+killed].cmd.Process.Signal(syscall.SIGSTOP)
}

// counters are the bytes of pieces that the source sent, and those that all
// threw away. Nodes that are gone or stopped are not asked.
func (p *pack) counters(ctx context.Context) (sent, wasted int64, err error) {
	m, err := p.source.metrics(ctx)
	if err != nil {
		return 0, 0, err
	}
	sent = int64(m["dockchain_swarm_sent_bytes_total"])
	for _, n := range p.nodes[:p.f.steady()] {
		if m, err = n.metrics(ctx); err != nil {
			return 0, 0, err
		}
		wasted += int64(m["dockchain_swarm_wasted_bytes_total"])
	}
	return sent, wasted, nil
}

// metrics are those of a node that have one value.
func (n *nodeProcess) metrics(ctx context.Context) (map[string]float64, error) {
	client := nethttp.Client{Transport: &nethttp.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", n.addresses.Socket)
		},
	}}
	req, err := nethttp.NewRequestWithContext(ctx, nethttp.MethodGet, "http://localhost/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != nethttp.StatusOK {
		return nil, fmt.Errorf("reading metrics: %s", res.Status)
	}
	return singleValues(res.Body)
}

// singleValues reads the metrics without labels of a Prometheus text.
func singleValues(r io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			values[name] = v
		}
	}
	return values, lines.Err()
}
