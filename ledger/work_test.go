package ledger_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
)

// TestWork: a proof of work is what it claims, and belongs to its keys.
func TestWork(t *testing.T) {
	t.Parallel()
	k := ledgertest.Key(1)
	in := ledger.Inception{Network: "public", Keys: []ledger.PublicKey{k.Public()}, Threshold: 1}
	var err error
	if in.Work, err = in.Mine(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.NewMem(), "public")
	author, err := l.Incept(t.Context(), in, k)
	if err != nil {
		t.Fatal(err)
	}
	if e, _, err := prove(t, l, author, 0).Verify(); err != nil || e.Inception.Work != in.Work {
		t.Errorf("%+v, %v", e, err)
	}
	leaf := mustBeSound(t, l, author)[0]
	if again, err := ledger.EncodeInception(in, k); err != nil || !bytes.Equal(again, leaf) {
		t.Errorf("another leaf: %v", err)
	}
	for name, change := range map[string]func(in *ledger.Inception){
		"more bits":       func(in *ledger.Inception) { in.Work.Bits = 40 },
		"another nonce":   func(in *ledger.Inception) { in.Work = ledger.Work{Bits: 40, Nonce: 7} },
		"no bits":         func(in *ledger.Inception) { in.Work = ledger.Work{Nonce: 7} },
		"too many bits":   func(in *ledger.Inception) { in.Work.Bits = 65 },
		"another network": func(in *ledger.Inception) { in.Network, in.Work.Bits = "test", 30 },
	} {
		bad := in
		change(&bad)
		if _, err := ledger.EncodeInception(bad, k); !errors.Is(err, ledger.ErrBadEntry) {
			t.Errorf("%s: %v, want ErrBadEntry", name, err)
		}
	}
}
