package statemap

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrBadProof says that a proof is malformed or does not show what it should.
var ErrBadProof = errors.New("proof about the state does not verify")

const (
	// maxDepth bounds the hashes of a proof. Two keys whose hashes share 255
	// bits cannot be found.
	maxDepth = 255

	// MaxProof is the largest proof in bytes.
	MaxProof = 2 + maxDepth*sha256.Size + 2*sha256.Size
)

// Proof shows the value of a key or that there is none. The zero Proof is that
// of every key of the empty map.
type Proof struct {
	beside []Hash // beside the way, from the root down
	other  *leaf  // where the way ends, if in another key
}

// VerifyMember wants the map with this root to have this value for the key.
func VerifyMember(root Hash, key, value []byte, p Proof) error {
	if p.other != nil {
		return fmt.Errorf("%w: it shows that the key is absent", ErrBadProof)
	}
	k := Hash(sha256.Sum256(key))
	return p.verify(root, &k, hashLeaf(k, sha256.Sum256(value)))
}

// VerifyAbsent wants the map with this root not to have the key.
func VerifyAbsent(root Hash, key []byte, p Proof) error {
	k := Hash(sha256.Sum256(key))
	if p.other == nil {
		return p.verify(root, &k, Hash{})
	}
	if p.other.key == k {
		return fmt.Errorf("%w: it shows that the key is there", ErrBadProof)
	}
	for depth := range p.beside {
		if depth < maxDepth && bit(&k, depth) != bit(&p.other.key, depth) {
			return fmt.Errorf("%w: the other key stands elsewhere", ErrBadProof)
		}
	}
	return p.verify(root, &k, hashLeaf(p.other.key, p.other.value))
}

// verify wants the way of a key to lead from the root to a subtree.
func (p Proof) verify(root Hash, key *Hash, end Hash) error {
	if len(p.beside) > maxDepth {
		return fmt.Errorf("%w: %d hashes, %d are allowed", ErrBadProof, len(p.beside), maxDepth)
	}
	if n := len(p.beside); n > 0 && p.beside[n-1] == (Hash{}) {
		return fmt.Errorf("%w: it goes further down than the tree", ErrBadProof)
	}
	h := end
	for depth := len(p.beside) - 1; depth >= 0; depth-- {
		if bit(key, depth) == 0 {
			h = hashNode(h, p.beside[depth])
		} else {
			h = hashNode(p.beside[depth], h)
		}
	}
	if h != root {
		return fmt.Errorf("%w: it leads to another root", ErrBadProof)
	}
	return nil
}

// Encode returns the bytes described in the package comment.
func (p Proof) Encode() []byte {
	b := make([]byte, 0, 2+(len(p.beside)+2)*sha256.Size)
	b = append(b, byte(len(p.beside)), 0)
	for i := range p.beside {
		b = append(b, p.beside[i][:]...)
	}
	if p.other != nil {
		b[1] = 1
		b = append(append(b, p.other.key[:]...), p.other.value[:]...)
	}
	return b
}

// DecodeProof reads what Encode wrote and nothing else; it verifies nothing.
func DecodeProof(b []byte) (Proof, error) {
	if len(b) < 2 || b[1] > 1 || len(b) != 2+(int(b[0])+2*int(b[1]))*sha256.Size {
		return Proof{}, fmt.Errorf("%w: malformed, %d bytes", ErrBadProof, len(b))
	}
	var p Proof
	n, end := int(b[0]), b[1]
	b = b[2:]
	for range n {
		p.beside = append(p.beside, Hash(b[:sha256.Size]))
		b = b[sha256.Size:]
	}
	if end == 1 {
		p.other = &leaf{Hash(b[:sha256.Size]), Hash(b[sha256.Size:])}
	}
	if n > 0 && p.beside[n-1] == (Hash{}) {
		return Proof{}, fmt.Errorf("%w: it goes further down than the tree", ErrBadProof)
	}
	return p, nil
}
