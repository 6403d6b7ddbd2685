package ledger_test

import (
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

func TestMem(t *testing.T) {
	t.Parallel()
	ledgertest.TestStore(t, ledgertest.Harness[ledger.Store]{
		Open: func(*testing.T) ledger.Store { return ledger.NewMem() },
	})
}

func TestMemSweep(t *testing.T) {
	t.Parallel()
	ledgertest.TestSweep(t, ledgertest.Harness[ledger.Store]{
		Open: func(*testing.T) ledger.Store { return ledger.NewMem() },
	})
}
