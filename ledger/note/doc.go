// Package note is the C2SP signed note (https://c2sp.org/signed-note): a text,
// an empty line, and lines "— name base64(key id || signature)", with the three
// signature types that transparency logs and their witnesses use here:
//
//	0x01  Ed25519 over the text
//	0x04  cosignature/v1 (https://c2sp.org/tlog-cosignature): Ed25519 over
//	      "cosignature/v1\ntime T\n" and the text, behind the 8 bytes of T
//	0x06  subtree/v1 (same page): ML-DSA-44 (FIPS 204) over a binary form of the
//	      signer's name, T, and the origin, size and root in the text, behind
//	      the 8 bytes of T. A quantum computer does not forge it. Extension
//	      lines of the checkpoint are not signed.
//
// For example a checkpoint, signed by its log and cosigned by a witness:
//
//	example.com/behind-the-sofa
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeO…
//	— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI…
//
// Parsing is strict and bounded, and Encode(Parse(x)) == x.
package note

import "errors"

// What can be wrong with a note or a key.
var (
	ErrMalformed    = errors.New("malformed signed note")
	ErrTooLarge     = errors.New("signed note is too large")
	ErrBadKey       = errors.New("malformed verifier key")
	ErrUnsupported  = errors.New("key is of a type that is not supported here")
	ErrBadSignature = errors.New("note is not what the key signed")
)
