package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/dockchains/dockchain/ledger"
)

// TestSweep stops a store at every write of a Script in turn: once before it
// takes place, and once after, when nobody was told. Then the process begins
// again over what is there. Nothing that was acknowledged may be lost, no log
// may have two histories, and the script must come to its end.
func TestSweep(t *testing.T, h Harness[ledger.Store]) {
	writes := 0
	run := func(t *testing.T, stop int, apply bool) {
		disk := h.Open(t)
		count := 0
		decide := func() (bool, error) {
			if count++; count-1 == stop {
				return apply, errStopped
			}
			return true, nil
		}
		s := NewScript(t, &Faulty{
			Store:    disk,
			OnCommit: func(ledger.AuthorID, uint64, int) (bool, error) { return decide() },
			OnStage:  func(ledger.AuthorID, uint64, int) (bool, error) { return decide() },
			OnFault:  func(ledger.AuthorID) (bool, error) { return decide() },
		})
		stopped := false
		for step := range s.Steps() {
			err := s.Do(step)
			if errors.Is(err, errStopped) && !stopped {
				stopped = true
				if h.Reopen != nil {
					disk = h.Reopen(t, disk)
				}
				s = s.Over(t, disk)
				s.Check()
				err = s.Do(step)
			}
			if err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
		}
		s.Check()
		if stop < 0 {
			writes = count
		} else if !stopped {
			t.Fatalf("write %d was never reached", stop)
		}
	}
	run(t, -1, false)
	if writes < 15 {
		t.Fatalf("only %d writes", writes)
	}
	step := 1
	if testing.Short() && h.Reopen != nil {
		step = 3 // a store on the disk takes its time to reopen
	}
	for stop := 0; stop < writes; stop += step {
		for _, apply := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d, done %v", stop, apply), func(t *testing.T) { run(t, stop, apply) })
		}
	}
}

var errStopped = errors.New("the process ended here")

// Check wants that nothing is lost that the script was told, that each log is
// whole, and that it continues every checkpoint that others may have seen.
func (s *Script) Check() {
	s.t.Helper()
	for author, p := range s.promised {
		if err := s.check(author, p); err != nil {
			s.t.Errorf("log of %s: %v", author, err)
		}
	}
}

func (s *Script) check(author ledger.AuthorID, p promise) error {
	head, err := s.l.Head(author)
	if err != nil {
		return err
	}
	leaves, err := s.l.Leaves(author, 0, head.Size)
	if err != nil {
		return err
	}
	for i, want := range p.entries {
		if i >= len(leaves) || !bytes.Equal(leaves[i], want) {
			return fmt.Errorf("entry %d was acknowledged and is not there, of %d", i, len(leaves))
		}
	}
	if root, err := treeHash(leaves); err != nil || root != head.Root {
		return fmt.Errorf("the root of the entries is %s, of the head %s (%w)", root, head.Root, err)
	}
	now := ledger.Checkpoint{Origin: ledger.Origin(scriptNetwork, author), Size: head.Size, Root: head.Root}
	for _, shown := range p.shown {
		if err := s.continues(author, shown, now); err != nil {
			return fmt.Errorf("a second history: checkpoint %d was shown, and is not that of the log of %d: %w", shown.Size, now.Size, err)
		}
	}
	for i := range head.Size {
		proved, err := s.l.Prove(context.Background(), author, i)
		if err != nil {
			return err
		}
		if _, _, err := proved.Verify(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	last := p.shown[len(p.shown)-1]
	if last.Size == head.Size && !bytes.Contains(head.Checkpoint, p.cosigned) {
		return errors.New("a cosignature is lost")
	}
	if f, err := s.l.Fault(author); p.frozenFor != "" && (err != nil || f.Kind != p.frozenFor) {
		return fmt.Errorf("it was frozen for %q: %q (%w)", p.frozenFor, f.Kind, err)
	}
	return nil
}

func (s *Script) continues(author ledger.AuthorID, older, newer ledger.Checkpoint) error {
	proof, err := s.l.ProveConsistency(context.Background(), author, older.Size, newer.Size)
	if err != nil {
		return err
	}
	return ledger.CheckConsistency(proof, older, newer)
}
