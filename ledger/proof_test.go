package ledger

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

// widen makes a hash of what a vector has in place of one. Some have strings of
// other lengths, which a Hash cannot hold: another hash will do, as wrong as
// they are. No bytes at all equal nothing.
func widen(b []byte, what string) tlog.Hash {
	switch len(b) {
	case tlog.HashSize:
		return tlog.Hash(b)
	case 0:
		return sha256.Sum256([]byte("no " + what))
	default:
		return sha256.Sum256(b)
	}
}

func widenAll(list [][]byte) []tlog.Hash {
	var out []tlog.Hash
	for i, b := range list {
		out = append(out, widen(b, fmt.Sprint("proof ", i)))
	}
	return out
}

// vectors calls fn with every file under testdata/merkle/kind, and wants 98. They
// are those of github.com/transparency-dev/merkle, under their own licence.
func vectors(t *testing.T, kind string, fn func(t *testing.T, raw []byte)) {
	count := 0
	err := fs.WalkDir(os.DirFS("testdata/merkle"), kind, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path.Join("testdata/merkle", name))
		if err != nil {
			return err
		}
		count++
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) { fn(t, raw) })
		return nil
	})
	if err != nil || count != 98 {
		t.Fatalf("%d vectors, want 98: %v", count, err)
	}
}

func TestInclusionVectors(t *testing.T) {
	t.Parallel()
	vectors(t, "inclusion", func(t *testing.T, raw []byte) {
		var v struct {
			LeafIdx, TreeSize uint64
			Root, LeafHash    []byte
			Proof             [][]byte
			WantErr           bool
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		err := checkInclusion(widenAll(v.Proof), v.TreeSize, widen(v.Root, "Root"), v.LeafIdx, widen(v.LeafHash, "LeafHash"))
		if (err != nil) != v.WantErr {
			t.Errorf("%v, want an error: %v", err, v.WantErr)
		}
	})
}

func TestConsistencyVectors(t *testing.T) {
	t.Parallel()
	vectors(t, "consistency", func(t *testing.T, raw []byte) {
		var v struct {
			Size1, Size2 uint64
			Root1, Root2 []byte
			Proof        [][]byte
			WantErr      bool
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		older := Checkpoint{Size: v.Size1, Root: widen(v.Root1, "Root1")}
		newer := Checkpoint{Size: v.Size2, Root: widen(v.Root2, "Root2")}
		err := CheckConsistency(widenAll(v.Proof), older, newer)
		if (err != nil) != v.WantErr {
			t.Errorf("%v, want an error: %v", err, v.WantErr)
		}
	})
}

// tree is a log of hashes made by pushing onto an edge.
type tree struct {
	edge   edge
	hashes []tlog.Hash
	roots  []tlog.Hash // by size
	edges  []edge      // by size
}

func newTree(n int) *tree {
	t := &tree{}
	t.roots, t.edges = []tlog.Hash{t.edge.root()}, []edge{t.edge.clone()}
	for i := range n {
		t.hashes = append(t.hashes, t.edge.push(tlog.RecordHash(treeLeaf(i)))...)
		t.roots = append(t.roots, t.edge.root())
		t.edges = append(t.edges, t.edge.clone())
	}
	return t
}

func treeLeaf(i int) []byte { return fmt.Appendf(nil, "leaf %d", i) }

func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, t.hashes[i])
	}
	return out, nil
}

func TestEdgeIsTlog(t *testing.T) {
	t.Parallel()
	const n = 300
	tr := newTree(n)
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i := range n {
		hashes, err := tlog.StoredHashes(int64(i), treeLeaf(i), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	if !slices.Equal(stored, tr.hashes) {
		t.Fatal("push does not complete the hashes that tlog stores")
	}
	for size := range n + 1 {
		root, err := tlog.TreeHash(int64(size), tr)
		if err != nil || root != tr.roots[size] {
			t.Fatalf("root of %d: %v, want %v: %v", size, tr.roots[size], root, err)
		}
		nodes, err := tr.ReadHashes(edgeIndexes(uint64(size)))
		if err != nil || !slices.Equal(nodes, tr.edges[size].nodes) {
			t.Fatalf("edge of %d is not where edgeIndexes says: %v", size, err)
		}
	}
}

func TestProofsAgreeWithTransparencyDev(t *testing.T) {
	t.Parallel()
	const n = 70
	tr := newTree(n)
	bytesOf := func(hashes []tlog.Hash) [][]byte {
		out := [][]byte{}
		for _, h := range hashes {
			out = append(out, h[:])
		}
		return out
	}
	for size := 1; size <= n; size++ {
		newer := Checkpoint{Size: uint64(size), Root: tr.roots[size]}
		for index := range size {
			p, err := tlog.ProveRecord(int64(size), int64(index), tr)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(p, newer, uint64(index), treeLeaf(index)); err != nil {
				t.Errorf("inclusion of %d in %d: %v", index, size, err)
			}
			if err := CheckInclusion(p, newer, uint64(index), treeLeaf(index+1)); err == nil {
				t.Errorf("inclusion of another leaf at %d in %d was accepted", index, size)
			}
			leafHash := rfc6962.DefaultHasher.HashLeaf(treeLeaf(index))
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leafHash, bytesOf(p), newer.Root[:]); err != nil {
				t.Errorf("transparency-dev refuses inclusion of %d in %d: %v", index, size, err)
			}
			older := Checkpoint{Size: uint64(index + 1), Root: tr.roots[index+1]}
			grown, err := tlog.ProveTree(int64(size), int64(index+1), tr)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(grown, older, newer); err != nil {
				t.Errorf("growth from %d to %d: %v", older.Size, size, err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, newer.Size, bytesOf(grown), older.Root[:], newer.Root[:]); err != nil {
				t.Errorf("transparency-dev refuses growth from %d to %d: %v", older.Size, size, err)
			}
		}
	}
}

func TestProofOfImpossibleSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []uint64{0, maxLogSize + 1, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		if err := checkInclusion(nil, size, tlog.Hash{}, 0, tlog.Hash{}); err == nil {
			t.Errorf("inclusion in a log of %d was accepted", size)
		}
		if err := CheckConsistency(nil, Checkpoint{Size: 1}, Checkpoint{Size: size, Root: tlog.Hash{1}}); err == nil {
			t.Errorf("growth to %d was accepted", size)
		}
	}
}

func FuzzProof(f *testing.F) {
	f.Add(uint64(3), uint64(7), []byte(strings.Repeat("x", 96)))
	f.Add(uint64(0), uint64(1), []byte{})
	f.Fuzz(func(t *testing.T, a, b uint64, raw []byte) {
		var hashes []tlog.Hash
		for len(raw) >= tlog.HashSize && len(hashes) < 100 {
			hashes = append(hashes, tlog.Hash(raw[:tlog.HashSize]))
			raw = raw[tlog.HashSize:]
		}
		root := sha256.Sum256(raw)
		if checkInclusion(hashes, b, root, a, tlog.Hash{}) == nil {
			t.Error("made-up inclusion was accepted")
		}
		if CheckConsistency(hashes, Checkpoint{Size: a, Root: tlog.Hash{}}, Checkpoint{Size: b, Root: root}) == nil {
			t.Error("made-up growth was accepted")
		}
	})
}
