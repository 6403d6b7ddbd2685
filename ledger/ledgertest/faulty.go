package ledgertest

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Faulty is a store that fails on demand. Set its functions before its first
// use; nil ones do nothing.
type Faulty struct {
	ledger.Store

	// OnCommit decides about a commit of n leaves at first: whether it takes
	// place, and what the caller is told. (true, err) is the store that writes
	// and dies before it can say so.
	OnCommit func(author ledger.AuthorID, first uint64, n int) (apply bool, err error)

	// OnFault decides about keeping a fault of an author, as OnCommit does.
	OnFault func(author ledger.AuthorID) (apply bool, err error)

	// OnStage is OnCommit of what is staged.
	OnStage func(author ledger.AuthorID, first uint64, n int) (apply bool, err error)

	// OnRead is asked before every other method.
	OnRead func() error
}

// Commit implements ledger.Store.
func (f *Faulty) Commit(ctx context.Context, author ledger.AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []ledger.Item, head ledger.Head) error {
	apply, fault := true, error(nil)
	if f.OnCommit != nil {
		apply, fault = f.OnCommit(author, first, len(leaves))
	}
	if apply {
		if err := f.Store.Commit(ctx, author, first, leaves, hashes, changes, head); err != nil {
			return err
		}
	}
	return fault
}

// Replace implements ledger.Store.
func (f *Faulty) Replace(ctx context.Context, author ledger.AuthorID, was ledger.Head, first uint64, leaves [][]byte, hashes []tlog.Hash, changes []ledger.Item, head ledger.Head) error {
	apply, fault := true, error(nil)
	if f.OnCommit != nil {
		apply, fault = f.OnCommit(author, first, len(leaves))
	}
	if apply {
		if err := f.Store.Replace(ctx, author, was, first, leaves, hashes, changes, head); err != nil {
			return err
		}
	}
	return fault
}

// SetFault implements ledger.Store.
func (f *Faulty) SetFault(ctx context.Context, author ledger.AuthorID, fault ledger.Fault) error {
	apply, stop := true, error(nil)
	if f.OnFault != nil {
		apply, stop = f.OnFault(author)
	}
	if apply {
		if err := f.Store.SetFault(ctx, author, fault); err != nil {
			return err
		}
	}
	return stop
}

// Stage implements ledger.Store.
func (f *Faulty) Stage(ctx context.Context, author ledger.AuthorID, first uint64, leaves [][]byte, hashes []tlog.Hash, st ledger.Stage) error {
	apply, fault := true, error(nil)
	if f.OnStage != nil {
		apply, fault = f.OnStage(author, first, len(leaves))
	}
	if apply {
		if err := f.Store.Stage(ctx, author, first, leaves, hashes, st); err != nil {
			return err
		}
	}
	return fault
}

func (f *Faulty) read() error {
	if f.OnRead == nil {
		return nil
	}
	return f.OnRead()
}

// Head implements ledger.Store.
func (f *Faulty) Head(author ledger.AuthorID) (ledger.Head, error) {
	if err := f.read(); err != nil {
		return ledger.Head{}, err
	}
	return f.Store.Head(author)
}

// Leaves implements ledger.Store.
func (f *Faulty) Leaves(author ledger.AuthorID, from, to uint64) ([][]byte, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Leaves(author, from, to)
}

// Hashes implements ledger.Store.
func (f *Faulty) Hashes(author ledger.AuthorID, indexes []int64) ([]tlog.Hash, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Hashes(author, indexes)
}

// State implements ledger.Store.
func (f *Faulty) State(author ledger.AuthorID, key string) ([]byte, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.State(author, key)
}

// States implements ledger.Store.
func (f *Faulty) States(author ledger.AuthorID) ([]ledger.Item, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.States(author)
}

// Fault implements ledger.Store.
func (f *Faulty) Fault(author ledger.AuthorID) (ledger.Fault, error) {
	if err := f.read(); err != nil {
		return ledger.Fault{}, err
	}
	return f.Store.Fault(author)
}

// Heads implements ledger.Store.
func (f *Faulty) Heads(after ledger.AuthorID, limit int) ([]ledger.Head, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Store.Heads(after, limit)
}
