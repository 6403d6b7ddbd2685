package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	pacing "golang.org/x/time/rate"
)

// stockBurst is what a limited client may send at once; it must not be below the
// longest request.
const stockBurst = 1 << 20

// A stockReport is what a client says of itself: where it listens, when it had
// everything, and what it moved. Each is a file beside the others.
type stockReport struct {
	Addr     string `json:"addr,omitempty"`
	At       int64  `json:"at,omitempty"` // nanoseconds of the wall clock
	Sent     int64  `json:"sent,omitempty"`
	Received int64  `json:"received,omitempty"`
	Useful   int64  `json:"useful,omitempty"`
}

// runStock is a BitTorrent client of anacrolix's library as it comes, but for
// what would leave this machine. It holds what is in its directory, says where
// it listens, waits for a list of peers, downloads, and goes on seeding until it
// is told to end:
//
//	stock DIR TORRENT IP LIMIT STATE
func runStock(dir, meta, ip, limit, state string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := strconv.ParseInt(limit, 10, 64)
	if err != nil {
		return err
	}
	cl, err := torrent.NewClient(stockConfig(dir, ip, n))
	if err != nil {
		return err
	}
	defer cl.Close()
	mi, err := metainfo.LoadFromFile(meta)
	if err != nil {
		return err
	}
	t, err := cl.AddTorrent(mi)
	if err != nil {
		return err
	}
	if err := t.VerifyDataContext(ctx); err != nil {
		return err
	}
	if err := writeReport(state+".addr", stockReport{Addr: cl.ListenAddrs()[0].String()}); err != nil {
		return err
	}
	if err := stockDownload(ctx, t, state); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	c := cl.ConnStats()
	return writeReport(state+".end", stockReport{
		Sent: c.BytesWrittenData.Int64(), Received: c.BytesReadData.Int64(), Useful: c.BytesReadUsefulData.Int64(),
	})
}

func stockConfig(dir, ip string, limit int64) *torrent.ClientConfig {
	cfg := torrent.NewDefaultClientConfig()
	cfg.DataDir = dir
	cfg.NoDHT, cfg.DisableTrackers, cfg.DisableUTP = true, true, true
	cfg.NoDefaultPortForwarding, cfg.DisableIPv6 = true, true
	cfg.DisableWebtorrent, cfg.DisableWebseeds = true, true
	cfg.Seed = true
	cfg.ListenHost = func(string) string { return ip }
	cfg.ListenPort = 0
	cfg.HeaderObfuscationPolicy.Preferred = false
	cfg.Slogger = slog.New(slog.NewTextHandler(io.Discard, nil))
	if limit > 0 {
		cfg.UploadRateLimiter = pacing.NewLimiter(pacing.Limit(limit), stockBurst)
	}
	return cfg
}

