package ledger

import (
	"context"
	"fmt"

	c2sp "github.com/dockchains/dockchain/ledger/note"
)

// Cosigned adds to the newest checkpoint of a log what witnesses with these keys
// signed of it; signed is the same checkpoint with more signatures, from anybody.
// It reports whether there was anything new. ErrConflict says that the log has
// another newest checkpoint.
func (l *Ledger) Cosigned(ctx context.Context, author AuthorID, signed []byte, keys ...c2sp.Key) (bool, error) {
	more, err := c2sp.Parse(signed)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrBadCheckpoint, err)
	}
	added := false
	err = l.locked(ctx, author, func(s *state) error {
		if s.head.Size == 0 {
			return ErrUnknownAuthor
		}
		ours, err := c2sp.Parse(s.head.Checkpoint)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBadCheckpoint, err)
		}
		if ours.Text != more.Text {
			return ErrConflict
		}
		both, fresh, err := ours.Adopt(more.Sigs, keys...)
		if err != nil || !fresh {
			return err
		}
		head := s.head
		head.Checkpoint = both.Encode()
		if err := l.store.Commit(ctx, author, head.Size, nil, nil, nil, head); err != nil {
			s.loaded = false // whether or not the store has it is for the store to say
			return err
		}
		s.head, added = head, true
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("keeping cosignatures of %s: %w", author, err)
	}
	return added, nil
}
