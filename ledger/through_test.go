package ledger

import (
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestThrough wants entries to be proven, from the beginning of a log and how it
// grows, as they are from the whole of it.
func TestThrough(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		goal := 1 + rnd.Uint64N(200)
		size := 1 + rnd.Uint64N(goal)
		var e edge
		var hashes []tlog.Hash
		for i := range goal {
			hashes = append(hashes, e.push(tlog.RecordHash([]byte{byte(i), byte(rnd.Uint32())}))...)
		}
		all := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			out := make([]tlog.Hash, len(indexes))
			for i, index := range indexes {
				out[i] = hashes[index]
			}
			return out, nil
		})
		begin := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
			for _, index := range indexes {
				if index >= tlog.StoredHashCount(int64(size)) {
					t.Fatalf("of %d of %d entries, hash %d is wanted", size, goal, index)
				}
			}
			return all.ReadHashes(indexes)
		})
		growth, err := tlog.ProveTree(int64(goal), int64(size), all)
		if err != nil {
			t.Fatal(err)
		}
		index := rnd.Uint64N(size)
		want, err := tlog.ProveRecord(int64(goal), int64(index), all)
		if err != nil {
			t.Fatal(err)
		}
		got, err := newThrough(size, goal, begin, growth).prove(index)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("entry %d of %d through %d: %d hashes, %v, want %d", index, goal, size, len(got), err, len(want))
		}
	}
}
