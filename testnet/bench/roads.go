package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dockchains/dockchain/node/api"
	"github.com/dockchains/dockchain/testnet/netns"
)

// The link far away: 100 Mbit/s, a round trip of 50 ms, one packet of a hundred
// lost each way. It is the fetching side's.
var farLink = netns.Link{Delay: 25 * time.Millisecond, Loss: 0.01, Rate: 100e6 / 8}

const (
	farImage = 256 << 20
	// farFile is what HTTP downloads there, which would take too long otherwise.
	farFile = 4 << 20
)

// roadsRows compare the roads that lead to peers. The far ones need root.
func roadsRows() []plannedRow {
	row := func(name, what, ours, who, peer string, a *aim) plannedRow {
		return plannedRow{name: "roads/" + name, what: what, unit: rate, ours: "roads/" + ours, who: who, peer: "roads/" + peer, aim: a, digits: 1}
	}
	least := func(v float64) *aim { return &aim{ratio: true, least: true, bound: v} }
	const far = "over 100 Mbit/s, 50 ms, 1 % loss"
	return []plannedRow{
		row("stream", "1 GiB from swarm to swarm, libp2p stream over TCP", "stream/"+overLibp2p, "the same over plain TCP", "stream/"+overTCP, least(0.9)),
		row("stream-quic", "1 GiB from swarm to swarm, libp2p stream over QUIC", "stream/"+overQUIC, "the same over plain TCP", "stream/"+overTCP, nil),
		row("far-1", "fetch of 256 MiB from one source "+far, "far/1", "the link", "far/link", least(0.8)),
		row("far-4", "fetch of 256 MiB from four sources "+far, "far/4", "the link", "far/link", least(0.9)),
		row("far-http", "fetch from one source "+far, "far/1", "HTTP + sha256, Reno", "far/http", nil),
	}
}

func (r *rig) roads(ctx context.Context, plan []plannedRow, s series) error {
	if needs(plan, "roads/stream") {
		if err := r.streams(ctx, plan, s); err != nil {
			return fmt.Errorf("streams: %w", err)
		}
	}
	if !needs(plan, "roads/far") {
		return nil
	}
	if err := netns.Supported(); err != nil {
		return fmt.Errorf("far roads: %w: choose rows with -run", err)
	}
	img, err := makeImage(filepath.Join(r.dir, "far"), 1, r.scaled(farImage))
	if err != nil {
		return fmt.Errorf("making an image: %w", err)
	}
	defer os.RemoveAll(img.path)
	for round := range r.rounds {
		for _, sources := range []int{1, 4} {
			name := fmt.Sprintf("roads/far/%d", sources)
			if !needs(plan, name) {
				continue
			}
			seconds, err := r.far(ctx, img, sources)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			s.add(name, float64(img.size)/1e6/seconds)
			s.add("roads/far/link", farLink.Rate/1e6)
			r.tell("%s round %d of %d: %.1f MB/s", name, round+1, r.rounds, float64(img.size)/1e6/seconds)
		}
		if needs(plan, "roads/far/http") {
			seconds, err := r.farHTTP(ctx, r.scaled(farFile))
			if err != nil {
				return fmt.Errorf("HTTP far away: %w", err)
			}
			s.add("roads/far/http", float64(r.scaled(farFile))/1e6/seconds)
			r.tell("roads/far/http round %d of %d: %.1f MB/s", round+1, r.rounds, float64(r.scaled(farFile))/1e6/seconds)
		}
	}
	return nil
}

// A farLab is one fetching place behind the far link, and the others.
type farLab struct {
	*netns.Lab
	to   site
	from []site
}

