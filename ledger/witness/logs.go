package witness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Logs says whose checkpoints are cosigned.
type Logs interface {
	// Verify returns nil when the log of the checkpoint's origin signed it,
	// ErrUnknownLog when no log of this origin is witnessed here, and
	// ErrUntrusted when it did not sign. The checkpoint is that of the note.
	Verify(ctx context.Context, c ledger.Checkpoint, n note.Note) error
}

// Keys are logs, by their origins, with fixed keys of type 0x01, any one of
// which suffices.
type Keys map[string][]note.Key

// NewKeys returns the logs whose origins are the names of their keys.
func NewKeys(keys ...note.Key) (Keys, error) {
	out := Keys{}
	for _, k := range keys {
		if k.Alg != note.Ed25519 {
			return nil, fmt.Errorf("reading key of log %s: %w: want type 0x01", k.Name, note.ErrUnsupported)
		}
		if err := ledger.PublicKey(k.Public).Check(); err != nil {
			return nil, fmt.Errorf("reading key of log %s: %w", k.Name, err)
		}
		if !slices.Contains(out[k.Name], k) {
			out[k.Name] = append(out[k.Name], k)
		}
	}
	return out, nil
}

// Verify implements Logs.
func (l Keys) Verify(_ context.Context, c ledger.Checkpoint, n note.Note) error {
	keys, ok := l[c.Origin]
	if !ok {
		return ErrUnknownLog
	}
	signed := false
	for _, k := range keys {
		_, found, err := n.Find(k)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		signed = signed || found
	}
	if !signed {
		return ErrUntrusted
	}
	return nil
}

// Origins are the logs, in ascending order.
func (l Keys) Origins() []string { return slices.Sorted(maps.Keys(l)) }

// LogsFunc makes Logs of a function.
type LogsFunc func(ctx context.Context, c ledger.Checkpoint, n note.Note) error

// Verify implements Logs.
func (f LogsFunc) Verify(ctx context.Context, c ledger.Checkpoint, n note.Note) error {
	return f(ctx, c, n)
}

// AuthorProver proves entries of authors' logs; ledger.Ledger is one.
type AuthorProver interface {
	Prove(ctx context.Context, author ledger.AuthorID, index uint64) (*ledger.Proved, error)
}

// Authors are the logs of the authors that this node has, signed by the keys
// that they had at the size of the checkpoint, as far as the node has read them.
func Authors(p AuthorProver) Logs {
	return LogsFunc(func(ctx context.Context, c ledger.Checkpoint, n note.Note) error {
		_, name, ok := strings.Cut(c.Origin, "/l/")
		author, err := ledger.ParseAuthorID(name)
		if !ok || err != nil {
			return ErrUnknownLog
		}
		known, err := p.Prove(ctx, author, 0)
		switch {
		case errors.Is(err, ledger.ErrUnknownAuthor):
			return ErrUnknownLog
		case err != nil:
			return err
		}
		if _, err := known.VerifyOther(n.Encode()); err != nil {
			return fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		return nil
	})
}
