package exchange

import (
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/reconcile"
)

// weighedHeads remembers the heads of logs that were read, contradict what is
// here and changed nothing, so that they are not read again at each comparison.
type weighedHeads struct {
	mu    sync.Mutex
	roots map[ledger.AuthorID]tlog.Hash
}

// maxWeighedHeads bounds the heads remembered; to have forgotten one costs a reading.
const maxWeighedHeads = 4096

func (w *weighedHeads) note(h reconcile.Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.roots == nil || len(w.roots) >= maxWeighedHeads {
		w.roots = map[ledger.AuthorID]tlog.Hash{}
	}
	w.roots[h.Author] = h.Root
}

func (w *weighedHeads) has(h reconcile.Head) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	root, ok := w.roots[h.Author]
	return ok && root == h.Root
}
