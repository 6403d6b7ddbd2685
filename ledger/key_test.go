package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func testKey(t testing.TB, seed byte) Key {
	t.Helper()
	k, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPrivateKeyRoundTrip(t *testing.T) {
	t.Parallel()
	k := testKey(t, 1)
	b, err := k.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePrivate(b)
	if err != nil || back.Public() != k.Public() {
		t.Fatalf("%v, %v", back, err)
	}
	if !k.Public().verify([]byte("x"), back.sign([]byte("x"))) {
		t.Error("the key that came back signs as another")
	}
}

func TestParsePrivateRefuses(t *testing.T) {
	t.Parallel()
	good, err := testKey(t, 1).MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string][]byte{
		"empty":       nil,
		"no pem":      []byte("hello"),
		"two keys":    slices.Concat(good, good),
		"trailing":    slices.Concat(good, []byte("x")),
		"cut":         good[:len(good)/2],
		"wrong type":  bytes.ReplaceAll(good, []byte("PRIVATE KEY"), []byte("SECRET KEY")),
		"no pkcs8":    pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: []byte("x")}),
		"another alg": pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: rsaDER}),
	} {
		if _, err := ParsePrivate(in); !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: %v, want ErrBadKey", name, err)
		}
	}
	if _, err := (Key{}).MarshalPrivate(); !errors.Is(err, ErrBadKey) {
		t.Errorf("empty key: %v, want ErrBadKey", err)
	}
	if _, err := GenerateKey(strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short randomness: %v", err)
	}
}

func TestKeyPrintsNoSecret(t *testing.T) {
	t.Parallel()
	k := testKey(t, 0xa7)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k)
	secret := k.private.Seed()
	for _, out := range []string{
		fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s %x %X %q %d", k, k, k, k, k, k, k, k), fmt.Sprintf("%v", &k),
		fmt.Sprintf("%#v", struct{ K Key }{k}), log.String(),
	} {
		for _, form := range []string{hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), string(secret), "167, 167", "167 167", "0xa7, 0xa7"} {
			if strings.Contains(out, form) {
				t.Errorf("the private key is in %q", out)
			}
		}
		if !strings.Contains(out, k.Public().Fingerprint()) {
			t.Errorf("no fingerprint in %q", out)
		}
	}
}

// TestWeakKeys: under these keys one signature is good for every message; the
// test makes such a signature, so that the list is not taken on faith.
func TestWeakKeys(t *testing.T) {
	t.Parallel()
	universal := func(k PublicKey) bool {
		sig := make([]byte, ed25519.SignatureSize)
		for _, r := range smallOrder { // R of small order, S = 0
			raw, err := hex.DecodeString(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, sign := range []byte{0, 0x80} {
				copy(sig, raw)
				sig[31] |= sign
				for i := range 64 {
					if k.verify([]byte{byte(i)}, sig) {
						return true
					}
				}
			}
		}
		return false
	}
	for _, y := range smallOrder {
		raw, err := hex.DecodeString(y)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			k := PublicKey(raw)
			k[31] |= sign
			if err := k.check(); !errors.Is(err, ErrBadKey) {
				t.Errorf("%x: %v, want ErrBadKey", k, err)
			}
			if !universal(k) && sign == 0 {
				t.Errorf("%x is in the list and is not weak", k)
			}
		}
	}
	for b := 0xed; b <= 0xff; b++ { // the same coordinates, not reduced
		k := PublicKey(bytes.Repeat([]byte{0xff}, 32))
		k[0], k[31] = byte(b), 0x7f
		if err := k.check(); !errors.Is(err, ErrBadKey) {
			t.Errorf("%x: %v, want ErrBadKey", k, err)
		}
	}
	for seed := range byte(5) {
		k := testKey(t, seed).Public()
		if err := k.check(); err != nil || universal(k) {
			t.Errorf("an ordinary key was refused: %v", err)
		}
	}
}

func FuzzParsePrivate(f *testing.F) {
	good, err := testKey(f, 1).MarshalPrivate()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := ParsePrivate(in)
		if err != nil {
			return
		}
		if !k.Public().verify(in, k.sign(in)) {
			t.Error("a parsed key does not sign")
		}
	})
}
