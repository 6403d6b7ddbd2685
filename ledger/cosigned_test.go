package ledger_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/note"
)

func TestCosigned(t *testing.T) {
	t.Parallel()
	key, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	store := ledger.NewMem()
	l := ledger.New(store, "public")
	id, err := l.Incept(t.Context(), ledger.Inception{Network: "public", Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}, key)
	if err != nil {
		t.Fatal(err)
	}
	head, err := l.Head(id)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w := note.Key{Name: "w.example", Alg: note.CosignatureV1, Public: signer.Public()}
	n, err := note.Parse(head.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := note.Cosign(w, n.Text, 1_700_000_000, signer.Sign)
	if err != nil {
		t.Fatal(err)
	}
	with, err := n.With(sig)
	if err != nil {
		t.Fatal(err)
	}
	cosigned := with.Encode()

	if fresh, err := l.Cosigned(t.Context(), id, cosigned); err != nil || fresh {
		t.Errorf("a cosignature of nobody who counts was kept: %t, %v", fresh, err)
	}
	forged := sig
	forged.Raw = bytes.Clone(sig.Raw)
	forged.Raw[20] ^= 1
	bad, err := n.With(forged)
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := l.Cosigned(t.Context(), id, bad.Encode(), w); err != nil || fresh {
		t.Errorf("a forged cosignature was kept: %t, %v", fresh, err)
	}
	if fresh, err := l.Cosigned(t.Context(), id, cosigned, w); err != nil || !fresh {
		t.Errorf("a cosignature was not kept: %t, %v", fresh, err)
	}
	if fresh, err := l.Cosigned(t.Context(), id, cosigned, w); err != nil || fresh {
		t.Errorf("the same again: %t, %v", fresh, err)
	}
	for _, again := range []*ledger.Ledger{l, ledger.New(store, "public")} {
		p, err := again.Prove(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Verify(); err != nil || !bytes.Equal(p.Checkpoint, cosigned) {
			t.Errorf("proven under %q (%v)", p.Checkpoint, err)
		}
	}
	v := &ledger.Vouch{For: id, Expires: time.Unix(1_800_000_000, 0).UTC()}
	if _, err := l.Append(t.Context(), id, []ledger.Key{key}, v); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Cosigned(t.Context(), id, cosigned, w); !errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a checkpoint that is not the newest: %v, want ErrConflict", err)
	}
	if _, err := l.Cosigned(t.Context(), id, []byte("garbage"), w); !errors.Is(err, ledger.ErrBadCheckpoint) {
		t.Errorf("garbage: %v", err)
	}
	if _, err := l.Cosigned(t.Context(), ledger.AuthorIDOf([]byte("x")), cosigned, w); !errors.Is(err, ledger.ErrUnknownAuthor) {
		t.Errorf("a stranger: %v", err)
	}
}
