package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	pacing "golang.org/x/time/rate"
)

// ariaHerd has as many aria2c fetch, which know one another from a tracker.
func (r *rig) ariaHerd(ctx context.Context, f *field, img imageDir) (res passage, err error) {
	dir := filepath.Join(r.dir, "aria2c")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	t, err := newTracker()
	if err != nil {
		return res, err
	}
	defer t.close()
	torrent, err := makeTorrent(img, t.url())
	if err != nil {
		return res, fmt.Errorf("making a torrent: %w", err)
	}
	meta := filepath.Join(dir, "bench.torrent")
	if err := os.WriteFile(meta, torrent, 0o600); err != nil {
		return res, err
	}
	var all []*process
	defer func() {
		for _, p := range all {
			p.kill()
		}
	}()
	start := func(i int, limit int64, args ...string) error {
		home := filepath.Join(dir, strconv.Itoa(i))
		if err := os.MkdirAll(home, 0o700); err != nil {
			return err
		}
		if i == 0 {
			if err := os.Link(filepath.Join(img.blobs(), img.layers[0]), filepath.Join(home, img.layers[0])); err != nil {
				return err
			}
		}
		args = append(args, "--seed-ratio=0.0", "--max-overall-upload-limit="+strconv.FormatInt(limit, 10), meta)
		p, err := r.startAriaAt(ctx, f.at(i), "herd"+strconv.Itoa(i), home, args...)
		if err == nil {
			all = append(all, p)
		}
		return err
	}
	if err := start(0, f.source, "--bt-seed-unverified=false", "--check-integrity=true"); err != nil {
		return res, err
	}
	if err := await(ctx, all[0], func() (bool, error) { return t.seeders() > 0, nil }); err != nil {
		return res, err
	}
	seeder := t.anySeeder()
	if err := r.warm.settleFor(f.written()); err != nil {
		return res, err
	}
	cpu, began := cpuOf(all), time.Now()
	for i := range f.nodes {
		if err := start(i+1, f.uplink(i)); err != nil {
			return res, err
		}
	}
	err = await(ctx, all[0], func() (bool, error) {
		n := t.seeders() - 1
		if n > 0 && res.first == 0 {
			res.first = time.Since(began).Seconds()
		}
		return n >= f.nodes, nil
	})
	if err != nil {
		return res, errors.Join(err, all[len(all)-1].failure(errors.New("a fetching client")))
	}
	res.seconds = time.Since(began).Seconds()
	res.cpu = cpuOf(all) - cpu
	all[0].stop() // which tells the tracker what it sent
	res.sent = t.uploaded(seeder)
	return res, nil
}

// httpHerd has as many plain HTTP clients, which check the sha256, fetch from
// Debian's docker-registry, that sends no faster than the source may.
func (r *rig) httpHerd(ctx context.Context, f *field, img imageDir) (res passage, err error) {
	d, err := r.startDebianRegistry(ctx)
	if err != nil {
		return res, err
	}
	defer d.remove()
	if err := pushLayout(ctx, img, "http://"+d.host+"/v2/bench/"); err != nil {
		return res, fmt.Errorf("pushing: %w", err)
	}
	addr := d.host
	if f.source > 0 {
		door, err := newNarrows(d.host, f.source)
		if err != nil {
			return res, err
		}
		defer door.close()
		addr = door.addr()
	}
	dir := filepath.Join(r.dir, "http")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	if err := r.warm.settleFor(f.written()); err != nil {
		return res, err
	}
	cpu, began := cpuOf([]*process{d.process}), time.Now()
	clients := make([]*process, f.nodes)
	times := make([]float64, f.nodes)
	var g errgroup.Group
	for i := range clients {
		to := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(to, 0o700); err != nil {
			return res, err
		}
		clients[i], err = startProcess(ctx, to+".log", os.Environ(), r.self,
			childRole, "get", "false", "http://"+addr+"/v2/bench/blobs/sha256:", to, img.layers[0])
		if err != nil {
			return res, err
		}
		defer clients[i].kill()
		g.Go(func() error {
			err := clients[i].wait(ctx)
			times[i] = time.Since(began).Seconds()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return res, err
	}
	res.cpu = cpuOf([]*process{d.process}) - cpu
	for i, t := range times {
		res.seconds = max(res.seconds, t)
		if i == 0 || t < res.first {
			res.first = t
		}
		res.cpu += clients[i].total()
	}
	res.sent = img.size * int64(f.nodes)
	return res, nil
}

// A narrows lets through, to all who connect, so many bytes a second of what a
// server answers.
type narrows struct {
	listener net.Listener
	server   string
	limit    *pacing.Limiter
}

func newNarrows(server string, perSecond int64) (*narrows, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n := &narrows{listener: l, server: server, limit: pacing.NewLimiter(pacing.Limit(perSecond), stockBurst)}
	go n.accept()
	return n, nil
}

func (n *narrows) addr() string { return n.listener.Addr().String() }
func (n *narrows) close()       { _ = n.listener.Close() }

func (n *narrows) accept() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", n.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		}()
		go func() {
			defer client.Close()
			buf := make([]byte, 64<<10)
			for {
				m, err := server.Read(buf)
				if m > 0 {
					_ = n.limit.WaitN(context.Background(), m)
					if _, err := client.Write(buf[:m]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		}()
	}
}
