package tiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// OpenAuthor opens the log of an author, whose first entry says who may sign.
// When that is not who did, it reads the whole log for those who came after.
func OpenAuthor(ctx context.Context, f Fetcher, author ledger.AuthorID) (*Reader, error) {
	unverified, err := Open(ctx, f, unsigned)
	if err != nil {
		return nil, err
	}
	inception, err := unverified.Entry(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	verify, err := ByAuthor(author, inception)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	r, err := OpenAt(f, unverified.signed, verify)
	if !errors.Is(err, ledger.ErrBadSignature) {
		return r, err
	}
	events, err := unverified.keyEvents(ctx, author)
	if err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	if verify, err = ByAuthor(author, inception, events...); err != nil {
		return nil, fmt.Errorf("opening log: %w", err)
	}
	return OpenAt(f, unverified.signed, verify)
}

// unsigned takes any checkpoint, whoever signed it.
func unsigned(signed []byte) (ledger.Checkpoint, error) {
	n, err := note.Parse(signed)
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	return ledger.ParseCheckpointText(n.Text)
}

// maxKeyEvents is more than a log may have.
const maxKeyEvents = 1024

// keyEvents reads the log for entries that change its keys.
func (r *Reader) keyEvents(ctx context.Context, author ledger.AuthorID) ([]ledger.KeyEvent, error) {
	var out []ledger.KeyEvent
	err := r.Entries(ctx, 1, r.checkpoint.Size, func(index uint64, leaf []byte) error {
		e, err := ledger.DecodeEntry(author, index, leaf)
		if err != nil {
			return fmt.Errorf("reading entry %d: %w", index, err)
		}
		switch e.Statement.(type) {
		case *ledger.Rotate, *ledger.Recover, *ledger.Retire:
			out = append(out, ledger.KeyEvent{Index: index, Entry: bytes.Clone(leaf)})
		}
		if len(out) > maxKeyEvents {
			return fmt.Errorf("%w: more than %d key events", ledger.ErrTooLarge, maxKeyEvents)
		}
		return nil
	})
	return out, err
}
