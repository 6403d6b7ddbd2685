package ed25519

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// order is that of the base point.
var order, _ = new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)

func agree(t *testing.T, public, msg, sig []byte) bool {
	t.Helper()
	want := ed25519.Verify(public, msg, sig)
	if got := Verify(public, msg, sig); got != want {
		t.Errorf("key %x, message %x, signature %x: %t, the standard library says %t", public, msg, sig, got, want)
	}
	if got := Prepare(public).Verify(msg, sig); got != want {
		t.Errorf("key %x made ready, message %x, signature %x: %t, the standard library says %t", public, msg, sig, got, want)
	}
	return want
}

func TestSign(t *testing.T) {
	t.Parallel()
	for i := range 500 {
		seed := sha512.Sum512_256(binary.BigEndian.AppendUint64(nil, uint64(i)))
		sameSignature(t, seed[:], bytes.Repeat(seed[:], i%32)[:i%32*31])
	}
	for _, edge := range []byte{0, 1, 0x7f, 0x80, 0xff} {
		sameSignature(t, bytes.Repeat([]byte{edge}, ed25519.SeedSize), nil)
	}
}

func sameSignature(t *testing.T, seed, msg []byte) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(seed)
	want := ed25519.Sign(private, msg)
	if got := Sign(private, msg); !bytes.Equal(got, want) {
		t.Errorf("seed %x, message %x: %x, the standard library makes %x", seed, msg, got, want)
	}
}

// FuzzSign compares with the standard library.
func FuzzSign(f *testing.F) {
	f.Add(make([]byte, ed25519.SeedSize), []byte("hello"))
	f.Fuzz(func(t *testing.T, seed, msg []byte) {
		if len(seed) == ed25519.SeedSize {
			sameSignature(t, seed, msg)
		}
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for i := range 200 {
		private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, ed25519.SeedSize))
		public := private.Public().(ed25519.PublicKey)
		msg := bytes.Repeat([]byte{byte(i)}, i*7)
		sig := ed25519.Sign(private, msg)
		if !agree(t, public, msg, sig) {
			t.Fatal("a good signature is refused")
		}
		for bit := range 8 * len(sig) {
			bad := bytes.Clone(sig)
			bad[bit/8] ^= 1 << (bit % 8)
			if agree(t, public, msg, bad) {
				t.Fatalf("bit %d counts for nothing", bit)
			}
			if i > 0 && bit > 40 {
				break
			}
		}
		if agree(t, public, append(msg, 0), sig) {
			t.Fatal("another message is accepted")
		}
	}
	if Verify(nil, nil, make([]byte, 64)) || Verify(make([]byte, 31), nil, make([]byte, 64)) || Verify(make([]byte, 32), nil, make([]byte, 63)) ||
		Prepare(nil).Verify(nil, make([]byte, 64)) || Prepare(make([]byte, 32)).Verify(nil, make([]byte, 63)) {
		t.Error("a wrong length is accepted")
	}
}

// torsion are the points of small order, each in every spelling of 255 bits and
// sign that decodes somewhere.
func torsion(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	for _, s := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		high := bytes.Clone(b)
		high[31] |= 0x80
		out = append(out, b, high)
	}
	return out
}

// Keys and commitments of small order, in all their spellings, with sums that
// make the equation hold with and without the cofactor.
func TestSmallOrder(t *testing.T) {
	t.Parallel()
	points, accepted := torsion(t), 0
	scalars := [][]byte{make([]byte, 32), little(big.NewInt(1)), little(order), little(new(big.Int).Sub(order, big.NewInt(1)))}
	for _, a := range points {
		for _, r := range points {
			for _, s := range scalars {
				for m := range 16 {
					if agree(t, a, []byte{byte(m)}, append(bytes.Clone(r), s...)) {
						accepted++
					}
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("none of these holds anywhere: the cases are too easy")
	}
}

// Keys and commitments with a part of small order, signed by somebody who knows
// the rest: valid with the cofactor, and only by chance without it.
func TestMixedOrder(t *testing.T) {
	t.Parallel()
	accepted, refused := 0, 0
	for _, ta := range torsion(t) {
		for _, tr := range torsion(t) {
			for m := range 16 {
				public, sig, ok := signMixed(t, ta, tr, []byte{byte(m)})
				if !ok {
					continue
				}
				if agree(t, public, []byte{byte(m)}, sig) {
					accepted++
				} else {
					refused++
				}
			}
		}
	}
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: the cases are too easy", accepted, refused)
	}
}

// signMixed signs with the key A+ta and the commitment R+tr.
func signMixed(t *testing.T, ta, tr, msg []byte) (public, sig []byte, ok bool) {
	t.Helper()
	a, r := big.NewInt(0x1234567), big.NewInt(0x7654321)
	key, ok1 := plus(a, ta)
	commitment, ok2 := plus(r, tr)
	if !ok1 || !ok2 {
		return nil, nil, false
	}
	h := sha512.New()
	h.Write(commitment)
	h.Write(key)
	h.Write(msg)
	k := new(big.Int).SetBytes(reversed(h.Sum(nil)))
	s := k.Mul(k, a).Add(k, r).Mod(k, order)
	return key, append(bytes.Clone(commitment), little(s)...), true
}

// plus is n times the base point, and the point that b spells.
func plus(n *big.Int, b []byte) ([]byte, bool) {
	var y curve.CompressedEdwardsY
	if _, err := y.SetBytes(b); err != nil {
		return nil, false
	}
	point := curve.NewEdwardsPoint()
	if _, err := point.SetCompressedY(&y); err != nil {
		return nil, false
	}
	var s scalar.Scalar
	if _, err := s.SetBytesModOrder(little(n)); err != nil {
		return nil, false
	}
	sum := curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, &s)
	sum.Add(sum, point)
	out := curve.NewCompressedEdwardsY().SetEdwardsPoint(sum)
	return bytes.Clone(out[:]), true
}

func little(n *big.Int) []byte { return reversed(n.FillBytes(make([]byte, 32))) }

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

// FuzzVerify compares with the standard library.
func FuzzVerify(f *testing.F) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := private.Public().(ed25519.PublicKey)
	f.Add([]byte(public), []byte("hello"), ed25519.Sign(private, []byte("hello")))
	f.Fuzz(func(t *testing.T, public, msg, sig []byte) {
		if len(public) != ed25519.PublicKeySize { // on which the standard library panics
			if Verify(public, msg, sig) || Prepare(public).Verify(msg, sig) {
				t.Error("a key of a wrong length verifies")
			}
			return
		}
		agree(t, public, msg, sig)
	})
}
