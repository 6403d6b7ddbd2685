package statemap

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// naive is the definition of the package comment, read literally.
func naive(items map[Hash]Hash, depth int) Hash {
	if len(items) == 0 {
		return Hash{}
	}
	if len(items) == 1 {
		for k, v := range items {
			return hashLeaf(k, v)
		}
	}
	half := [2]map[Hash]Hash{{}, {}}
	for k, v := range items {
		half[k[depth/8]>>(7-depth%8)&1][k] = v
	}
	return hashNode(naive(half[0], depth+1), naive(half[1], depth+1))
}

func naiveRoot(content map[string]string) Hash {
	items := map[Hash]Hash{}
	for k, v := range content {
		items[sha256.Sum256([]byte(k))] = sha256.Sum256([]byte(v))
	}
	return naive(items, 0)
}

func filled(keys []string, content map[string]string) *Map {
	m := &Map{}
	for _, k := range keys {
		m.Set([]byte(k), []byte(content[k]))
	}
	return m
}

func TestExample(t *testing.T) {
	t.Parallel()
	sum := func(parts ...[]byte) []byte {
		h := sha256.Sum256(bytes.Join(parts, nil))
		return h[:]
	}
	a := sum([]byte{2}, sum([]byte("a")), sum([]byte("1")))
	b := sum([]byte{2}, sum([]byte("b")), sum([]byte("2")))
	var m Map
	if m.Root() != (Hash{}) {
		t.Error("the root of the empty map is not zero")
	}
	m.Set([]byte("a"), []byte("1"))
	if got := m.Root(); !bytes.Equal(got[:], a) {
		t.Errorf("one key: root %x", got)
	}
	m.Set([]byte("b"), []byte("2"))
	if got := m.Root(); !bytes.Equal(got[:], sum([]byte{3}, b, a)) {
		t.Errorf("two keys: root %x", got)
	}
	const golden = "03dea20d75b7a7e21db347611046ff120c81afb3a8afc0b36edd57cce931a10d"
	if got := m.Root(); hex.EncodeToString(got[:]) != golden {
		t.Errorf("two keys: root %x, want %s", got, golden)
	}
}

// TestAgainstNaive: after every step of a random history the root is that of
// the definition, and every key is proven member or absent, as it is.
func TestAgainstNaive(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		content := map[string]string{}
		var m Map
		for step := range 120 {
			k := fmt.Sprint(random.IntN(40))
			before, was := m, m.Root()
			if random.IntN(3) == 0 {
				delete(content, k)
				m.Delete([]byte(k))
			} else {
				content[k] = fmt.Sprint(random.IntN(5))
				m.Set([]byte(k), []byte(content[k]))
			}
			if want := naiveRoot(content); m.Root() != want || m.Len() != len(content) {
				t.Fatalf("seed %d, step %d: root %x of %d keys, want %x of %d", seed, step, m.Root(), m.Len(), want, len(content))
			}
			if before.Root() != was {
				t.Fatalf("seed %d, step %d: a snapshot changed", seed, step)
			}
			wantProofs(t, &m, content)
		}
	}
}

