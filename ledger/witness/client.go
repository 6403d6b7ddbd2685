package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Transport carries the body of a request to a witness and its answer back.
type Transport interface {
	AddCheckpoint(ctx context.Context, body []byte) (Answer, error)
}

// Prover proves that a log of newer entries begins with that of older ones.
type Prover func(ctx context.Context, older, newer uint64) ([]tlog.Hash, error)

// Client asks one witness. Its methods may be called concurrently.
type Client struct {
	transport Transport
	key       note.Key

	mu    sync.Mutex
	sizes map[string]uint64 // by origin: what the witness cosigned last, as far as known
}

// maxSizes bounds the logs whose size a client remembers. To have forgotten one
// costs a round trip.
const maxSizes = 1 << 14

// NewClient returns a client for the witness with this key.
func NewClient(key note.Key, t Transport) *Client {
	return &Client{transport: t, key: key, sizes: map[string]uint64{}}
}

// Key verifies what the witness signs.
func (c *Client) Key() note.Key { return c.key }

// maxTries bounds the requests for one cosignature: a wrong guess of the size,
// and a race or two that others win.
const maxTries = 4

// Cosign gets the witness's cosignature on a signed checkpoint.
//
// ErrAhead, with a *SizeError, means that the witness has cosigned a longer log:
// another copy of this log has been signing, or this one was restored from a
// backup. ErrFork means that it has cosigned another root for this size.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte, prove Prover) (note.Sig, error) {
	n, head, err := readCheckpoint(checkpoint)
	if err != nil {
		return note.Sig{}, fmt.Errorf("asking witness %s: %w", c.key.Name, err)
	}
	sig, err := c.cosign(ctx, n, head, checkpoint, prove)
	if err != nil {
		return note.Sig{}, fmt.Errorf("asking witness %s: %w", c.key.Name, err)
	}
	return sig, nil
}

func readCheckpoint(signed []byte) (note.Note, ledger.Checkpoint, error) {
	n, err := note.Parse(signed)
	if err != nil {
		return note.Note{}, ledger.Checkpoint{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	head, err := ledger.ParseCheckpointText(n.Text)
	if err != nil {
		return note.Note{}, ledger.Checkpoint{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return n, head, nil
}

func (c *Client) cosign(ctx context.Context, n note.Note, head ledger.Checkpoint, checkpoint []byte, prove Prover) (note.Sig, error) {
	old := min(c.size(head.Origin), head.Size)
	for range maxTries {
		r := Request{Old: old, Checkpoint: checkpoint}
		if old > 0 && old < head.Size {
			proof, err := prove(ctx, old, head.Size)
			if err != nil {
				return note.Sig{}, fmt.Errorf("proving growth: %w", err)
			}
			r.Proof = proof
		}
		a, err := c.transport.AddCheckpoint(ctx, r.Encode())
		if err != nil {
			return note.Sig{}, err
		}
		switch a.Status {
		case http.StatusOK:
			sig, err := c.pick(n, a.Body)
			if err == nil {
				c.remember(head.Origin, head.Size)
			}
			return sig, err
		case http.StatusConflict:
			if old, err = c.conflict(a, old, head); err != nil {
				return note.Sig{}, err
			}
		default:
			return note.Sig{}, a.err()
		}
	}
	return note.Sig{}, errTooManyRaces
}

// conflict returns the size to begin the next request at.
func (c *Client) conflict(a Answer, sent uint64, head ledger.Checkpoint) (uint64, error) {
	size, err := a.size()
	if err != nil {
		return 0, err
	}
	switch {
	case size > head.Size:
		return 0, errors.Join(ErrAhead, &SizeError{Size: size})
	case size == sent && size == head.Size:
		return 0, &SizeError{Size: size, Fork: true}
	case size == sent:
		return 0, fmt.Errorf("%w: a conflict with the size that it has", ErrBadAnswer)
	}
	c.remember(head.Origin, size)
	return size, nil
}

// pick returns the cosignature of this witness among signature lines, of which
// those of unknown keys are ignored.
func (c *Client) pick(n note.Note, lines []byte) (note.Sig, error) {
	sigs, err := note.ParseSigs(lines)
	if err != nil {
		return note.Sig{}, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	sig, ok, err := note.Note{Text: n.Text, Sigs: sigs}.Find(c.key)
	if err != nil || !ok {
		return note.Sig{}, errors.Join(ErrBadAnswer, err)
	}
	return sig, nil
}

func (c *Client) size(origin string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sizes[origin]
}

func (c *Client) remember(origin string, size uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.sizes[origin]; !known && len(c.sizes) >= maxSizes {
		for forgotten := range c.sizes {
			delete(c.sizes, forgotten)
			break
		}
	}
	c.sizes[origin] = size
}

// Collect asks all witnesses at once and returns the checkpoint with their
// cosignatures: as soon as enough says so of what is there, or when all have
// answered. Then the error joins what went wrong. Nil enough waits for all.
func Collect(ctx context.Context, checkpoint []byte, prove Prover, witnesses []*Client, enough func(note.Note) bool) (note.Note, error) {
	n, err := note.Parse(checkpoint)
	if err != nil {
		return note.Note{}, fmt.Errorf("collecting cosignatures: %w: %w", ErrMalformed, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		sig note.Sig
		err error
	}
	answers := make(chan answer, len(witnesses))
	for _, w := range witnesses {
		go func() {
			sig, err := w.Cosign(ctx, checkpoint, prove)
			answers <- answer{sig, err}
		}()
	}
	var failed []error
	for range witnesses {
		a := <-answers
		if a.err == nil {
			var with note.Note
			if with, a.err = n.With(a.sig); a.err == nil {
				n = with
			}
		}
		if a.err != nil {
			failed = append(failed, a.err)
		} else if enough != nil && enough(n) {
			return n, nil
		}
	}
	return n, errors.Join(failed...)
}
