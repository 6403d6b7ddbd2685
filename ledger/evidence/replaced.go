package evidence

import (
	"fmt"
	"slices"

	"github.com/dockchains/dockchain/ledger"
)

// Replaced reports whether one side goes on under keys that were replaced before
// its end in the log that seen is of: it was signed by somebody who has the old
// keys and not those that they committed to. Such a fork is no reason to freeze
// the log that was seen. The proof must have been verified, and be of the newest
// checkpoint that is known.
func (f *Fork) Replaced(seen *ledger.Proved) (bool, error) {
	if seen.Author() != f.Author {
		return false, fmt.Errorf("comparing keys with those of %s: %w", seen.Author(), ledger.ErrWrongAuthor)
	}
	for _, side := range []Side{f.Older, f.Newer} {
		now, err := seen.KeysAt(side.Size)
		if err != nil {
			return false, fmt.Errorf("comparing keys: %w", err)
		}
		if sameKeys(now, side.Keys) {
			continue
		}
		for _, event := range append(slices.Clip(seen.KeyEvents), ledger.KeyEvent{Index: seen.Index}) {
			before, err := seen.KeysAt(event.Index)
			if err != nil {
				return false, fmt.Errorf("comparing keys: %w", err)
			}
			if event.Index < side.Size && sameKeys(before, side.Keys) {
				return true, nil
			}
		}
	}
	return false, nil
}

func sameKeys(a, b ledger.KeyState) bool {
	return a.Threshold == b.Threshold && slices.Equal(a.Keys, b.Keys)
}
