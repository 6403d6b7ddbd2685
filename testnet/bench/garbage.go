package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// blobKey, before the hex of a digest, is what holders of the blob are found by.
const blobKey = "/blob/sha256:"

// runGarbage is a number of peers that claim to hold a layer and send the wrong
// bytes of it, until they are told to end:
//
//	garbage COUNT DIR NETWORK BOOTSTRAP LAYER KEY STATE
//
// LAYER is the file, named by the hex of its digest; KEY is what holders of it
// are found by.
func runGarbage(count, dir, network, bootstrap, layer, key, state string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	share, err := corruptedLayer(ctx, layer)
	if err != nil {
		return err
	}
	var liars []*liar
	g, gctx := errgroup.WithContext(ctx)
	for i := range n {
		l, err := newLiar(filepath.Join(dir, fmt.Sprintf("%d.key", i)), network, share)
		if err != nil {
			return err
		}
		liars = append(liars, l)
		g.Go(func() error { return l.host.Run(gctx) })
		g.Go(func() error { return l.swarm.Run(gctx) })
		if err := l.host.Connect(ctx, bootstrap); err != nil {
			return err
		}
	}
	for _, l := range liars {
		if err := l.host.Provide(ctx, []byte(key)); err != nil {
			return fmt.Errorf("claiming to hold the layer: %w", err)
		}
	}
	if err := writeReport(state+".addr", stockReport{Addr: liars[0].host.Addrs()[0]}); err != nil {
		return err
	}
	if err := g.Wait(); ctx.Err() == nil {
		return err
	}
	var r stockReport
	for _, l := range liars {
		r.Sent += l.swarm.Stats().Sent
		if err := errors.Join(l.swarm.Close(), l.host.Close()); err != nil {
			return err
		}
	}
	return writeReport(state+".end", r)
}

// A liar is one such peer.
type liar struct {
	host  *p2p.Host
	swarm *swarm.Swarm
}

type resolver func(swarm.Infohash) ([]byte, []swarm.Source, bool)

func newLiar(keyFile, network string, share resolver) (*liar, error) {
	key, err := p2p.LoadOrCreateKey(keyFile)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	l := &liar{}
	l.host, err = p2p.New(p2p.Config{Network: network, Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Validator: anyRecord{}}, log)
	if err != nil {
		return nil, err
	}
	if l.swarm, err = swarm.New(swarm.Config{Resolve: share}, log); err != nil {
		return nil, errors.Join(err, l.host.Close())
	}
	l.host.HandleStream(func(from peer.ID, c net.Conn) { l.swarm.Accept(from.String(), c) })
	l.host.SetGossip(func(context.Context, peer.ID, []byte) p2p.Judgement { return p2p.Accept }, func(context.Context, peer.ID, []byte) {})
	l.host.SetEvidence(func(context.Context, peer.ID, []byte) p2p.Judgement { return p2p.Accept }, nil)
	return l, nil
}

// corruptedLayer gives a layer's torrent with every byte wrong.
func corruptedLayer(ctx context.Context, path string) (resolver, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	info, ih, err := swarm.BuildLayer(ctx, filepath.Base(path), st.Size(), f)
	if err != nil {
		return nil, err
	}
	return func(asked swarm.Infohash) ([]byte, []swarm.Source, bool) {
		open := func() (io.ReaderAt, io.Closer, error) {
			f, err := os.Open(path)
			return inverted{f}, f, err
		}
		return info, []swarm.Source{{Size: st.Size(), Open: open}}, asked == ih
	}, nil
}

type inverted struct{ io.ReaderAt }

func (r inverted) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(b, off)
	for i := range b[:n] {
		b[i] ^= 0xff
	}
	return n, err
}

// anyRecord keeps every DHT record.
type anyRecord struct{}

func (anyRecord) Validate(string, []byte) error        { return nil }
func (anyRecord) Select(string, [][]byte) (int, error) { return 0, nil }

// A gang is the process of some of them.
type gang struct {
	*process
	dir, state string
}

// startLiars has peers of a node's claim to hold the layer of an image.
func (r *rig) startLiars(ctx context.Context, count int, img imageDir, to *nodeProcess) (*gang, error) {
	dir, err := os.MkdirTemp(r.dir, "garbage-")
	if err != nil {
		return nil, err
	}
	g := &gang{dir: dir, state: filepath.Join(dir, "state")}
	layer := filepath.Join(img.blobs(), img.layers[0])
	g.process, err = startProcess(ctx, filepath.Join(dir, "log"), os.Environ(), r.self, childRole, "garbage",
		strconv.Itoa(count), dir, r.network, to.addresses.Peer[0], layer, blobKey+img.layers[0], g.state)
	if err != nil {
		return nil, err
	}
	if _, err := readReport(ctx, g.process, g.state+".addr"); err != nil {
		g.kill()
		return nil, fmt.Errorf("starting peers that send garbage: %w", err)
	}
	return g, nil
}

// end stops them and gives the bytes that they got rid of.
func (g *gang) end(ctx context.Context) (int64, error) {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	report, err := readReport(ctx, g.process, g.state+".end")
	g.stop()
	return report.Sent, errors.Join(err, os.RemoveAll(g.dir))
}