// stockDownload waits for the peers, and then for the end.
func stockDownload(ctx context.Context, t *torrent.Torrent, state string) error {
	var peers []string
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for peers == nil {
		b, err := os.ReadFile(state + ".peers")
		switch {
		case err == nil:
			if err := json.Unmarshal(b, &peers); err != nil {
				return err
			}
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, p := range peers {
		t.AddPeers([]torrent.PeerInfo{{Addr: torrent.StringAddr(p), Trusted: true}})
	}
	t.DownloadAll()
	select {
	case <-t.Complete().On():
		return writeReport(state+".done", stockReport{At: time.Now().UnixNano()})
	case <-ctx.Done():
		return ctx.Err()
	}
}

func writeReport(path string, r stockReport) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeWhole(path, b)
}

// writeWhole lets nobody read half of a file.
func writeWhole(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readReport(ctx context.Context, p *process, path string) (r stockReport, err error) {
	err = await(ctx, p, func() (bool, error) {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, json.Unmarshal(b, &r)
	})
	return r, err
}

// A stockClient is such a client and its files.
type stockClient struct {
	*process
	state string
	addr  string
}

// stockHerd has stock clients of anacrolix's library fetch, all of which know
// one another.
func (r *rig) stockHerd(ctx context.Context, f *field, img imageDir) (res passage, err error) {
	dir := filepath.Join(r.dir, "stock")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return res, err
	}
	defer os.RemoveAll(dir)
	b, err := makeTorrent(img, "http://127.0.0.1:1/announce")
	if err != nil {
		return res, err
	}
	meta := filepath.Join(dir, "bench.torrent")
	if err := os.WriteFile(meta, b, 0o600); err != nil {
		return res, err
	}
	var clients []*stockClient
	defer func() {
		for _, c := range clients {
			c.kill()
		}
	}()
	var peers []string
	start := func(i int, limit int64) error {
		c, err := r.startStock(ctx, f.at(i), filepath.Join(dir, strconv.Itoa(len(clients))), meta, limit, img, i == 0)
		if err == nil {
			clients, peers = append(clients, c), append(peers, c.addr)
		}
		return err
	}
	if err := start(0, f.source); err != nil {
		return res, err
	}
	for i := range f.nodes {
		if err := start(i+1, f.uplink(i)); err != nil {
			return res, err
		}
	}
	if err := r.warm.settleFor(f.written()); err != nil {
		return res, err
	}
	list, err := json.Marshal(peers)
	if err != nil {
		return res, err
	}
	all := make([]*process, len(clients))
	for i, c := range clients {
		all[i] = c.process
	}
	cpu, began := cpuOf(all), time.Now()
	for _, c := range clients[1:] {
		if err := writeWhole(c.state+".peers", list); err != nil {
			return res, err
		}
	}
	var shake func() error
	if f.churn {
		shake = func() error {
			for i := f.steady() + 1; i < f.nodes; i++ { // start adds to clients
				clients[i].kill()
				if err := start(i, f.uplink(i-1)); err != nil {
					return err
				}
				if err := writeWhole(clients[len(clients)-1].state+".peers", list); err != nil {
					return err
				}
			}
			return clients[f.nodes].cmd.Process.Signal(syscall.SIGSTOP)
		}
	}
	if shake != nil {
		select {
		case <-time.After(time.Duration(f.ideal() / 3 * float64(time.Second))):
		case <-ctx.Done():
			return res, ctx.Err()
		}
		if err := shake(); err != nil {
			return res, err
		}
	}
	for i, c := range clients[1 : 1+f.steady()] {
		done, err := readReport(ctx, c.process, c.state+".done")
		if err != nil {
			return res, err
		}
		took := time.Unix(0, done.At).Sub(began).Seconds()
		res.seconds = max(res.seconds, took)
		if i == 0 || took < res.first {
			res.first = took
		}
	}
	res.cpu = cpuOf(all) - cpu
	for i, c := range clients[:1+f.steady()] {
		c.stop()
		end, err := readReport(ctx, c.process, c.state+".end")
		if err != nil {
			return res, err
		}
		if i == 0 {
			res.sent = end.Sent
		}
		res.wasted += end.Received - end.Useful
	}
	return res, nil
}

func (r *rig) startStock(ctx context.Context, at site, dir, meta string, limit int64, img imageDir, seed bool) (*stockClient, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if seed {
		for _, name := range img.layers {
			if err := os.Link(filepath.Join(img.blobs(), name), filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		}
	}
	return r.startSeeder(ctx, at, dir, meta, limit)
}

// startSeeder starts a client that has what is in its directory.
func (r *rig) startSeeder(ctx context.Context, at site, dir, meta string, limit int64) (_ *stockClient, err error) {
	c := &stockClient{state: dir + ".state"}
	c.process, err = startProcessAt(ctx, at, dir+".log", os.Environ(), r.self, childRole, stock, dir, meta, at.ip, strconv.FormatInt(limit, 10), c.state)
	if err != nil {
		return nil, err
	}
	report, err := readReport(ctx, c.process, c.state+".addr")
	if err != nil {
		c.kill()
		return nil, fmt.Errorf("starting a client: %w", err)
	}
	c.addr = report.Addr
	return c, nil
}
