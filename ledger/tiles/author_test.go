package tiles_test

import (
	"errors"
	"testing"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/tiles"
)

// TestOpenRotated: the log of an author who has changed keys, and who has ended
// it, is read by nothing but its id too.
func TestOpenRotated(t *testing.T) {
	t.Parallel()
	l := ledger.New(ledger.NewMem(), "public")
	first, second, third := ledgertest.Key(1), ledgertest.Key(2), ledgertest.Key(3)
	author, err := l.Incept(t.Context(), ledger.Inception{
		Network: "public", Keys: []ledger.PublicKey{first.Public()}, Threshold: 1,
		Next: []string{second.Public().Fingerprint()}, NextThreshold: 1,
	}, first)
	if err != nil {
		t.Fatal(err)
	}
	opens := func(size uint64) {
		t.Helper()
		base := served(t, tiles.Handlers(l, func(err error) { t.Error(err) }))
		base.Prefix = base.Prefix.JoinPath(string(author))
		r, err := tiles.OpenAuthor(t.Context(), base, author)
		if err != nil {
			t.Fatal(err)
		}
		if c, _ := r.Checkpoint(); c.Size != size {
			t.Errorf("%d entries, want %d", c.Size, size)
		}
	}
	opens(1)
	ledgertest.Append(t, l, author, first, "app", "1.0", 1)
	to := ledger.KeySet{Keys: []ledger.PublicKey{second.Public()}, Threshold: 1, Next: []string{third.Public().Fingerprint()}, NextThreshold: 1}
	if _, err := l.Rotate(t.Context(), author, []ledger.Key{second}, to); err != nil {
		t.Fatal(err)
	}
	opens(3)
	ledgertest.Append(t, l, author, second, "app", "1.0", 2)
	if _, err := l.Retire(t.Context(), author, []ledger.Key{third}); err != nil {
		t.Fatal(err)
	}
	opens(5)
	p, err := l.Prove(t.Context(), author, 0)
	if err != nil {
		t.Fatal(err)
	}
	verify, err := tiles.ByAuthor(author, p.Inception, p.KeyEvents...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(p.Checkpoint); err != nil {
		t.Error(err)
	}
	if verify, err = tiles.ByAuthor(author, p.Inception, p.KeyEvents[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(p.Checkpoint); !errors.Is(err, ledger.ErrBadSignature) {
		t.Errorf("without the end: %v, want ErrBadSignature", err)
	}
	if _, err := tiles.ByAuthor(author, p.Inception, p.KeyEvents[1]); err == nil {
		t.Error("with a gap: no error")
	}
}
