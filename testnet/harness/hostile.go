package testnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/p2p"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// Hostile is a peer that speaks the network's protocols and says in them what
// the test wants: whatever a question is, it answers what Answer was given, and
// whatever torrent is asked for, it serves what Share was given.
type Hostile struct {
	Host *p2p.Host
	t    testing.TB
	log  *slog.Logger

	mu       sync.Mutex
	torrents map[swarm.Infohash]Torrent
	asked    map[string]int // by operation
}

// Torrent is an info dict and the bytes that are given for its pieces.
type Torrent struct {
	Info  []byte
	Files []swarm.Source
}

// Hostile makes a hostile peer that is not connected to anybody yet.
func (n *Net) Hostile() *Hostile {
	n.t.Helper()
	h := &Hostile{t: n.t, torrents: map[swarm.Infohash]Torrent{}, asked: map[string]int{}}
	h.log = slog.New(slog.NewTextHandler(newLogbook(n.t, "hostile peer"), &slog.HandlerOptions{Level: slog.LevelDebug}))
	if err := h.open(filepath.Join(n.dir, fmt.Sprintf("hostile-%p.key", h))); err != nil {
		n.t.Fatalf("starting a hostile peer: %v", err)
	}
	return h
}

func (h *Hostile) open(keyFile string) error {
	key, err := p2p.LoadOrCreateKey(keyFile)
	if err != nil {
		return err
	}
	h.Host, err = p2p.New(p2p.Config{
		Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Validator: anything{},
	}, h.log)
	if err != nil {
		return err
	}
	sw, err := swarm.New(swarm.Config{Resolve: h.resolve, Dial: func(ctx context.Context, id string) (net.Conn, error) {
		p, err := peer.Decode(id)
		if err != nil {
			return nil, err
		}
		return h.Host.DialStream(ctx, p)
	}}, h.log)
	if err != nil {
		return errors.Join(err, h.Host.Close())
	}
	h.Host.HandleStream(func(from peer.ID, c net.Conn) {
		h.count("stream")
		sw.Accept(from.String(), c)
	})
	// Gossip passes through it unread.
	h.Host.SetGossip(func(context.Context, peer.ID, []byte) p2p.Judgement { return p2p.Accept },
		func(context.Context, peer.ID, []byte) {})
	h.Host.SetEvidence(func(context.Context, peer.ID, []byte) p2p.Judgement { return p2p.Accept }, nil)
	h.run(sw)
	return nil
}

func (h *Hostile) run(sw *swarm.Swarm) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{h.Host.Run, sw.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				h.t.Errorf("running a hostile peer: %v", err)
			}
		})
	}
	h.t.Cleanup(func() {
		stop()
		wg.Wait()
		if err := errors.Join(sw.Close(), h.Host.Close()); err != nil {
			h.t.Errorf("closing a hostile peer: %v", err)
		}
	})
}

func (h *Hostile) resolve(ih swarm.Infohash) ([]byte, []swarm.Source, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.torrents[ih]
	return t.Info, t.Files, ok
}

// ID is its peer id.
func (h *Hostile) ID() peer.ID { return h.Host.ID() }

// Addr is a multiaddr under which it can be dialled.
func (h *Hostile) Addr() string { return h.Host.Addrs()[0] }

// Connect connects it to a node, and waits until the node takes it for a member
// of the network.
func (h *Hostile) Connect(n *Node) *Hostile {
	h.t.Helper()
	ctx, cancel := Deadline(h.t)
	defer cancel()
	if err := h.Host.Connect(ctx, n.Addr()); err != nil {
		h.t.Fatalf("connecting a hostile peer: %v", err)
	}
	n.AwaitPeer(h.ID())
	Await(h.t, "the hostile peer to be heard", func() bool {
		known := members(h.Host)
		return slices.Contains(known, n.ID()) && h.Host.Stats().Listeners >= len(known)
	})
	return h
}

// ConnectAddr connects it to any peer.
func (h *Hostile) ConnectAddr(addr string) {
	h.t.Helper()
	ctx, cancel := Deadline(h.t)
	defer cancel()
	if err := h.Host.Connect(ctx, addr); err != nil {
		h.t.Fatalf("connecting a hostile peer: %v", err)
	}
}

// Answer sets what it answers to an operation. Until then it knows none.
func (h *Hostile) Answer(op string, f func(req []byte) ([]byte, error)) *Hostile {
	h.Host.Handle(op, p2p.MaxAnswer, func(_ context.Context, _ peer.ID, req []byte) ([]byte, error) {
		h.count(op)
		return f(req)
	})
	return h
}

func (h *Hostile) count(op string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[op]++
}

// Asked is how often it was asked an operation; "stream" counts the torrents
// that were asked for.
func (h *Hostile) Asked(op string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[op]
}

// Mimic makes it answer everything as an honest node would, but for what is
// answered otherwise from then on.
func (h *Hostile) Mimic(n *Node) *Hostile {
	for _, op := range n.Exchange().Operations() {
		h.Answer(op.Name, func(req []byte) ([]byte, error) {
			b, err := op.Answer(context.Background(), h.ID(), req)
			if err != nil {
				err = fmt.Errorf("%w: %w", p2p.ErrNotFound, err)
			}
			return b, err
		})
	}
	return h
}

// Share makes it serve a torrent, whether the bytes fit its info dict or not.
func (h *Hostile) Share(ih swarm.Infohash, t Torrent) *Hostile {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.torrents[ih] = t
	return h
}

// Claim makes it say in the DHT that it holds what a key stands for.
func (h *Hostile) Claim(key []byte) *Hostile {
	h.t.Helper()
	ctx, cancel := Deadline(h.t)
	defer cancel()
	if err := h.Host.Provide(ctx, key); err != nil {
		h.t.Fatalf("claiming to hold something: %v", err)
	}
	return h
}

// Gossip makes it gossip some bytes.
func (h *Hostile) Gossip(b []byte) *Hostile {
	h.t.Helper()
	if err := h.Host.Publish(h.t.Context(), b); err != nil {
		h.t.Fatalf("gossiping: %v", err)
	}
	return h
}

// Accuse makes it gossip some bytes as evidence against an author.
func (h *Hostile) Accuse(b []byte) *Hostile {
	h.t.Helper()
	if err := h.Host.PublishEvidence(h.t.Context(), b); err != nil {
		h.t.Fatalf("gossiping evidence: %v", err)
	}
	return h
}

// anything keeps every DHT record.
type anything struct{}

func (anything) Validate(string, []byte) error        { return nil }
func (anything) Select(string, [][]byte) (int, error) { return 0, nil }

// Corrupted gives the same files with every byte wrong.
func Corrupted(files []swarm.Source) []swarm.Source {
	out := make([]swarm.Source, len(files))
	for i, f := range files {
		out[i] = swarm.Source{Path: f.Path, Size: f.Size, Open: func() (io.ReaderAt, io.Closer, error) {
			r, c, err := open(f)
			return inverted{r}, c, err
		}}
	}
	return out
}

func open(f swarm.Source) (io.ReaderAt, io.Closer, error) {
	if f.Open == nil {
		return readerAt(f.Data), io.NopCloser(nil), nil
	}
	return f.Open()
}

type inverted struct{ io.ReaderAt }

func (r inverted) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(b, off)
	for i := range b[:n] {
		b[i] ^= 0xff
	}
	return n, err
}

type readerAt []byte

func (r readerAt) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(r)) {
		return 0, io.EOF
	}
	n := copy(b, r[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
