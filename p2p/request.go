package p2p

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Request asks a peer and returns its answer, connecting first if need be. A
// refusal of the peer is a *RemoteError. The answer is at most as long as this
// node's own handler of the operation allows, else MaxAnswer. Without a
// deadline in the context it ends after twice the configured RequestTimeout.
func (h *Host) Request(ctx context.Context, to peer.ID, op string, req []byte) ([]byte, error) {
	if !isWord(op) || len(req) > MaxRequest {
		return nil, fmt.Errorf("requesting %q with %d bytes: %w", op, len(req), ErrTooLarge)
	}
	h.stats.sent.Add(1)
	res, err := h.request(ctx, to, op, req)
	if err != nil {
		h.stats.failed.Add(1)
		return nil, fmt.Errorf("requesting %s from %s: %w", op, to, oneLine(err))
	}
	return res, nil
}

func (h *Host) request(ctx context.Context, to peer.ID, op string, req []byte) ([]byte, error) {
	if h.bans.has(to) {
		return nil, ErrBlocked
	}
	ctx, cancel := context.WithTimeout(ctx, 2*h.cfg.RequestTimeout)
	defer cancel()
	stream, err := h.net.NewStream(overRelay(ctx, "request"), to, h.syncProto)
	if err != nil {
		return nil, err
	}
	defer stream.Reset() // a no-op when both sides are done
	stop := context.AfterFunc(ctx, func() { stream.Reset() })
	defer stop()
	if d, ok := ctx.Deadline(); ok {
		stream.SetDeadline(d)
	}
	code, res, err := exchange(stream, op, req, h.answerLimit(op))
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.Is(err, os.ErrDeadlineExceeded): // the stream's clock went first
		return nil, fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	case err != nil:
		return nil, err
	case code != codeOK:
		return nil, &RemoteError{Peer: to, Code: code, Text: printable(string(res), maxErrorText)}
	}
	return res, nil
}

// exchange writes the request and reads the answer. A peer that refuses before
// it has read everything may stop reading, so a failed write is reported only if
// there is no answer either.
func exchange(stream network.Stream, op string, req []byte, max int) (string, []byte, error) {
	msg := appendFrame(make([]byte, 0, len(op)+len(req)+8), []byte(op))
	msg = appendFrame(msg, req)
	_, writeErr := stream.Write(msg)
	if writeErr == nil {
		writeErr = stream.CloseWrite()
	}
	code, res, err := readMessage(stream, func(code string) (int, error) {
		if code == codeOK {
			return max, nil
		}
		return maxErrorText, nil
	})
	if err != nil {
		if writeErr != nil {
			err = fmt.Errorf("%w (writing request: %w)", err, writeErr)
		}
		return "", nil, err
	}
	return code, res, nil
}

func (h *Host) answerLimit(op string) int {
	if o, ok := h.server.op(op); ok {
		return o.max
	}
	return MaxAnswer
}
