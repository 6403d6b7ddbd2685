package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dockchains/dockchain/node/api"
)

// A result is one transfer, or one publish, of one contender.
type result struct {
	seconds          float64
	cpuTo, cpuFrom   float64 // seconds of the fetching and of the seeding side
	peakTo, peakFrom int64   // bytes
}

func (r *rig) record(s series, shape, contender, what string, size int64, res result) {
	name := shape + "/" + contender + "/" + what
	gib := float64(size) / (1 << 30)
	s.add(name+"/rate", float64(size)/1e6/res.seconds)
	if what == "publish" {
		s.add(name+"/cpu", res.cpuTo/gib)
		return
	}
	s.add(name+"/cpu-to", res.cpuTo/gib)
	s.add(name+"/cpu-from", res.cpuFrom/gib)
	s.add(name+"/rss-to", float64(res.peakTo)/1e6)
	s.add(name+"/rss-from", float64(res.peakFrom)/1e6)
}

// transfers measures one shape of a large image.
func (r *rig) transfers(ctx context.Context, layers int, plan []plannedRow, s series) error {
	shape := shapeName(layers)
	img, err := makeImage(filepath.Join(r.dir, shape), layers, largeImage)
	if err != nil {
		return fmt.Errorf("making an image: %w", err)
	}
	defer os.RemoveAll(img.path)
	contenders := []struct {
		name string
		run  func(context.Context, imageDir) (fetch result, publish *result, err error)
	}{
		{ours, r.ours},
		{aria, r.aria},
		{http, func(ctx context.Context, img imageDir) (result, *result, error) { return r.http(ctx, img, false) }},
		{httpSync, func(ctx context.Context, img imageDir) (result, *result, error) { return r.http(ctx, img, true) }},
		{copying, r.copy},
	}
	for round := range r.rounds {
		for i := range contenders {
			c := contenders[(round+i)%len(contenders)]
			if !needs(plan, shape+"/"+c.name) {
				continue
			}
			fetch, publish, err := c.run(ctx, img)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", shape, c.name, err)
			}
			if publish != nil {
				r.record(s, shape, c.name, "publish", img.size, *publish)
			}
			if fetch.seconds > 0 {
				r.record(s, shape, c.name, "fetch", img.size, fetch)
			}
			r.tell("%s round %d of %d, %s: %s", shape, round+1, r.rounds, c.name, speeds(img.size, fetch, publish))
		}
	}
	return nil
}

func speeds(size int64, fetch result, publish *result) string {
	out := ""
	if publish != nil {
		out = fmt.Sprintf("publish %.0f MB/s ", float64(size)/1e6/publish.seconds)
	}
	if fetch.seconds > 0 {
		out += fmt.Sprintf("fetch %.0f MB/s, CPU %.2f + %.2f s, peak %.0f and %.0f MB",
			float64(size)/1e6/fetch.seconds, fetch.cpuTo, fetch.cpuFrom, float64(fetch.peakTo)/1e6, float64(fetch.peakFrom)/1e6)
	}
	return out
}

// ours publishes on one fresh node and fetches on another, which knows only the
// link. The clock of the fetch includes finding the peer, the verdicts and the
// last sync.
func (r *rig) ours(ctx context.Context, img imageDir) (fetch result, publish *result, err error) {
	from, err := r.startNode(ctx, "publisher")
	if err != nil {
		return fetch, nil, err
	}
	defer from.remove()
	if err := r.warm.settle(); err != nil {
		return fetch, nil, err
	}
	before, err := from.cpu()
	if err != nil {
		return fetch, nil, err
	}
	start := time.Now()
	published, err := from.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: "me/bench:1"}, nil)
	if err != nil {
		return fetch, nil, from.failure(err)
	}
	publish = &result{seconds: time.Since(start).Seconds()}
	after, err := from.cpu()
	if err != nil {
		return fetch, nil, err
	}
	publish.cpuTo = after - before

	to, err := r.startNode(ctx, "fetcher")
	if err != nil {
		return fetch, publish, err
	}
	defer to.remove()
	if err := r.warm.settle(); err != nil {
		return fetch, publish, err
	}
	fetch, err = timed(to.process, from.process, func() error {
		got, err := to.Fetch(ctx, api.FetchRequest{Target: published.Magnet}, nil)
		if err == nil && (!got.Verdict.Accepted || got.BytesFromPeers < img.size) {
			err = fmt.Errorf("the fetch gave %+v", got)
		}
		return err
	})
	if err != nil {
		return fetch, publish, errors.Join(to.failure(err), from.failure(errors.New("the other side")))
	}
	fetch.peakTo, err = to.statusBytes("VmHWM")
	if err == nil {
		fetch.peakFrom, err = from.statusBytes("VmHWM")
	}
	return fetch, publish, err
}

// timed measures what two running processes use for a transfer.
func timed(to, from *process, transfer func() error) (result, error) {
	toBefore, err := to.cpu()
	if err != nil {
		return result{}, err
	}
	fromBefore, err := from.cpu()
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	if err := transfer(); err != nil {
		return result{}, err
	}
	res := result{seconds: time.Since(start).Seconds()}
	toAfter, err := to.cpu()
	if err != nil {
		return res, err
	}
	fromAfter, err := from.cpu()
	res.cpuTo, res.cpuFrom = toAfter-toBefore, fromAfter-fromBefore
	return res, err
}

// fromAnd runs a fetching process to its end beside a serving one.
func (r *rig) fromAnd(ctx context.Context, from *process, start func() (*process, error)) (result, error) {
	if err := r.warm.settle(); err != nil {
		return result{}, err
	}
	before, err := from.cpu()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	to, err := start()
	if err != nil {
		return result{}, err
	}
	if err := to.wait(ctx); err != nil {
		to.stop()
		return result{}, err
	}
	res := result{seconds: time.Since(began).Seconds(), cpuTo: to.total(), peakTo: to.peak}
	after, err := from.cpu()
	if err != nil {
		return res, err
	}
	res.cpuFrom = after - before
	res.peakFrom, err = from.statusBytes("VmHWM")
	return res, err
}