// wantProofs: what is so is proven, and nothing else is.
func wantProofs(t *testing.T, m *Map, content map[string]string) {
	t.Helper()
	root := m.Root()
	for i := range 42 {
		k := fmt.Sprint(i)
		p, err := DecodeProof(m.Prove([]byte(k)).Encode())
		if err != nil {
			t.Fatal(err)
		}
		v, member := content[k]
		if err := VerifyMember(root, []byte(k), []byte(v), p); (err == nil) != member {
			t.Errorf("key %s is there: %v, want %v", k, err, member)
		}
		if err := VerifyAbsent(root, []byte(k), p); (err == nil) == member {
			t.Errorf("key %s is absent: %v, want %v", k, err, !member)
		}
		if err := VerifyMember(root, []byte(k), []byte(v+"x"), p); !errors.Is(err, ErrBadProof) {
			t.Errorf("key %s has another value: %v", k, err)
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	content := map[string]string{}
	for i := range 300 {
		content[fmt.Sprint("key ", i)] = fmt.Sprint("value ", i)
	}
	keys := slices.Sorted(maps.Keys(content))
	want := filled(keys, content).Root()
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		m := filled(keys, content)
		for i := range 100 { // and what was there in between leaves no trace
			m.Set([]byte(fmt.Sprint("gone ", i)), nil)
		}
		for i := range 100 {
			m.Delete([]byte(fmt.Sprint("gone ", i)))
		}
		if m.Root() != want {
			t.Fatal("another order makes another root")
		}
	}
}

// TestNearKeys: places that part only far down.
func TestNearKeys(t *testing.T) {
	t.Parallel()
	for _, shared := range []int{0, 1, 7, 8, 100, 254} {
		a := &leaf{}
		b := &leaf{}
		b.key[shared/8] = 1 << (7 - shared%8)
		added := false
		var n *node
		n = n.set(0, a, &added)
		n = n.set(0, b, &added)
		want := naive(map[Hash]Hash{a.key: a.value, b.key: b.value}, 0)
		if n.sum() != want {
			t.Errorf("%d bits shared: root %x, want %x", shared, n.sum(), want)
		}
		deleted := false
		if n = n.without(0, &a.key, &deleted); n.sum() != newLeaf(b).hash || !deleted {
			t.Errorf("%d bits shared: a lone key did not move up", shared)
		}
	}
}

// TestProofTampering: no bit of a proof can be changed, nor can it be cut or
// made longer.
func TestProofTampering(t *testing.T) {
	t.Parallel()
	var m Map
	for i := range 50 {
		m.Set([]byte(fmt.Sprint(i)), []byte("v"))
	}
	root := m.Root()
	for _, key := range []string{"7", "absent", "absent too", "not there"} {
		good := m.Prove([]byte(key)).Encode()
		proves := func(b []byte) bool {
			p, err := DecodeProof(b)
			return err == nil && (VerifyMember(root, []byte(key), []byte("v"), p) == nil || VerifyAbsent(root, []byte(key), p) == nil)
		}
		if !proves(good) {
			t.Fatalf("%s is not proven to begin with", key)
		}
		for i := range len(good) * 8 {
			bad := bytes.Clone(good)
			bad[i/8] ^= 1 << (i % 8)
			if proves(bad) {
				t.Errorf("%s: bit %d was changed and nobody noticed", key, i)
			}
		}
		for i := range good {
			if proves(good[:i]) {
				t.Errorf("%s: cut at %d and nobody noticed", key, i)
			}
		}
		for n := range 100 {
			if proves(append(bytes.Clone(good), make([]byte, n+1)...)) {
				t.Errorf("%s: %d bytes more and nobody noticed", key, n+1)
			}
		}
	}
	deeper := Proof{beside: make([]Hash, maxDepth+1)}
	deeper.beside[maxDepth][0] = 1
	if VerifyAbsent(root, []byte("x"), deeper) == nil || VerifyMember(root, []byte("x"), nil, deeper) == nil {
		t.Error("a proof that goes too deep was accepted")
	}
}

func FuzzDecodeProof(f *testing.F) {
	var m Map
	f.Add(m.Prove([]byte("a")).Encode())
	for i := range 20 {
		m.Set([]byte(fmt.Sprint(i)), []byte("v"))
	}
	root := m.Root()
	for i := range 30 {
		f.Add(m.Prove([]byte(fmt.Sprint(i))).Encode())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := DecodeProof(in)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), in) || len(in) > MaxProof {
			t.Errorf("%x re-encodes to %x", in, p.Encode())
		}
		for i := range 30 {
			key := []byte(fmt.Sprint(i))
			if VerifyMember(root, key, []byte("v"), p) == nil && i >= 20 {
				t.Errorf("%x shows key %d, which is not there", in, i)
			}
			if VerifyAbsent(root, key, p) == nil && i < 20 {
				t.Errorf("%x hides key %d", in, i)
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	var m Map
	for i := range 10_000 {
		m.Set(fmt.Appendf(nil, "tag/app:%d", i), []byte("v"))
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		m.Set(fmt.Appendf(nil, "tag/app:%d", n%20_000), fmt.Append(nil, n))
	}
}
