package ledger

import (
	"errors"
	"fmt"

	c2sp "github.com/dockchains/dockchain/ledger/note"
)

// WitnessRule says whether enough witnesses have seen a log; policy.Rule is one.
type WitnessRule interface {
	// Witnessed is told signed checkpoints of one log that agree with all that is
	// known of it here. It returns whether they will do, the size of the log at
	// the one that counts, and why, in a sentence for a person.
	Witnessed(checkpoints ...[]byte) (ok bool, size uint64, text string)
	// IsRequired reports whether it ever says no.
	IsRequired() bool
}

// Require has all verdicts from here on ask what witnesses have seen. It is for
// before the first one.
func (l *Ledger) Require(rule WitnessRule) { l.witnesses = rule }

func (t *trial) witnessed() (bool, string) {
	switch {
	case t.ledger.witnesses == nil:
		return true, "Not asked for by this node."
	case !t.isLogged:
		return false, "Not checked, because the release is not proven to be in its author's log."
	}
	notes, err := t.sightings()
	if err != nil {
		return false, fmt.Sprintf("What witnesses have seen could not be looked up: %v.", err)
	}
	ok, size, text := t.ledger.witnesses.Witnessed(notes...)
	t.seenSize = size
	return ok, text
}

// sightings are the checkpoints that witnesses may have cosigned: the one of the
// proof, the newest here, and those that the claim brings. They have the release
// in their log, and do not contradict what is here.
func (t *trial) sightings() ([][]byte, error) {
	notes := [][]byte{t.claim.Proved.Checkpoint}
	head, err := t.ledger.Head(t.entry.Author)
	if errors.Is(err, ErrUnknownAuthor) || err == nil && (!t.isGrown || head.Size <= t.entry.Index) {
		return notes, nil
	}
	if err != nil {
		return nil, err
	}
	notes = append(notes, head.Checkpoint)
	for _, signed := range t.claim.Cosigned {
		n, err := c2sp.Parse(signed)
		if err != nil {
			continue // nothing that counts
		}
		c, err := ParseCheckpointText(n.Text)
		if err != nil || c.Origin != t.checkpoint.Origin || c.Size <= t.entry.Index || c.Size > head.Size {
			continue
		}
		root, err := t.ledger.rootAt(t.entry.Author, c.Size)
		if err != nil {
			return nil, err
		}
		if root == c.Root {
			notes = append(notes, signed)
		}
	}
	return notes, nil
}

// isOutOfDate reports whether the witnesses saw more of the log than is here, so
// that the tag may have been released again.
func (t *trial) isOutOfDate() (bool, error) {
	if t.ledger.witnesses == nil || !t.ledger.witnesses.IsRequired() || t.claim.Content == nil {
		return false, nil
	}
	head, err := t.ledger.Head(t.entry.Author)
	if errors.Is(err, ErrUnknownAuthor) {
		return true, nil
	}
	return head.Size < t.seenSize, err
}
