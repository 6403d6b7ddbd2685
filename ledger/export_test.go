package ledger

import "github.com/dockchains/dockchain/ledger/statemap"

// NextState is the state that a log has after a statement that follows these
// leaves. Leaves that are no entries count for nothing.
func NextState(author AuthorID, leaves [][]byte, s Statement) statemap.Hash {
	var entries []*Entry
	past := func(to uint64, fn func(*Entry) error) error {
		for _, e := range entries[:to] {
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	}
	f := newFacts()
	for i, leaf := range leaves {
		e, err := DecodeEntry(author, uint64(i), leaf)
		if err != nil {
			e = &Entry{Index: uint64(i)}
		}
		entries = append(entries, e)
		if e.Inception != nil {
			f = inceptionFacts(e.Inception)
		} else if err := f.apply(e.Index, e.Statement, past); err != nil {
			panic(err)
		}
	}
	if err := f.apply(uint64(len(leaves)), s, past); err != nil {
		panic(err)
	}
	return f.tree.Root()
}
