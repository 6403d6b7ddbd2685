package ledger_test

import (
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/ledger/ledgertest"
	"github.com/dockchains/dockchain/ledger/statemap"
)

// forgery is a log that its author, or somebody without the key, makes up by
// hand: any leaves, under a checkpoint with the right root.
type forgery struct {
	network string
	author  ledger.AuthorID
	key     ledger.Key
	leaves  [][]byte
}

func newForgery(t testing.TB, network string, key ledger.Key) *forgery {
	t.Helper()
	in := ledger.Inception{Network: network, Keys: []ledger.PublicKey{key.Public()}, Threshold: 1}
	leaf, err := ledger.EncodeInception(in, key)
	if err != nil {
		t.Fatal(err)
	}
	return &forgery{network: network, author: ledger.AuthorIDOf(leaf), key: key, leaves: [][]byte{leaf}}
}

// release adds a proper release.
func (f *forgery) release(t testing.TB, tag string) *forgery {
	t.Helper()
	return f.releaseBy(t, f.author, uint64(len(f.leaves)), tag, f.key)
}

func (f *forgery) releaseBy(t testing.TB, author ledger.AuthorID, seq uint64, tag string, key ledger.Key) *forgery {
	t.Helper()
	r := ledgertest.Release("app", tag, 0)
	r.Seq = seq
	return f.say(t, ledger.Place{Author: author, Index: seq}, &r, key)
}

// say adds a statement, signed by keys, with the state that is right after it
// unless another is given.
func (f *forgery) say(t testing.TB, at ledger.Place, s ledger.Statement, keys ...ledger.Key) *forgery {
	t.Helper()
	if at.State == (statemap.Hash{}) {
		at.State = ledger.NextState(f.author, f.leaves, s)
	}
	leaf, err := ledger.Encode(at, s, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return f.raw(leaf)
}

// raw returns a copy with one more leaf.
func (f *forgery) raw(leaf []byte) *forgery {
	next := *f
	next.leaves = append(slices.Clone(f.leaves), leaf)
	return &next
}

// checkpoint signs the root of the leaves.
func (f *forgery) checkpoint(t testing.TB) []byte { return f.checkpointBy(t, f.key) }

func (f *forgery) checkpointBy(t testing.TB, key ledger.Key) []byte {
	t.Helper()
	c, _ := f.tree(t)
	signed, err := ledger.SignCheckpoint(c, key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (f *forgery) tree(t testing.TB) (ledger.Checkpoint, tlog.HashReader) {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	for i, leaf := range f.leaves {
		stored, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
	}
	root, err := tlog.TreeHash(int64(len(f.leaves)), reader)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Checkpoint{Origin: ledger.Origin(f.network, f.author), Size: uint64(len(f.leaves)), Root: root}, reader
}

func (f *forgery) prove(t testing.TB, index int) *ledger.Proved {
	t.Helper()
	_, reader := f.tree(t)
	proof, err := tlog.ProveRecord(int64(len(f.leaves)), int64(index), reader)
	if err != nil {
		t.Fatal(err)
	}
	return &ledger.Proved{Inception: f.leaves[0], Entry: f.leaves[index], Index: uint64(index), Checkpoint: f.checkpoint(t), Proof: proof}
}
