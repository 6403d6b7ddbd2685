package store

import (
	"sync"

	"github.com/dockchains/dockchain/ledger"
)

// maxSettled bounds the logs that settled remembers, about 150 bytes each.
const maxSettled = 1 << 14

// settled remembers logs as their last commit left them: with so many entries,
// with nothing staged beyond them and no change of a state to be moved. The next
// commit to one of them needs to read nothing. What it does not know is read.
type settled struct {
	mu    sync.Mutex
	sizes map[ledger.AuthorID]uint64
}

// is tells whether a log is known to be settled at a size.
func (s *settled) is(author ledger.AuthorID, size uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.sizes[author]
	return ok && known == size
}

func (s *settled) set(author ledger.AuthorID, size uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sizes == nil || len(s.sizes) >= maxSettled {
		s.sizes = map[ledger.AuthorID]uint64{}
	}
	s.sizes[author] = size
}

// forget is called before anybody but the committer writes to a log.
func (s *settled) forget(author ledger.AuthorID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sizes, author)
}
