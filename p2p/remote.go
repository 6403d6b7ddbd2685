package p2p

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	codeOK       = "ok"
	maxErrorText = 512 // bytes
)

// RemoteError is a peer's refusal. errors.Is finds the sentinel of its code.
type RemoteError struct {
	Peer peer.ID
	Code string // "not-found", "busy", "bad-request", "too-large", "denied", "unknown-op" or "internal"
	Text string // written by the peer; printable ASCII, at most 512 bytes
}

func (e *RemoteError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("peer %s answers %s", e.Peer, e.Code)
	}
	return fmt.Sprintf("peer %s answers %s: %q", e.Peer, e.Code, e.Text)
}

// Unwrap returns the sentinel of the code.
func (e *RemoteError) Unwrap() error { return sentinelOf(e.Code) }

func sentinelOf(code string) error {
	switch code {
	case "not-found":
		return ErrNotFound
	case "busy":
		return ErrBusy
	case "bad-request":
		return ErrBadRequest
	case "too-large":
		return ErrTooLarge
	case "denied":
		return ErrDenied
	case "unknown-op":
		return ErrUnknownOp
	default:
		return ErrInternal
	}
}

// codeOf is the code that tells a peer of an error, and the text that goes with
// it. Errors that are not meant for peers keep their text here.
func codeOf(err error) (code, text string) {
	switch {
	case errors.Is(err, ErrNotFound):
		code = "not-found"
	case errors.Is(err, ErrBusy):
		code = "busy"
	case errors.Is(err, ErrBadRequest), errors.Is(err, ErrBadFrame):
		code = "bad-request"
	case errors.Is(err, ErrTooLarge):
		code = "too-large"
	case errors.Is(err, ErrDenied):
		code = "denied"
	case errors.Is(err, ErrUnknownOp):
		code = "unknown-op"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "internal", "took too long"
	default:
		return "internal", ""
	}
	return code, printable(err.Error(), maxErrorText)
}
