package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// RevokeRequest asks to take back what this author released.
type RevokeRequest struct {
	// Target is a digest, or me/REPO:TAG, or me/REPO@DIGEST; Key, in its place, a
	// fingerprint of a key of this author, or at least 8 digits that begin one.
	Target string `json:"target,omitempty"`
	Key    string `json:"key,omitempty"`
	Reason string `json:"reason,omitempty"`
	// LastValid is the last entry of the log that is still good.
	LastValid uint64 `json:"last_valid,omitempty"`
	Way
}

// Revoked is what a revocation gives.
type Revoked struct {
	What    string `json:"what"` // the digest, REPO:TAG or "key" and a fingerprint
	Author  string `json:"author"`
	Entry   uint64 `json:"entry"`             // of the revocation
	Existed bool   `json:"existed,omitempty"` // the log said so already
	// Proposal is that of [Said].
	Proposal string `json:"proposal,omitempty"`
}

// Revoke takes back a tag, whose later releases count again, or for good a digest,
// also one that was endorsed or attested, or what a key signed.
func (x *Exchange) Revoke(ctx context.Context, req RevokeRequest) (Revoked, error) {
	st, err := x.revocation(req)
	if err != nil {
		return Revoked{}, err
	}
	said, err := x.say(ctx, st, req.Way, func() (uint64, bool, error) {
		released, err := x.lastReleased(st)
		if err != nil {
			return 0, false, err
		}
		if released <= st.LastValid {
			return 0, false, fmt.Errorf("%w: nothing about %s comes after entry %d", ErrBadRequest, st, st.LastValid)
		}
		return x.isRevoked(st, released)
	})
	return Revoked{What: st.String(), Author: said.Author, Entry: said.Entry, Existed: said.Existed, Proposal: said.Proposal}, err
}

// revocation is the statement that a request asks for.
func (x *Exchange) revocation(req RevokeRequest) (*ledger.Revoke, error) {
	st := &ledger.Revoke{Reason: req.Reason, LastValid: req.LastValid}
	if req.Key != "" {
		if req.Target != "" {
			return nil, fmt.Errorf("%w: an image or a key is revoked, not both", ErrBadRequest)
		}
		var err error
		if st.Key, err = x.ownKey(req.Key); err == nil {
			err = x.canLose(st.Key)
		}
		return st, err
	}
	if d, err := digest.Parse(req.Target); err == nil {
		st.Digest = d
		return st, nil
	}
	t, err := x.parseTarget(req.Target)
	switch {
	case err != nil:
		return nil, err
	case t.magnet != nil:
		return nil, fmt.Errorf("%w: a tag or a digest is revoked, not a magnet link", ErrBadRequest)
	case t.author != x.Me.ID:
		return nil, fmt.Errorf("%w: %s", ErrNotYours, req.Target)
	case t.ref.Digest != "" && t.ref.Tag != "":
		return nil, fmt.Errorf("%w: a tag or a digest is revoked, not both: %s", ErrBadRequest, req.Target)
	case t.ref.Digest != "":
		st.Digest = t.ref.Digest
	default:
		st.Repo, st.Tag = t.ref.Repo, t.ref.Tag
	}
	return st, nil
}

// ownKey finds the one key that ever spoke for this author whose fingerprint
// begins like this.
func (x *Exchange) ownKey(begins string) (string, error) {
	if len(begins) < 8 {
		return "", fmt.Errorf("%w: at least 8 digits of the key's fingerprint are needed", ErrBadRequest)
	}
	found := ""
	sets, err := x.Ledger.KeySets(x.Me.ID)
	if err != nil {
		return "", err
	}
	for _, set := range sets {
		for _, k := range set.Keys {
			f := k.Fingerprint()
			if strings.HasPrefix(f, begins) && found != "" && found != f {
				return "", fmt.Errorf("%w: several keys begin with %s", ErrBadRequest, begins)
			}
			if strings.HasPrefix(f, begins) {
				found = f
			}
		}
	}
	if found == "" {
		return "", fmt.Errorf("%w: no key of yours begins with %s", ErrNotFound, begins)
	}
	return found, nil
}

// canLose wants enough keys to be left without one.
func (x *Exchange) canLose(fingerprint string) error {
	keys, err := x.Ledger.Keys(x.Me.ID)
	if err != nil {
		return err
	}
	inUse := slices.ContainsFunc(keys.Keys, func(k ledger.PublicKey) bool { return k.Fingerprint() == fingerprint })
	if inUse && len(keys.Keys) <= keys.Threshold {
		return fmt.Errorf("%w: too few keys would be left; rotate or recover instead", ErrBadRequest)
	}
	return nil
}

// lastReleased is the last entry of this author's log that a revocation is
// about.
func (x *Exchange) lastReleased(st *ledger.Revoke) (uint64, error) {
	never := fmt.Errorf("%w: you have not released %s", ErrNotFound, st)
	if st.Key != "" {
		head, err := x.Ledger.Head(x.Me.ID)
		return head.Size, err // all that it signed so far may stay good
	}
	if st.Digest == "" {
		rec, err := x.Index.Resolve(x.Me.ID, st.Repo, st.Tag)
		if notFound(err) {
			return 0, never
		}
		return rec.Index, err
	}
	places, err := x.Store.ReleasesOfDigest(st.Digest)
	if err != nil {
		return 0, err
	}
	last := uint64(0)
	for _, at := range places {
		if at.Author == x.Me.ID {
			last = max(last, at.Index)
		}
	}
	said, err := x.Store.About(string(st.Digest), x.Me.ID)
	if err != nil {
		return 0, err
	}
	for _, at := range said {
		last = max(last, at.Index)
	}
	if last == 0 {
		return 0, never
	}
	return last, nil
}

// isRevoked tells whether the log has such a revocation already, and where.
func (x *Exchange) isRevoked(st *ledger.Revoke, released uint64) (entry uint64, is bool, err error) {
	key := "revoked/digest/" + string(st.Digest) // package ledger: State
	switch {
	case st.Key != "":
		key = stateRevokedKey + st.Key
	case st.Digest == "":
		key = "revoked/tag/" + st.Repo + ":" + st.Tag
	}
	value, err := x.Store.Ledgers().State(x.Me.ID, key)
	if errors.Is(err, ledger.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	var v struct{ Index, LastValid uint64 }
	if err := json.Unmarshal(value, &v); err != nil {
		return 0, false, fmt.Errorf("reading the state of the log: %w", err)
	}
	return v.Index, v.LastValid <= st.LastValid && (st.Tag == "" || v.Index > released), nil
}
