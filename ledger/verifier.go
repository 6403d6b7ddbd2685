package ledger

import (
	"context"

	fast "github.com/dockchains/dockchain/ledger/ed25519"
)

// verifier tells whether sig is a signature of msg by a key.
type verifier func(key PublicKey, msg, sig []byte) bool

// verifyEntries wants the signatures of all entries to be right; keys is who spoke
// for the author before each of them.
func verifyEntries(ctx context.Context, entries []*Entry, keys []KeyState) error {
	by := prepare(entries, keys)
	return parallel(ctx, len(entries), func(i int) error { return entries[i].verifySignatures(keys[i], by) })
}

// prepare makes the keys ready that signed more than one of entries.
func prepare(entries []*Entry, keys []KeyState) verifier {
	signed := map[string]int{} // by fingerprint
	for _, e := range entries {
		for _, s := range e.envelope.signatures {
			signed[s.keyID]++
		}
	}
	ready := map[PublicKey]fast.Key{}
	for i, e := range entries {
		for _, s := range e.envelope.signatures {
			if signed[s.keyID] < 2 {
				continue
			}
			if key, ok := keys[i].byFingerprint(s.keyID); ok {
				ready[key] = fast.Prepare(key[:])
				signed[s.keyID] = 0 // once is enough
			}
		}
	}
	return func(key PublicKey, msg, sig []byte) bool {
		if k, ok := ready[key]; ok {
			return k.Verify(msg, sig)
		}
		return key.verify(msg, sig)
	}
}
