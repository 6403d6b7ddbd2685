package index

import (
	"fmt"

	"github.com/dockchains/dockchain/ledger"
)

// Forget takes out everything of an author, as if nothing of it had been applied.
func (x *Index) Forget(author ledger.AuthorID) error {
	x.fold.Lock()
	defer x.fold.Unlock()
	x.mu.RLock()
	defer x.mu.RUnlock()
	batch := x.idx.NewBatch()
	err := x.each(exact(fieldAuthor, string(author)), func(r Record) error {
		batch.Delete(releaseID(r.Ref()))
		return nil
	})
	if err == nil {
		batch.Delete(logID(author))
		err = guard(func() error { return x.idx.Batch(batch) })
	}
	if err != nil {
		return fmt.Errorf("taking %s out of the index: %w", author, err)
	}
	delete(x.logs, author)
	return nil
}
