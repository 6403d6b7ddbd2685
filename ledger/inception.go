package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/dockchains/dockchain/ledger/statemap"
)

// Inception is what leaf 0 of a log says: the network the author belongs to,
// the keys that speak for it, and a commitment to the keys after those.
type Inception struct {
	Network       string      // lower-case letters, digits, ". _ -", at most 63
	Keys          []PublicKey // 1 to MaxKeys, distinct
	Threshold     int         // how many of Keys must sign
	Next          []string    // fingerprints of the next keys; none: they can never change
	NextThreshold int         // how many of the next keys must sign; 0 without Next
	Work          Work        // optional
}

// Work is a proof of work: SHA-256(challenge || Nonce in 8 bytes, big-endian)
// begins with Bits zero bits, where challenge is the SHA-256 of the inception's
// predicate without work and state. The zero Work claims nothing.
type Work struct {
	Bits  int
	Nonce uint64
}

const maxWork = 64 // bits

func (in *Inception) keySet() *KeySet {
	return &KeySet{Keys: in.Keys, Threshold: in.Threshold, Next: in.Next, NextThreshold: in.NextThreshold}
}

// KeyState is who speaks for the author from leaf 0 on.
func (in *Inception) KeyState() KeyState { return in.keySet().State() }

// EncodeInception returns leaf 0, signed by keys.
func EncodeInception(in Inception, keys ...Key) ([]byte, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return signEnvelope(statement(in.subject(), typeInception, in.predicate()), keys...)
}

// CheckNetwork wants the name of a network.
func CheckNetwork(name string) error {
	return want(isNetwork(name), "network name %q: want lower-case letters, digits and . _ -", clip(name))
}

func (in *Inception) check() error {
	if err := CheckNetwork(in.Network); err != nil {
		return err
	}
	if err := in.keySet().Check(); err != nil {
		return err
	}
	w := in.Work
	return want(w == Work{} || w.Bits >= 1 && w.Bits <= maxWork && w.Nonce <= maxSafeInteger && in.worth(w.Nonce) >= w.Bits,
		"proof of work is not worth the %d bits that it claims", w.Bits)
}

// Mine finds a Work of this many bits for the inception, which takes about
// 2^bits hashes.
func (in *Inception) Mine(ctx context.Context, bits int) (Work, error) {
	if bits < 1 || bits > maxWork {
		return Work{}, fmt.Errorf("proof of work: %w: %d bits, 1 to %d are allowed", ErrBadEntry, bits, maxWork)
	}
	challenge := in.challenge()
	for nonce := uint64(0); nonce <= maxSafeInteger; nonce++ {
		if worth(challenge, nonce) >= bits {
			return Work{bits, nonce}, nil
		}
		if nonce%(1<<16) == 0 && ctx.Err() != nil {
			return Work{}, fmt.Errorf("proof of work: %w", ctx.Err())
		}
	}
	return Work{}, fmt.Errorf("proof of work: %w: there is none of %d bits", ErrTooLarge, bits)
}

func (in *Inception) worth(nonce uint64) int { return worth(in.challenge(), nonce) }

func (in *Inception) challenge() [32]byte { return sha256.Sum256(in.appendFields(nil)) }

// worth is the number of leading zero bits.
func worth(challenge [32]byte, nonce uint64) int {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(challenge[:], nonce))
	n := 0
	for _, b := range sum {
		n += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return n
}

// state is the root of the state after the inception.
func (in *Inception) state() statemap.Hash {
	f := inceptionFacts(in)
	return f.tree.Root()
}

// subject lists the keys by their fingerprints.
func (in *Inception) subject() []byte { return in.keySet().subject("") }

func (in *Inception) appendFields(b []byte) []byte {
	b = append(b, `{"network":`...)
	b = appendString(b, in.Network)
	return in.keySet().appendFields(b)
}

func (in *Inception) predicate() []byte {
	b := in.appendFields(nil)
	if in.Work != (Work{}) {
		b = append(b, `,"work":{"bits":`...)
		b = fmt.Appendf(b, `%d,"nonce":%d}`, in.Work.Bits, in.Work.Nonce)
	}
	state := in.state()
	b = append(b, `,"state":`...)
	return append(appendBase64(b, state[:]), '}')
}

// inception takes the predicate; the state in it is returned beside it.
func (r *reader) inception() (*Inception, statemap.Hash) {
	in := &Inception{}
	r.lit(`{"network":`)
	in.Network = r.str(maxNetwork)
	var k KeySet
	k.readFields(r)
	in.Keys, in.Threshold, in.Next, in.NextThreshold = k.Keys, k.Threshold, k.Next, k.NextThreshold
	if r.opt(`,"work":{"bits":`) {
		in.Work.Bits = int(r.num(maxWork))
		r.lit(`,"nonce":`)
		in.Work.Nonce = r.num(maxSafeInteger)
		r.lit("}")
		if in.Work == (Work{}) {
			r.fail("an empty proof of work must be left out")
		}
	}
	r.lit(`,"state":`)
	state := r.stateHash()
	r.lit("}")
	return in, state
}
