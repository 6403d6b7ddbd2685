package ledger

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Standing is what this node's copy of an author's log says about a release in
// it.
type Standing struct {
	Known   bool   // there is a copy
	Revoked string // why the release does not count, as the end of a sentence; "": it counts
	Latest  uint64 // index of the latest release of the tag; 0: none that counts
}

// Standing looks a verified release up in the state of its author's log.
func (l *Ledger) Standing(e *Entry) (Standing, error) {
	s, err := l.standing(e)
	if err != nil {
		return Standing{}, fmt.Errorf("looking up entry %d of %s: %w", e.Index, e.Author, err)
	}
	return s, nil
}

func (l *Ledger) standing(e *Entry) (Standing, error) {
	if e.Release == nil {
		return Standing{}, fmt.Errorf("%w: it is no release", ErrBadEntry)
	}
	value, err := l.store.State(e.Author, itemKeys)
	if errors.Is(err, ErrNotFound) {
		return Standing{}, nil
	}
	if err != nil {
		return Standing{}, err
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Known: true}
	if s.Revoked, err = l.revoked(e, keys); err != nil {
		return Standing{}, err
	}
	value, err = l.store.State(e.Author, tagItem(e.Release.Repo, e.Release.Tag))
	switch {
	case errors.Is(err, ErrNotFound):
		return s, nil
	case err != nil:
		return Standing{}, err
	}
	at, err := decodeTagged(value)
	s.Latest = at.index
	return s, err
}

// revoked says why a release does not count, or "".
func (l *Ledger) revoked(e *Entry, keys keyLog) (string, error) {
	if f, err := l.Fault(e.Author); err == nil && e.Index >= f.Common {
		return fmt.Sprintf("its author is proven to have broken the rules (%s), and only the entries before %d stand", f.Kind, f.Common), nil
	}
	if keys.isVoid(e.Index) {
		return "it was signed with keys that had fallen into other hands", nil
	}
	r := e.Release
	for _, c := range []struct {
		key, what string
		isTag     bool
	}{
		{itemRevokedDigest + string(r.Image.Digest), "the image", false},
		{itemRevokedTag + r.Repo + ":" + r.Tag, fmt.Sprintf("%s:%s", r.Repo, r.Tag), true},
	} {
		v, hit, err := l.hit(e, c.key, c.isTag)
		if err != nil {
			return "", err
		}
		if hit {
			return fmt.Sprintf("entry %d takes %s back", v.index, c.what), nil
		}
	}
	value, err := l.store.State(e.Author, itemRepo+r.Repo)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if o, err := decodeOwnership(value); err == nil && o.is == isTransferred && e.Index > o.index {
		return fmt.Sprintf("the repository %s went to %s in entry %d", r.Repo, o.other, o.index), nil
	}
	return l.keysRevoked(e, keys)
}

// Stands looks any other statement up in the state of its author's log: why it
// counts for nothing, as the end of a sentence, or "". What an author endorsed
// or attested, it takes back as it does a release, by revoking the digest.
func (l *Ledger) Stands(e *Entry) (why string, err error) {
	why, err = l.stands(e)
	if err != nil {
		return "", fmt.Errorf("looking up entry %d of %s: %w", e.Index, e.Author, err)
	}
	return why, nil
}

func (l *Ledger) stands(e *Entry) (string, error) {
	value, err := l.store.State(e.Author, itemKeys)
	if err != nil {
		return "", err
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return "", err
	}
	if keys.isVoid(e.Index) {
		return "it was signed with keys that had fallen into other hands", nil
	}
	var about digest.Digest
	switch s := e.Statement.(type) {
	case *Endorse:
		about = s.Digest
	case *Attest:
		about = s.Subject
	}
	if about != "" {
		v, hit, err := l.hit(e, itemRevokedDigest+string(about), false)
		if err != nil {
			return "", err
		}
		if hit {
			return fmt.Sprintf("entry %d takes it back", v.index), nil
		}
	}
	return l.keysRevoked(e, keys)
}

func (l *Ledger) hit(e *Entry, key string, isTag bool) (revocation, bool, error) {
	value, err := l.store.State(e.Author, key)
	if errors.Is(err, ErrNotFound) {
		return revocation{}, false, nil
	}
	if err != nil {
		return revocation{}, false, err
	}
	v, err := decodeRevocation(value)
	return v, v.hits(e.Index, isTag), err
}

// keysRevoked says that too few of the keys that signed are left.
func (l *Ledger) keysRevoked(e *Entry, keys keyLog) (string, error) {
	left, by := 0, uint64(0)
	for _, fingerprint := range e.signers() {
		v, hit, err := l.hit(e, itemRevokedKey+fingerprint, false)
		if err != nil {
			return "", err
		}
		if hit {
			by = v.index
		} else {
			left++
		}
	}
	if by == 0 {
		return "", nil
	}
	threshold, err := l.thresholdAt(e, keys)
	if err != nil || left >= threshold {
		return "", err
	}
	return fmt.Sprintf("entry %d takes back what its key signed", by), nil
}

// thresholdAt is how many keys had to sign an entry.
func (l *Ledger) thresholdAt(e *Entry, keys keyLog) (int, error) {
	at := uint64(0)
	for _, index := range keys.events {
		if index < e.Index {
			at = index
		}
	}
	event, err := l.entry(e.Author, at)
	if err != nil {
		return 0, err
	}
	set := event.keySet()
	if set == nil {
		return 0, fmt.Errorf("%w: the state says that entry %d is a key event", ErrWrongState, at)
	}
	return set.Threshold, nil
}
