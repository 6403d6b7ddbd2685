package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger"
)

const (
	// MaxSize bounds an encoded proof in bytes.
	MaxSize = ledger.MaxEvidence

	maxGrowth = 64 // hashes; a log of 2^40 entries needs 41
)

// wire is the order and the names of the members.
type wire struct {
	Proved json.RawMessage `json:"proved"`
	Other  struct {
		Proved     json.RawMessage `json:"proved,omitempty"`
		Checkpoint string          `json:"checkpoint,omitempty"`
	} `json:"other"`
	Prefix []byte      `json:"prefix,omitempty"`
	Growth [][]byte    `json:"growth,omitempty"`
	Common *wireCommon `json:"common,omitempty"`
}

type wireCommon struct {
	Size   uint64      `json:"size"`
	Root   []byte      `json:"root"`
	Growth [2][][]byte `json:"growth"`
	Leaves [2][]byte   `json:"leaves"`
	Proofs [2][][]byte `json:"proofs"`
}

// Encode returns the JSON of the package comment.
func (p *Proof) Encode() ([]byte, error) {
	if p.Proved == nil || (p.Other == nil) == (len(p.Checkpoint) == 0) {
		return nil, fmt.Errorf("encoding fork proof: %w: want two sides", ErrMalformed)
	}
	w := wire{Proved: p.Proved.Encode()}
	w.Other.Checkpoint = string(p.Checkpoint)
	if p.Other != nil {
		w.Other.Proved = p.Other.Encode()
	}
	if len(p.Growth) > 0 {
		w.Prefix = p.Prefix[:]
		for _, h := range p.Growth {
			w.Growth = append(w.Growth, h[:])
		}
	}
	if c := p.Common; c != nil {
		w.Common = &wireCommon{Size: c.Size, Root: c.Root[:]}
		for i := range c.Leaves {
			w.Common.Growth[i], w.Common.Leaves[i], w.Common.Proofs[i] = raw(c.Growth[i]), c.Leaves[i][:], raw(c.Proofs[i])
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("encoding fork proof: %w", err)
	}
	if b.Len() > MaxSize+1 {
		return nil, fmt.Errorf("encoding fork proof: %w: %d bytes, %d are allowed", ErrMalformed, b.Len(), MaxSize)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Decode reads what Encode wrote, to the byte; it verifies nothing.
func Decode(b []byte) (*Proof, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrMalformed, len(b), MaxSize)
	}
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	p, err := w.proof()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	// There is one spelling: members that are unknown, repeated or in another
	// order, white space and other escapes do not come back.
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%w: not the one spelling of it", ErrMalformed)
	}
	return p, nil
}

func (w *wire) proof() (*Proof, error) {
	p := &Proof{}
	var err error
	if p.Proved, err = ledger.DecodeProved(w.Proved); err != nil {
		return nil, err
	}
	if w.Other.Proved != nil {
		if p.Other, err = ledger.DecodeProved(w.Other.Proved); err != nil {
			return nil, err
		}
	}
	if w.Other.Checkpoint != "" {
		p.Checkpoint = []byte(w.Other.Checkpoint)
	}
	if len(w.Growth) > maxGrowth || (len(w.Growth) > 0) != (len(w.Prefix) == tlog.HashSize) {
		return nil, fmt.Errorf("%d hashes of growth from %d bytes", len(w.Growth), len(w.Prefix))
	}
	copy(p.Prefix[:], w.Prefix)
	if p.Growth, err = hashes(w.Growth); err != nil {
		return nil, err
	}
	if w.Common != nil {
		p.Common, err = w.Common.common()
	}
	return p, err
}

func (w *wireCommon) common() (*Common, error) {
	c := &Common{Size: w.Size}
	single, err := hashes([][]byte{w.Root, w.Leaves[0], w.Leaves[1]})
	if err != nil {
		return nil, err
	}
	c.Root, c.Leaves = single[0], [2]tlog.Hash{single[1], single[2]}
	for i := range c.Growth {
		if c.Growth[i], err = hashes(w.Growth[i]); err != nil {
			return nil, err
		}
		if c.Proofs[i], err = hashes(w.Proofs[i]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func raw(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

func hashes(raw [][]byte) ([]tlog.Hash, error) {
	if len(raw) > maxGrowth {
		return nil, fmt.Errorf("%d hashes", len(raw))
	}
	var out []tlog.Hash
	for _, h := range raw {
		if len(h) != tlog.HashSize {
			return nil, fmt.Errorf("hash of %d bytes", len(h))
		}
		out = append(out, tlog.Hash(h))
	}
	return out, nil
}
