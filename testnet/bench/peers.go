package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// http downloads the layers from a file server in another process.
func (r *rig) http(ctx context.Context, img imageDir, sync bool) (fetch result, publish *result, err error) {
	dir := filepath.Join(r.dir, "http")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fetch, nil, err
	}
	defer os.RemoveAll(dir)
	addrFile := filepath.Join(r.dir, "http-addr")
	defer os.Remove(addrFile)
	from, err := startProcess(ctx, filepath.Join(r.dir, "http-server.log"), os.Environ(), r.self, childRole, "serve", addrFile, img.blobs())
	if err != nil {
		return fetch, nil, err
	}
	defer from.stop()
	var addr []byte
	err = await(ctx, from, func() (bool, error) {
		addr, err = os.ReadFile(addrFile)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fetch, nil, err
	}
	args := append([]string{childRole, "get", strconv.FormatBool(sync), "http://" + string(addr) + "/", dir}, img.layers...)
	fetch, err = r.fromAnd(ctx, from, func() (*process, error) {
		return startProcess(ctx, filepath.Join(r.dir, "http-client.log"), os.Environ(), r.self, args...)
	})
	return fetch, nil, err
}

// copy is the floor of a publish: the layers read, hashed, written and synced.
func (r *rig) copy(ctx context.Context, img imageDir) (fetch result, publish *result, err error) {
	dir := filepath.Join(r.dir, "copy")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fetch, nil, err
	}
	defer os.RemoveAll(dir)
	if err := r.warm.settle(); err != nil {
		return fetch, nil, err
	}
	start := time.Now()
	p, err := startProcess(ctx, filepath.Join(r.dir, "copy.log"), os.Environ(), r.self,
		append([]string{childRole, "copy", img.blobs(), dir}, img.layers...)...)
	if err != nil {
		return fetch, nil, err
	}
	defer p.stop()
	if err := p.wait(ctx); err != nil {
		return fetch, nil, err
	}
	return fetch, &result{seconds: time.Since(start).Seconds(), cpuTo: p.total(), peakTo: p.peak}, nil
}

// aria has one aria2c seed the layers to another. The clock runs from the start
// of the second to its end.
func (r *rig) aria(ctx context.Context, img imageDir) (fetch result, publish *result, err error) {
	dir := filepath.Join(r.dir, "aria2c")
	seed, leech := filepath.Join(dir, "seed"), filepath.Join(dir, "leech")
	root := torrentName(img)
	files := filepath.Join(seed, root)
	if len(img.layers) == 1 {
		files = seed
	}
	for _, d := range []string{files, leech} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fetch, nil, err
		}
	}
	defer os.RemoveAll(dir)
	for _, name := range img.layers {
		if err := os.Link(filepath.Join(img.blobs(), name), filepath.Join(files, name)); err != nil {
			return fetch, nil, err
		}
	}
	t, err := newTracker()
	if err != nil {
		return fetch, nil, err
	}
	defer t.close()
	torrent, err := makeTorrent(img, t.url())
	if err != nil {
		return fetch, nil, fmt.Errorf("making a torrent: %w", err)
	}
	meta := filepath.Join(dir, "bench.torrent")
	if err := os.WriteFile(meta, torrent, 0o600); err != nil {
		return fetch, nil, err
	}
	from, err := r.startAria(ctx, "seeder", seed, "--seed-ratio=0.0", "--bt-seed-unverified=false", "--check-integrity=true", meta)
	if err != nil {
		return fetch, nil, err
	}
	defer from.stop()
	if err := await(ctx, from, func() (bool, error) { return t.seeders() > 0, nil }); err != nil {
		return fetch, nil, err
	}
	fetch, err = r.fromAnd(ctx, from, func() (*process, error) {
		return r.startAria(ctx, "leecher", leech, "--seed-time=0", meta)
	})
	return fetch, nil, err
}

func (r *rig) startAria(ctx context.Context, name, dir string, args ...string) (*process, error) {
	return r.startAriaAt(ctx, loopback, name, dir, args...)
}

func (r *rig) startAriaAt(ctx context.Context, at site, name, dir string, args ...string) (*process, error) {
	args = append([]string{
		"--no-conf=true", "--dir=" + dir, "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
		"--enable-peer-exchange=false", "--disable-ipv6=true", "--interface=" + at.ip, "--listen-port=" + r.ariaPorts,
		"--bt-tracker-interval=1", "--file-allocation=none", "--bt-max-peers=0", "--bt-request-peer-speed-limit=500M",
		"--summary-interval=0", "--console-log-level=warn", "--show-console-readout=false", "--follow-torrent=mem",
	}, args...)
	return startProcessAt(ctx, at, filepath.Join(r.dir, "aria2c-"+name+".log"), os.Environ(), r.ariaPath, args...)
}
