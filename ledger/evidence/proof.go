package evidence

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Proof is what convicts an author. Exactly one of Other and Checkpoint is set.
type Proof struct {
	Proved     *ledger.Proved
	Other      *ledger.Proved
	Checkpoint []byte // signed note

	// Growth proves that the log of the longer checkpoint had the root Prefix
	// at the size of the shorter one. Unset, unless that is the contradiction.
	Growth []tlog.Hash
	Prefix tlog.Hash

	// Common proves how much the two sides have in common, where it is known.
	Common *Common
}

// Fork is what a verified proof says.
type Fork struct {
	Author       ledger.AuthorID
	Older, Newer Side // the one of fewer entries first

	// Diverged is a size at which the histories differ: they have fewer than
	// Diverged entries in common.
	Diverged uint64

	// Common is how many entries they have in common; 0: that is not proven.
	Common uint64

	// Superseded: one side goes on under keys that the other one's had committed
	// to, which decides between them. It convicts nobody.
	Superseded bool

	// Final: both sides go on under such keys, in different ways.
	Final bool
}

// Stand is the most entries that can stand after the fork.
func (f *Fork) Stand() uint64 {
	if f.Common > 0 {
		return f.Common
	}
	return max(f.Diverged, 2) - 1 // the inception is the author
}

// Side is a history that the author's keys signed.
type Side struct {
	ledger.Checkpoint
	Keys ledger.KeyState // that signed it, as this side knows them
}

// Verify checks everything, and needs nothing but the proof. ErrNoFork means
// that both sides are sound and can both be true.
func (p *Proof) Verify() (*Fork, error) {
	if p.Proved == nil || (p.Other == nil) == (p.Checkpoint == nil) {
		return nil, fmt.Errorf("verifying fork proof: %w: want two sides", ErrMalformed)
	}
	a, err := verifySide(p.Proved)
	if err != nil {
		return nil, fmt.Errorf("verifying fork proof: %w", err)
	}
	b, err := p.verifyOther()
	if err != nil {
		return nil, fmt.Errorf("verifying fork proof: %w", err)
	}
	if a.Origin != b.Origin {
		return nil, fmt.Errorf("verifying fork proof: %w: they are of two logs", ErrNoFork)
	}
	fork := &Fork{Author: p.Proved.Author()}
	if p.Common != nil {
		if err := p.Common.verify([2]ledger.Checkpoint{a.Checkpoint, b.Checkpoint}); err != nil {
			return nil, fmt.Errorf("verifying fork proof: %w", err)
		}
		fork.Common = p.Common.Size
	}
	if p.Other != nil {
		fork.Superseded, fork.Final = succession(p.Proved, p.Other)
	} else if len(keyEvents(p.Proved)) > 0 { // a side that the same keys signed, perhaps before the last key event
		fork.Superseded = p.supersedesOther(b)
	}
	if a.Size > b.Size {
		a, b = b, a
	}
	diverged, err := p.contradict(a.Checkpoint, b.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("verifying fork proof: %w", err)
	}
	fork.Older, fork.Newer, fork.Diverged = a, b, diverged
	return fork, nil
}

// supersedesOther tells whether the proved side has a key event that the other,
// a bare checkpoint, cannot have.
func (p *Proof) supersedesOther(other Side) bool {
	events := keyEvents(p.Proved)
	return other.Size <= events[len(events)-1].Index
}

func verifySide(p *ledger.Proved) (Side, error) {
	_, c, err := p.Verify()
	if err != nil {
		return Side{}, err
	}
	keys, err := p.KeysAt(c.Size)
	return Side{c, keys}, err
}

func (p *Proof) verifyOther() (Side, error) {
	if p.Other != nil {
		return verifySide(p.Other)
	}
	c, err := p.Proved.VerifyOther(p.Checkpoint)
	if err != nil {
		return Side{}, err
	}
	keys, err := p.Proved.KeysAt(c.Size)
	return Side{c, keys}, err
}

// contradict returns a size at which two verified checkpoints, the smaller one
// first, show two histories.
func (p *Proof) contradict(older, newer ledger.Checkpoint) (uint64, error) {
	switch {
	case older.Size == newer.Size && older.Root != newer.Root:
		return older.Size, nil
	case len(p.Growth) > 0:
		then := ledger.Checkpoint{Size: older.Size, Root: p.Prefix}
		if err := ledger.CheckConsistency(p.Growth, then, newer); err != nil {
			return 0, err
		}
		if older.Size < newer.Size && older.Root != p.Prefix {
			return older.Size, nil
		}
	case p.Other != nil && p.Other.Index == p.Proved.Index && string(p.Other.Entry) != string(p.Proved.Entry):
		return p.Proved.Index + 1, nil
	}
	return 0, ErrNoFork
}
