package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dockchains/dockchain/node/api"
)

const (
	// manyTorrents are known to one node: manyImages of manyLayers layers each.
	manyImages   = 200
	manyLayers   = 100
	manyTorrents = manyImages * manyLayers
	// manyLayer is the size of each layer, in bytes.
	manyLayer = 4 << 10
	// activeLayers are torrents that somebody fetched a moment ago.
	activeLayers    = 20
	activeLayerSize = 256 << 10
	// manyIdle is how long the node's CPU time is watched: from the end of a fetch,
	// and then again.
	manyIdle = 20 * time.Second
)

func manyRows() []plannedRow {
	what := fmt.Sprintf("%d torrents known, %d active", manyTorrents, activeLayers)
	return []plannedRow{
		{name: "idle/20000/rss", what: what + ", resident", unit: memory, ours: "many/rss", aim: &aim{bound: 300}},
		{name: "idle/20000/cpu", what: what + ", CPU of one core, 20 s after a fetch", unit: "%", ours: "many/cpu", aim: &aim{bound: 1}, digits: 2},
		{name: "idle/20000/cpu-after", what: what + ", CPU of one core, right after a fetch", unit: "%", ours: "many/cpu-after", digits: 2},
		{name: "idle/20000/restart", what: fmt.Sprintf("restart with %d torrents, until ready", manyTorrents), unit: "s", ours: "many/restart", digits: 2},
	}
}

// many measures a node that knows many torrents and is asked for few.
func (r *rig) many(ctx context.Context, s series) error {
	n, err := r.startNode(ctx, "many")
	if err != nil {
		return err
	}
	defer func() { n.remove() }()
	for i := range manyImages {
		if _, err := r.publishLayers(ctx, n, fmt.Sprintf("many:%d", i), manyLayers, manyLayers*manyLayer); err != nil {
			return err
		}
	}
	magnet, err := r.publishLayers(ctx, n, "active:1", activeLayers, activeLayers*activeLayerSize)
	if err != nil {
		return err
	}
	r.tell("published %d torrents", manyTorrents+activeLayers)
	for range r.rounds {
		if err := r.stopNode(n); err != nil {
			return err
		}
		began := time.Now()
		again, err := r.startNodeAt(ctx, loopback, "many")
		if err != nil {
			return err
		}
		n = again
		s.add("many/restart", time.Since(began).Seconds())
		if err := r.manyIdle(ctx, n, magnet, s); err != nil {
			return n.failure(err)
		}
	}
	return nil
}

// manyIdle has some of the torrents fetched and looks at the node afterwards.
func (r *rig) manyIdle(ctx context.Context, n *nodeProcess, magnet string, s series) error {
	visitor, err := r.startNode(ctx, "visitor", "--bootstrap", n.addresses.Peer[0])
	if err != nil {
		return err
	}
	defer visitor.remove()
	if _, err := visitor.Fetch(ctx, api.FetchRequest{Target: magnet}, nil); err != nil {
		return visitor.failure(err)
	}
	for _, name := range []string{"many/cpu-after", "many/cpu"} {
		before, err := n.cpu()
		if err != nil {
			return err
		}
		select {
		case <-time.After(manyIdle):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := n.cpu()
		if err != nil {
			return err
		}
		s.add(name, 100*(after-before)/manyIdle.Seconds())
	}
	rss, err := n.statusBytes("VmRSS")
	if err != nil {
		return err
	}
	s.add("many/rss", float64(rss)/1e6)
	last := len(s["many/rss"]) - 1
	r.tell("many torrents: ready after %.2f s, %.0f MB, %.2f %% CPU, and %.2f %% later",
		s["many/restart"][last], s["many/rss"][last], s["many/cpu-after"][last], s["many/cpu"][last])
	return nil
}

func (r *rig) publishLayers(ctx context.Context, n *nodeProcess, as string, layers int, size int64) (string, error) {
	img, err := makeImage(filepath.Join(r.dir, "layers"), layers, size)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(img.path)
	p, err := n.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: "me/" + as}, nil)
	if err != nil {
		return "", n.failure(err)
	}
	return p.Magnet, nil
}

// stopNode ends a node and keeps its data for another one of the same name.
func (r *rig) stopNode(n *nodeProcess) error {
	_ = n.Close()
	n.stop()
	if err := os.Remove(filepath.Join(n.home, "ready.json")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // it took it away itself
}
