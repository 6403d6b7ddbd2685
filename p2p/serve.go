package p2p

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Handler answers one kind of direct request. An error that wraps one of the
// package's coded sentinels reaches the peer as code and text; any other
// reaches it as "internal" and nothing more.
type Handler func(ctx context.Context, from peer.ID, req []byte) ([]byte, error)

type operation struct {
	max    int
	handle Handler
}

// server answers direct requests.
type server struct {
	cfg   Config
	log   *slog.Logger
	stats *counters

	mu    sync.Mutex
	ops   map[string]operation
	busy  map[peer.ID]int // requests being answered
	total int
}

func newServer(cfg Config, log *slog.Logger, stats *counters) *server {
	return &server{cfg: cfg, log: log, stats: stats, ops: map[string]operation{}, busy: map[peer.ID]int{}}
}

// Handle sets the handler of an operation, whose answers are at most max bytes
// (and at most MaxAnswer): longer ones are refused on both sides.
func (h *Host) Handle(op string, max int, f func(ctx context.Context, from peer.ID, req []byte) ([]byte, error)) {
	s := h.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops[op] = operation{min(max, MaxAnswer), f}
}

func (s *server) op(name string) (operation, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op, ok := s.ops[name]
	return op, ok
}

// enter takes a place for a request of the peer, if there is one.
func (s *server) enter(from peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[from] >= s.cfg.RequestsPerPeer || s.total >= s.cfg.Requests {
		return false
	}
	s.busy[from]++
	s.total++
	return true
}

func (s *server) leave(from peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.busy[from]--; s.busy[from] == 0 {
		delete(s.busy, from)
	}
}

// serve handles one stream.
func (s *server) serve(stream network.Stream) {
	from := stream.Conn().RemotePeer()
	if !s.enter(from) {
		s.stats.refused.Add(1)
		s.answer(stream, nil, fmt.Errorf("%w: too many requests at once", ErrBusy))
		return
	}
	defer s.leave(from)

	stream.SetReadDeadline(time.Now().Add(s.cfg.RequestTimeout))
	name, req, err := readMessage(stream, func(name string) (int, error) {
		if _, ok := s.op(name); !ok {
			return 0, ErrUnknownOp
		}
		return MaxRequest, nil
	})
	if err != nil {
		s.stats.broken.Add(1)
		s.log.Debug("direct request refused", "peer", from, "err", err)
		s.answer(stream, nil, err)
		return
	}
	res, err := s.handle(from, name, req)
	if s.answer(stream, res, err) {
		s.stats.served.Add(1)
	} else {
		s.stats.broken.Add(1)
	}
}

func (s *server) handle(from peer.ID, name string, req []byte) ([]byte, error) {
	op, _ := s.op(name)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.RequestTimeout)
	defer cancel()
	res, err := op.handle(ctx, from, req)
	if err == nil && len(res) > op.max {
		res, err = nil, fmt.Errorf("answering %s: %w: %d bytes, limit is %d", name, ErrInternal, len(res), op.max)
	}
	if code, _ := codeOf(err); err != nil && code == "internal" {
		s.log.Warn("direct request not answered", "peer", from, "op", name, "err", err)
	}
	return res, err
}

// answer writes the answer and ends the stream.
func (s *server) answer(stream network.Stream, res []byte, err error) bool {
	code := codeOK
	if err != nil {
		var text string
		code, text = codeOf(err)
		res = []byte(text)
	}
	msg := appendFrame(make([]byte, 0, len(res)+16), []byte(code))
	msg = appendFrame(msg, res)
	stream.SetWriteDeadline(time.Now().Add(s.cfg.RequestTimeout))
	if _, err := stream.Write(msg); err != nil {
		stream.Reset()
		return false
	}
	return stream.Close() == nil
}
