package evidence

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Common proves how much two histories have in common: both began with the root
// of Size entries, and the next entry differs. [0] is of the proved side, [1] of
// the other one.
type Common struct {
	Size   uint64
	Root   tlog.Hash
	Growth [2][]tlog.Hash // from Root to the root of the side
	Leaves [2]tlog.Hash   // hashes of entry Size
	Proofs [2][]tlog.Hash // that they are in the log of the side
}

// verify wants both verified sides to have exactly Size entries in common.
func (c *Common) verify(sides [2]ledger.Checkpoint) error {
	if c.Leaves[0] == c.Leaves[1] {
		return fmt.Errorf("%w: entry %d is the same", ErrNoFork, c.Size)
	}
	for i, side := range sides {
		if c.Size == 0 || c.Size >= side.Size {
			return fmt.Errorf("%w: %d entries in common with a log of %d", ErrMalformed, c.Size, side.Size)
		}
		if err := ledger.CheckConsistency(c.Growth[i], ledger.Checkpoint{Size: c.Size, Root: c.Root}, side); err != nil {
			return err
		}
		if err := tlog.CheckRecord(c.Proofs[i], int64(side.Size), side.Root, int64(c.Size), c.Leaves[i]); err != nil {
			return fmt.Errorf("%w: of entry %d", ledger.ErrBadProof, c.Size)
		}
	}
	return nil
}

// history is a log of some size, by its hashes.
type history struct {
	tlog.HashReader
	size uint64
}

func (h history) leaf(index uint64) (tlog.Hash, error) {
	hashes, err := h.ReadHashes([]int64{tlog.StoredHashIndex(0, int64(index))})
	if err != nil {
		return tlog.Hash{}, err
	}
	return hashes[0], nil
}

// findCommon proves what two histories have in common that are the same up to
// size from; nil: one is the beginning of the other.
func findCommon(from uint64, sides [2]history) (*Common, error) {
	for at := from; at < min(sides[0].size, sides[1].size); at++ {
		c := &Common{Size: at}
		for i, side := range sides {
			var err error
			if c.Leaves[i], err = side.leaf(at); err != nil {
				return nil, err
			}
		}
		if c.Leaves[0] == c.Leaves[1] {
			continue
		}
		if at == 0 {
			return nil, nil
		}
		return c, c.prove(sides)
	}
	return nil, nil
}

func (c *Common) prove(sides [2]history) error {
	var err error
	if c.Root, err = tlog.TreeHash(int64(c.Size), sides[0]); err != nil {
		return err
	}
	for i, side := range sides {
		if c.Growth[i], err = tlog.ProveTree(int64(side.size), int64(c.Size), side); err != nil {
			return err
		}
		if c.Proofs[i], err = tlog.ProveRecord(int64(side.size), int64(c.Size), side); err != nil {
			return err
		}
	}
	return nil
}

// succession compares the key events of the two sides. Where one goes on under
// keys that the last key event of the other one had committed to, that one
// stands and the other is void (superseded). Where both do, in different ways,
// both were signed by the keys that decide (final).
func succession(a, b *ledger.Proved) (superseded, final bool) {
	ours, theirs := keyEvents(a), keyEvents(b)
	for i := range min(len(ours), len(theirs)) {
		if ours[i].Index != theirs[i].Index || !bytes.Equal(ours[i].Entry, theirs[i].Entry) {
			return false, true
		}
	}
	return len(ours) != len(theirs), false
}

// keyEvents are those of the log of a proved entry, in their order.
func keyEvents(p *ledger.Proved) []ledger.KeyEvent {
	out := []ledger.KeyEvent{}
	isEvent := false
	if e, err := ledger.DecodeEntry(p.Author(), p.Index, p.Entry); err == nil {
		isEvent = isKeyEvent(e)
	}
	for _, event := range p.KeyEvents {
		if isEvent && event.Index > p.Index {
			out, isEvent = append(out, ledger.KeyEvent{Index: p.Index, Entry: p.Entry}), false
		}
		out = append(out, event)
	}
	if isEvent {
		out = append(out, ledger.KeyEvent{Index: p.Index, Entry: p.Entry})
	}
	return out
}

func isKeyEvent(e *ledger.Entry) bool {
	switch e.Statement.(type) {
	case *ledger.Rotate, *ledger.Recover, *ledger.Retire:
		return true
	}
	return false
}
