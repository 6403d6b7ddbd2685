// Package statemap is a sparse Merkle map: one hash commits to a set of keys
// and their values, and a short proof under that hash says what the value of a
// key is, or that it has none. It is pure and knows nothing of ledgers.
//
// Keys and values are any bytes. A key stands at the place that the bits of
// its SHA-256 name in a binary tree of depth 256, most significant bit first,
// 0 to the left. The hash of a subtree is
//
//	nothing in it    32 zero bytes
//	one key in it    SHA-256(0x02 || SHA-256(key) || SHA-256(value))
//	more             SHA-256(0x03 || hash of the left half || hash of the right half)
//
// so that only the places where keys part cost anything: about log2(n) hashes
// for n keys. The hash of the whole tree is the root. It depends on what is in
// the map, never on the order in which it came there. (0x00 and 0x01 are left
// to the logs of RFC 6962, so that no hash can be taken for one of the other
// kind.)
//
// The map with the keys "a" and "b" and the values "1" and "2": SHA-256("a") is
// ca97…, which begins with the bit 1; SHA-256("b") is 3e23…, which begins with
// 0. The root is SHA-256(0x03 || leaf of b || leaf of a) with
//
//	leaf of a  SHA-256(0x02 || SHA-256("a") || SHA-256("1"))
//	leaf of b  SHA-256(0x02 || SHA-256("b") || SHA-256("2"))
//
// # Proof
//
// A proof is the hashes of the subtrees beside the way from the root down to
// where the way ends: in the key itself (it is a member), or in nothing or in
// another key (it is absent). In bytes, at most MaxProof:
//
//	n      1 byte   hashes on the way
//	end    1 byte   0: the key itself or nothing; 1: another key
//	hashes n * 32   from the root down
//	other  64       SHA-256(key) and SHA-256(value) of the other key, if end is 1
//
// (The construction is that of the compact sparse Merkle trees of R. Dahlberg,
// T. Pulls, R. Peeters, "Efficient Sparse Merkle Trees", 2016, with the short
// cut for lone leaves that Diem and Penumbra's jmt use.)
package statemap

import "crypto/sha256"

// Hash is a SHA-256.
type Hash [sha256.Size]byte

const (
	leafTag = 0x02
	nodeTag = 0x03
)

func hashLeaf(key, value Hash) Hash { return hashPair(leafTag, key, value) }

func hashNode(left, right Hash) Hash { return hashPair(nodeTag, left, right) }

func hashPair(tag byte, a, b Hash) Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = tag
	copy(buf[1:], a[:])
	copy(buf[1+sha256.Size:], b[:])
	return sha256.Sum256(buf[:])
}

// bit returns the bit of h that says where to go at a depth.
func bit(h *Hash, depth int) byte { return h[depth/8] >> (7 - depth%8) & 1 }

// Map is a map that keeps the hashes of keys and values, not the keys and
// values. The zero Map is empty. A copy of a Map is a snapshot: nothing that is
// done to one of them is seen in the other, and copying costs nothing. One Map
// may not be changed by two goroutines at once; different copies may.
type Map struct {
	root *node
	size int
}

// node is a subtree that is not empty. Nodes never change.
type node struct {
	hash Hash
	half [2]*node // of a node
	leaf *leaf    // of a subtree with one key; then half is empty
}

type leaf struct{ key, value Hash }

// Len is the number of keys.
func (m *Map) Len() int { return m.size }

// Root is the hash that commits to the whole map.
func (m *Map) Root() Hash { return m.root.sum() }

func (n *node) sum() Hash {
	if n == nil {
		return Hash{}
	}
	return n.hash
}

// Set gives a key a value.
func (m *Map) Set(key, value []byte) {
	l := &leaf{sha256.Sum256(key), sha256.Sum256(value)}
	added := false
	m.root = m.root.set(0, l, &added)
	if added {
		m.size++
	}
}

// Delete takes a key out, if it is there.
func (m *Map) Delete(key []byte) {
	k := Hash(sha256.Sum256(key))
	deleted := false
	m.root = m.root.without(0, &k, &deleted)
	if deleted {
		m.size--
	}
}

func newLeaf(l *leaf) *node { return &node{hash: hashLeaf(l.key, l.value), leaf: l} }

// newNode is the subtree of two halves that are not both empty.
func newNode(half [2]*node) *node {
	return &node{hash: hashNode(half[0].sum(), half[1].sum()), half: half}
}

func (n *node) set(depth int, l *leaf, added *bool) *node {
	switch {
	case n == nil:
		*added = true
		return newLeaf(l)
	case n.leaf != nil && n.leaf.key == l.key:
		return newLeaf(l)
	case n.leaf != nil:
		*added = true
		return join(depth, n, newLeaf(l))
	}
	half := n.half
	b := bit(&l.key, depth)
	half[b] = half[b].set(depth+1, l, added)
	return newNode(half)
}

// join makes a subtree of two leaves of different keys.
func join(depth int, a, b *node) *node {
	var half [2]*node
	at, bt := bit(&a.leaf.key, depth), bit(&b.leaf.key, depth)
	if at == bt {
		half[at] = join(depth+1, a, b)
	} else {
		half[at], half[bt] = a, b
	}
	return newNode(half)
}

func (n *node) without(depth int, key *Hash, deleted *bool) *node {
	switch {
	case n == nil:
		return nil
	case n.leaf != nil && n.leaf.key == *key:
		*deleted = true
		return nil
	case n.leaf != nil:
		return n
	}
	half := n.half
	b := bit(key, depth)
	half[b] = half[b].without(depth+1, key, deleted)
	if !*deleted {
		return n
	}
	for i, left := range half { // a leaf that is left alone moves up
		if half[1-i] == nil && (left == nil || left.leaf != nil) {
			return left
		}
	}
	return newNode(half)
}

// Prove returns what shows the value of a key, or that it has none, to whoever
// knows the root.
func (m *Map) Prove(key []byte) Proof {
	k := Hash(sha256.Sum256(key))
	var p Proof
	n := m.root
	for depth := 0; n != nil && n.leaf == nil; depth++ {
		b := bit(&k, depth)
		p.beside = append(p.beside, n.half[1-b].sum())
		n = n.half[b]
	}
	if n != nil && n.leaf.key != k {
		p.other = n.leaf
	}
	return p
}
