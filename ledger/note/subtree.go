package note

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"

	"filippo.io/mldsa"
)

// maxSubtreeName bounds the names in a subtree/v1 message, which have a length
// of one byte.
const maxSubtreeName = 255

// subtree is the message of a subtree/v1 cosignature of a whole tree:
//
//	label "subtree/v1\n\0", cosigner name (length in a byte before it), time
//	(8 bytes), log origin (length in a byte), start 0 and end (8 bytes each),
//	root (32 bytes)
//
// It is not made of a text that is no checkpoint, or has a longer origin.
func subtree(cosigner, text string, at int64) ([]byte, bool) {
	origin, size, root, ok := treeOf(text)
	if !ok || origin == "" || len(origin) > maxSubtreeName || len(cosigner) > maxSubtreeName {
		return nil, false
	}
	b := append([]byte(nil), "subtree/v1\n\x00"...)
	b = append(append(b, byte(len(cosigner))), cosigner...)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = append(append(b, byte(len(origin))), origin...)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, size)
	return append(b, root...), true
}

// treeOf reads the lines of a checkpoint that name a tree.
func treeOf(text string) (origin string, size uint64, root []byte, ok bool) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 {
		return "", 0, nil, false
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return "", 0, nil, false
	}
	root, err = strictBase64.DecodeString(lines[2])
	return lines[0], size, root, err == nil && len(root) == sha256.Size
}

// verifySubtree reports whether an ML-DSA-44 key signed the tree in a text.
func (k Key) verifySubtree(text string, at int64, sig []byte) bool {
	msg, ok := subtree(k.Name, text, at)
	if !ok || len(sig) != mldsa.MLDSA44SignatureSize {
		return false
	}
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), []byte(k.MLDSA))
	return err == nil && mldsa.Verify(public, msg, sig, nil) == nil
}