func openFarLab(sources int) (_ *farLab, err error) {
	lab, err := netns.New()
	if err != nil {
		return nil, err
	}
	f := &farLab{Lab: lab}
	defer func() {
		if err != nil {
			err = errors.Join(err, lab.Close())
		}
	}()
	for i := range sources + 1 {
		link := netns.Link{}
		if i == 0 {
			link = farLink
		}
		p, err := lab.Public(link)
		if err != nil {
			return nil, err
		}
		// What most machines have, CUBIC, may not be chosen in a namespace where it is
		// not the default; Reno does no better where so much is lost.
		if err := p.Sysctl("net.ipv4.tcp_congestion_control=reno"); err != nil {
			return nil, err
		}
		at := site{exec: p.Within(), ip: p.Addr.String()}
		if i == 0 {
			f.to = at
		} else {
			f.from = append(f.from, at)
		}
	}
	return f, nil
}

// far has a node fetch an image over the far link, from as many others as have it.
func (r *rig) far(ctx context.Context, img imageDir, sources int) (seconds float64, err error) {
	lab, err := openFarLab(sources)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	var magnet string
	args := []string{"--reach", "public", "--port-mapping=false"}
	for i, at := range lab.from {
		n, err := r.startNodeAt(ctx, at, fmt.Sprintf("far-source-%d", i), args...)
		if err != nil {
			return 0, err
		}
		defer n.remove()
		if i == 0 {
			pub, err := n.Publish(ctx, api.PublishRequest{Source: "oci:" + img.path, As: "me/far:1"}, nil)
			if err != nil {
				return 0, n.failure(err)
			}
			magnet = pub.Magnet
		} else if _, err := n.Fetch(ctx, api.FetchRequest{Target: magnet}, nil); err != nil {
			return 0, n.failure(err)
		}
		args = append(slices.Clip(args), "--bootstrap", n.addresses.Peer[0])
	}
	to, err := r.startNodeAt(ctx, lab.to, "far-fetcher", args...)
	if err != nil {
		return 0, err
	}
	defer to.remove()
	if err := r.awaitPeers(ctx, to, len(lab.from)); err != nil {
		return 0, err
	}
	start := time.Now()
	got, err := to.Fetch(ctx, api.FetchRequest{Target: magnet}, nil)
	if err == nil && (!got.Verdict.Accepted || got.BytesFromPeers < img.size) {
		err = fmt.Errorf("the fetch gave %+v", got)
	}
	if err != nil {
		return 0, to.failure(err)
	}
	return time.Since(start).Seconds(), nil
}

// awaitPeers waits until a node is connected to so many.
func (r *rig) awaitPeers(ctx context.Context, n *nodeProcess, want int) error {
	return await(ctx, n.process, func() (bool, error) {
		peers, err := n.Peers(ctx)
		connected := 0
		for _, p := range peers {
			if p.Connected {
				connected++
			}
		}
		return connected >= want, err
	})
}

// farHTTP downloads a file over the far link.
func (r *rig) farHTTP(ctx context.Context, size int64) (seconds float64, err error) {
	img, err := makeImage(filepath.Join(r.dir, "far-http"), 1, size)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(img.path)
	lab, err := openFarLab(1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	addrFile := filepath.Join(r.dir, "far-http-addr")
	defer os.Remove(addrFile)
	server, err := startProcessAt(ctx, lab.from[0], filepath.Join(r.dir, "far-http-server.log"), os.Environ(), r.self, childRole, "serve-at", addrFile, img.blobs(), lab.from[0].ip)
	if err != nil {
		return 0, err
	}
	defer server.stop()
	var addr []byte
	err = await(ctx, server, func() (bool, error) {
		var err error
		addr, err = os.ReadFile(addrFile)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return 0, err
	}
	dir := filepath.Join(r.dir, "far-http-files")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	client, err := startProcessAt(ctx, lab.to, filepath.Join(r.dir, "far-http-client.log"), os.Environ(), r.self,
		childRole, "get", "false", "http://"+string(addr)+"/", dir, img.layers[0])
	if err != nil {
		return 0, err
	}
	if err := client.wait(ctx); err != nil {
		return 0, err
	}
	return time.Since(start).Seconds(), nil
}

// scaled is a size at the scale of this run.
func (r *rig) scaled(size int64) int64 { return size / int64(max(1, r.scale)) }
