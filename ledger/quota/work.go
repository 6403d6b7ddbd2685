package quota

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// DefaultWorkBits is the work that every inception needs.
	DefaultWorkBits = 16
	// MaxWorkBits bounds what Work is asked for: on one core more than a day.
	MaxWorkBits = 40
	// MaxNonce is the largest nonce.
	MaxNonce = 1<<53 - 1

	workPrefix = "dockchain-pow/1" // with a hash and a nonce it fills one block of SHA-256
	workBatch  = 1 << 12           // nonces between looks at the context
)

// ErrBadWork is a number of bits that nobody can want.
var ErrBadWork = errors.New("not an amount of work")

// CheckWork tells whether nonce is work of so many bits, or more, on payload.
func CheckWork(payload []byte, nonce uint64, bits int) bool {
	return bits >= 0 && nonce <= MaxNonce && WorkBits(payload, nonce) >= bits
}

// WorkBits is how many bits of work nonce is on payload, 0 to 256.
func WorkBits(payload []byte, nonce uint64) int {
	block := workBlock(payload)
	return zeroBits(&block, nonce)
}

// Work finds a nonce that is work of so many bits on payload, on all cores, for
// 2^bits hashes on average. It fails with the error of ctx when that is done
// first, and with ErrBadWork unless bits is 0 to MaxWorkBits.
func Work(ctx context.Context, payload []byte, bits int) (uint64, error) {
	if bits < 0 || bits > MaxWorkBits {
		return 0, fmt.Errorf("%w: %d bits, at most %d", ErrBadWork, bits, MaxWorkBits)
	}
	var next atomic.Uint64
	var found atomic.Uint64 // the nonce + 1
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			block := workBlock(payload)
			for found.Load() == 0 && ctx.Err() == nil {
				first := next.Add(workBatch) - workBatch
				for nonce := first; nonce < first+workBatch && nonce <= MaxNonce; nonce++ {
					if zeroBits(&block, nonce) >= bits {
						found.CompareAndSwap(0, nonce+1)
						return
					}
				}
			}
		})
	}
	workers.Wait()
	if n := found.Load(); n != 0 {
		return n - 1, nil
	}
	return 0, fmt.Errorf("working: %w", ctx.Err())
}

// block is what is hashed, with room for the nonce at its end.
type block [len(workPrefix) + sha256.Size + 8]byte

func workBlock(payload []byte) (b block) {
	n := copy(b[:], workPrefix)
	sum := sha256.Sum256(payload)
	copy(b[n:], sum[:])
	return b
}

// zeroBits hashes a block with a nonce.
func zeroBits(b *block, nonce uint64) (n int) {
	binary.BigEndian.PutUint64(b[len(b)-8:], nonce)
	sum := sha256.Sum256(b[:])
	for i := 0; i < len(sum); i += 8 {
		w := binary.BigEndian.Uint64(sum[i:])
		n += bits.LeadingZeros64(w)
		if w != 0 {
			break
		}
	}
	return n
}
