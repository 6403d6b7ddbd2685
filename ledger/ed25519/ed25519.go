// Package ed25519 signs and verifies Ed25519 signatures (RFC 8032) exactly as the
// standard library does, in little more than half the time: writing and reading a
// log is mostly that.
//
// The curve is that of github.com/oasisprotocol/curve25519-voi, which has vector
// code for amd64 and is what CometBFT chains verify with. What counts as a valid
// signature differs between implementations where keys or signatures have small
// order, are spelled in an unusual way, or where the equation is multiplied by
// the cofactor (https://hdevalence.ca/blog/2020-10-04-its-25519am); nodes that
// differ there would disagree about a log. So this takes voi's profile of the
// standard library, and the tests compare the two on all those cases. For the
// same reason signatures are not verified in batches, which cannot do without
// the cofactor: a part of small order in a commitment cancels out in the sum, and
// to rule it out for each of them costs what the batch saves.
//
// Signatures are deterministic, and those made here are the standard library's,
// byte by byte. The time it takes to make one does not depend on the key.
package ed25519

import (
	"crypto"
	"crypto/ed25519"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// Sign returns the signature of msg. It panics on a private key of a wrong length.
func Sign(private ed25519.PrivateKey, msg []byte) []byte {
	return voi.Sign(voi.PrivateKey(private), msg)
}

var options = voi.Options{Hash: crypto.Hash(0), Verify: voi.VerifyOptionsStdLib}

// Verify tells whether sig is a signature of msg by public. Of keys and
// signatures of a wrong length it says no.
func Verify(public, msg, sig []byte) bool {
	return len(public) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize &&
		voi.VerifyWithOptions(public, msg, sig, &options)
}

// Key is a public key made ready to verify several signatures by it: that takes
// as long as a sixth of a signature, and saves as much each time.
type Key struct{ expanded *voi.ExpandedPublicKey }

// Prepare makes a key ready. Under one that is no point on the curve nothing
// verifies.
func Prepare(public []byte) Key {
	expanded, err := voi.NewExpandedPublicKey(public)
	if err != nil {
		return Key{}
	}
	return Key{expanded}
}

// Verify is Verify with this key.
func (k Key) Verify(msg, sig []byte) bool {
	return k.expanded != nil && len(sig) == ed25519.SignatureSize &&
		voi.VerifyExpandedWithOptions(k.expanded, msg, sig, &options)
}
