package tiles

import (
	"fmt"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

// Verify says whether a signed note is the checkpoint of the log that somebody
// wants to read.
type Verify func(signed []byte) (ledger.Checkpoint, error)

// ByKeys accepts checkpoints that one of the keys signed, whose names are the
// origins of their logs.
func ByKeys(keys ...note.Key) Verify {
	return func(signed []byte) (ledger.Checkpoint, error) {
		n, err := note.Parse(signed)
		if err != nil {
			return ledger.Checkpoint{}, fmt.Errorf("reading checkpoint: %w", err)
		}
		c, err := ledger.ParseCheckpointText(n.Text)
		if err != nil {
			return ledger.Checkpoint{}, fmt.Errorf("reading checkpoint: %w", err)
		}
		for _, k := range keys {
			if k.Name != c.Origin {
				continue
			}
			if _, ok, err := n.Find(k); ok || err != nil {
				return c, err
			}
		}
		return ledger.Checkpoint{}, fmt.Errorf("verifying checkpoint of %s: %w", c.Origin, ledger.ErrBadSignature)
	}
}

// ByAuthor accepts checkpoints of an author's log, signed by the keys that the
// inception and the key events after it name. They prove themselves, so they may
// come from anybody.
func ByAuthor(author ledger.AuthorID, inception []byte, events ...ledger.KeyEvent) (Verify, error) {
	if ledger.AuthorIDOf(inception) != author {
		return nil, fmt.Errorf("reading inception: %w", ledger.ErrWrongAuthor)
	}
	e, keys, err := ledger.FollowKeys(inception, events)
	if err != nil {
		return nil, fmt.Errorf("following keys: %w", err)
	}
	return func(signed []byte) (ledger.Checkpoint, error) {
		return ledger.ParseCheckpoint(signed, ledger.Origin(e.Inception.Network, author), keys)
	}, nil
}
