package testnet

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

// Rotate replaces the author's key in this history.
func (h *History) Rotate() *ledger.Proved {
	t := h.author.t
	t.Helper()
	next := h.author.next
	p, err := h.Ledger.Rotate(t.Context(), h.author.ID, []ledger.Key{next}, ledger.KeySet{Keys: []ledger.PublicKey{next.Public()}, Threshold: 1})
	if err != nil {
		t.Fatalf("rotating: %v", err)
	}
	h.key = next
	return p
}

// Copy is a history that begins as this one.
func (h *History) Copy() *History { return h.with() }

// Lie is a history that goes on with a release that commits to a wrong state.
// There is nothing to be added to it.
func (h *History) Lie(r ledger.Release) *History {
	t := h.author.t
	t.Helper()
	leaf, err := ledger.Encode(ledger.Place{Author: h.author.ID, Index: h.Size()}, &r, h.key)
	if err != nil {
		t.Fatalf("signing a lie: %v", err)
	}
	return h.with(leaf)
}

// with is a history that goes on with leaves, whatever they are.
func (h *History) with(more ...[]byte) *History {
	t, author := h.author.t, h.author.ID
	t.Helper()
	leaves, err := h.Leaves(author, 0, h.Size())
	if err != nil {
		t.Fatal(err)
	}
	leaves = append(leaves, more...)
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			out[i] = hashes[index]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		stored, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
	}
	c := ledger.Checkpoint{Origin: ledger.Origin(Network, author), Size: uint64(len(leaves))}
	if c.Root, err = tlog.TreeHash(int64(c.Size), read); err != nil {
		t.Fatal(err)
	}
	signed, err := ledger.SignCheckpoint(c, h.key)
	if err != nil {
		t.Fatal(err)
	}
	state, err := h.States(author)
	if err != nil {
		t.Fatal(err)
	}
	mem := ledger.NewMem()
	head := ledger.Head{Author: author, Size: c.Size, Root: c.Root, Checkpoint: signed}
	if err := mem.Commit(t.Context(), author, 0, leaves, hashes, state, head); err != nil {
		t.Fatal(err)
	}
	return &History{ledger.New(mem, Network), h.author, h.key}
}
