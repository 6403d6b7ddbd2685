package ledger

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Holder is what somebody who holds a key of an author tells the others, who need
// it to name the key in a key event: its public half, and a commitment to the one
// after it.
type Holder struct {
	Key  PublicKey
	Next string // fingerprint
}

// holderMark begins an encoded holder.
const holderMark = "dockchain-holder"

// MaxHolder bounds an encoded holder in bytes.
const MaxHolder = 160

// Encode returns one line:
//
//	dockchain-holder+<base64 of 0x01 || public key>+<fingerprint of the next key>
func (h Holder) Encode() []byte {
	b := []byte(holderMark + "+")
	b = base64.StdEncoding.AppendEncode(b, h.Key.encoded())
	return fmt.Appendf(b, "+%s\n", h.Next)
}

// ParseHolder reads what Encode wrote. A base64 may contain a plus.
func ParseHolder(b []byte) (Holder, error) {
	var h Holder
	bad := fmt.Errorf("%w: want a line like %s+KEY+FINGERPRINT", ErrBadKey, holderMark)
	s, ok := strings.CutPrefix(string(b[:min(len(b), MaxHolder)]), holderMark+"+")
	if !ok || len(b) > MaxHolder {
		return h, bad
	}
	last := strings.LastIndexByte(s, '+')
	if last < 0 || !strings.HasSuffix(s, "\n") {
		return h, bad
	}
	raw, err := strictBase64.DecodeString(s[:last])
	h.Next = strings.TrimSuffix(s[last+1:], "\n")
	if err != nil || len(raw) != 1+len(h.Key) || raw[0] != algEd25519 || !isHex(h.Next, fingerprintLen) {
		return Holder{}, bad
	}
	copy(h.Key[:], raw[1:])
	if err := h.Key.check(); err != nil {
		return Holder{}, err
	}
	if string(h.Encode()) != string(b) {
		return Holder{}, bad
	}
	return h, nil
}

// With adds holders of further keys to a set, and demands as many of all of them
// as threshold says, now and for the next change.
func (k KeySet) With(threshold int, holders ...Holder) KeySet {
	k.Keys, k.Next = append([]PublicKey(nil), k.Keys...), append([]string(nil), k.Next...)
	for _, h := range holders {
		k.Keys, k.Next = append(k.Keys, h.Key), append(k.Next, h.Next)
	}
	k.Threshold, k.NextThreshold = threshold, threshold
	return k
}
