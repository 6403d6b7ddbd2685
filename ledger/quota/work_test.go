package quota

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"testing"
)

func TestWork(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 8, 9, 12, DefaultWorkBits} {
		payload := fmt.Appendf(nil, "inception %d", n)
		nonce, err := Work(t.Context(), payload, n)
		if err != nil {
			t.Fatal(err)
		}
		if !CheckWork(payload, nonce, n) {
			t.Errorf("%d bits: nonce %d does not check", n, nonce)
		}
		if got := WorkBits(payload, nonce); CheckWork(payload, nonce, got+1) || !CheckWork(payload, nonce, got) {
			t.Errorf("nonce %d has %d bits, neither more nor less", nonce, got)
		}
		if n >= 12 && CheckWork(append(payload, 0), nonce, n) {
			t.Errorf("work of %d bits on one payload is work on another", n)
		}
	}
}

// TestWorkAsDocumented computes the hash once more, by the words of the package
// comment.
func TestWorkAsDocumented(t *testing.T) {
	t.Parallel()
	for nonce := range uint64(3000) {
		payload := []byte("a payload")
		inner := sha256.Sum256(payload)
		msg := append([]byte("dockchain-pow/1"), inner[:]...)
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(msg, nonce))
		want := bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:]))
		if got := WorkBits(payload, nonce); got != want {
			t.Fatalf("nonce %d: %d bits, want %d", nonce, got, want)
		}
	}
	// A vector for other implementations.
	if nonce, n := uint64(827116), 20; !CheckWork([]byte("dockchain"), nonce, n) {
		t.Errorf("nonce %d is not work of %d bits", nonce, n)
	}
}

func TestWorkRefuses(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, MaxWorkBits + 1, 1 << 30} {
		if _, err := Work(t.Context(), nil, n); !errors.Is(err, ErrBadWork) {
			t.Errorf("%d bits: %v", n, err)
		}
	}
	if CheckWork(nil, 0, -1) || CheckWork(nil, 0, 257) || CheckWork(nil, MaxNonce+1, 0) {
		t.Error("nonsense is work")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Work(ctx, nil, MaxWorkBits); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkWorkHash(b *testing.B) {
	block := workBlock([]byte("payload"))
	nonce := uint64(0)
	for b.Loop() {
		nonce++
		zeroBits(&block, nonce)
	}
}

func BenchmarkWork(b *testing.B) {
	for _, n := range []int{16, 20} {
		b.Run(fmt.Sprintf("%d bits", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := Work(b.Context(), fmt.Append(nil, i), n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
