package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/dockchains/dockchain/ledger/statemap"
)

// Latest proves from the last entry of a log that a release is the latest of
// its tag, and not revoked, as of the log's checkpoint. Nobody else need be
// asked.
type Latest struct {
	Last    *Proved  // the last entry
	Release KeyEvent // the release with its proof under the same checkpoint; the zero value if it is Last

	Tag, Repo          StateProof   // of the tag and of the repository
	Digest, TagRevoked StateProof   // of what could revoke the release
	Signers            []StateProof // of what could revoke its signers, in the order of their fingerprints
}

// StateProof is the value of a key of the state, nil if it has none, and the
// proof that it is so.
type StateProof struct {
	Value []byte
	Proof statemap.Proof
}

// MaxLatest bounds an encoded Latest in bytes.
const MaxLatest = MaxProved + 128<<10

// ProveLatest proves the latest release of a tag. ErrNotFound says that there is
// none, ErrTransferred that the repository belongs to another author, and
// ErrRevoked that the author takes the latest back.
func (l *Ledger) ProveLatest(ctx context.Context, author AuthorID, repo, tag string) (*Latest, error) {
	var p *Latest
	err := l.locked(ctx, author, func(s *state) (err error) {
		if s.head.Size == 0 {
			return ErrUnknownAuthor
		}
		p, err = l.proveLatest(s, repo, tag)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("proving the latest %s/%s:%s: %w", author, repo, tag, err)
	}
	return p, nil
}

func (l *Ledger) proveLatest(s *state, repo, tag string) (*Latest, error) {
	f := s.facts
	value := f.get(tagItem(repo, tag))
	if value == nil {
		return nil, ErrNotFound
	}
	at, err := decodeTagged(value)
	if err != nil {
		return nil, err
	}
	p := &Latest{}
	if p.Last, err = l.prove(s.author, s.head.Size-1); err != nil {
		return nil, err
	}
	released, err := l.entry(s.author, at.index)
	if err != nil {
		return nil, err
	}
	if released.Release == nil {
		return nil, fmt.Errorf("%w: the state says that entry %d is a release", ErrWrongState, at.index)
	}
	if at.index != p.Last.Index {
		proof, err := tlog.ProveRecord(int64(s.head.Size), int64(at.index), l.hashReader(s.author))
		if err != nil {
			return nil, err
		}
		p.Release = KeyEvent{at.index, released.Leaf, proof}
	}
	show := func(key string) StateProof { return StateProof{f.get(key), f.tree.Prove([]byte(key))} }
	p.Tag, p.Repo = show(tagItem(repo, tag)), show(itemRepo+repo)
	p.Digest = show(itemRevokedDigest + string(at.digest))
	p.TagRevoked = show(itemRevokedTag + repo + ":" + tag)
	for _, fingerprint := range released.signers() {
		p.Signers = append(p.Signers, show(itemRevokedKey+fingerprint))
	}
	if _, _, err := p.Verify(); err != nil {
		return nil, err
	}
	return p, nil
}

// Verify checks everything without any store, and returns the release and the
// checkpoint as of which it is the latest. Whether a newer checkpoint exists is
// for the caller to find out.
func (p *Latest) Verify() (*Entry, Checkpoint, error) {
	if p.Last == nil {
		return nil, Checkpoint{}, fmt.Errorf("%w: no entry", ErrBadProof)
	}
	v, err := p.Last.verifySigned()
	if err != nil {
		return nil, Checkpoint{}, err
	}
	c, err := p.Last.verifyLogged(v)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	if p.Last.Index != c.Size-1 {
		return nil, Checkpoint{}, fmt.Errorf("%w: entry %d is not the last of %d", ErrBadProof, p.Last.Index, c.Size)
	}
	e, keys, err := p.release(v, c)
	if err != nil {
		return nil, Checkpoint{}, err
	}
	if err := p.verifyState(v.entry.State, e, keys); err != nil {
		return nil, Checkpoint{}, err
	}
	return e, c, nil
}

// CheckLatest verifies a proof of the latest release, and against what this node
// has seen of the log, as Check does. A proof that was true once and is not any
// more, as far as this node knows, is ErrShrunk.
func (l *Ledger) CheckLatest(p *Latest) (*Entry, error) {
	e, c, err := p.Verify()
	if err != nil {
		return nil, err
	}
	if err := l.checkNetwork(c, e.Author); err != nil {
		return nil, err
	}
	last, _, err := p.Last.Verify()
	if err != nil {
		return nil, err
	}
	err = l.checkGrown(p.Last, last, c)
	var behind *Behind
	if errors.As(err, &behind) {
		return e, err // it knows more than this node
	}
	if err != nil {
		return nil, err
	}
	now, err := l.Standing(e)
	if err != nil {
		return nil, err
	}
	if now.Revoked != "" || now.Latest != e.Index {
		return nil, fmt.Errorf("checking the latest %s of %s: %w: it was the latest of %d entries", e.Release.Tag, e.Author, ErrShrunk, c.Size)
	}
	return e, nil
}

// release verifies the release itself, and returns who spoke for the author
// then.
func (p *Latest) release(v *proven, c Checkpoint) (*Entry, KeyState, error) {
	if len(p.Release.Entry) == 0 {
		if v.entry.Release == nil {
			return nil, KeyState{}, fmt.Errorf("%w: the last entry is no release", ErrBadProof)
		}
		return v.entry, v.keys, nil
	}
	if p.Release.Index >= p.Last.Index {
		return nil, KeyState{}, fmt.Errorf("%w: entry %d does not come before the last", ErrBadProof, p.Release.Index)
	}
	at := &Proved{
		Inception: p.Last.Inception, KeyEvents: p.Last.keyEventsWithEntry(v),
		Entry: p.Release.Entry, Index: p.Release.Index, Checkpoint: p.Last.Checkpoint, Proof: p.Release.Proof,
	}
	r, err := at.verifySigned()
	if err != nil {
		return nil, KeyState{}, err
	}
	if r.entry.Release == nil {
		return nil, KeyState{}, fmt.Errorf("%w: entry %d is no release", ErrBadProof, at.Index)
	}
	if err := CheckInclusion(at.Proof, c, at.Index, at.Entry); err != nil {
		return nil, KeyState{}, err
	}
	return r.entry, r.keys, nil
}

// keyEventsWithEntry are all key events of the log.
func (p *Proved) keyEventsWithEntry(v *proven) []KeyEvent {
	if _, ok := v.entry.Statement.(keyEvent); !ok {
		return p.KeyEvents
	}
	return append(p.KeyEvents[:len(p.KeyEvents):len(p.KeyEvents)], KeyEvent{p.Index, p.Entry, p.Proof})
}

// verifyState wants the state to name e as the latest, and nothing in it to
// revoke it.
func (p *Latest) verifyState(root statemap.Hash, e *Entry, keys KeyState) error {
	r := e.Release
	tag := tagged{r.Image.Digest, r.Infohash, e.Index}.encode()
	if !bytes.Equal(p.Tag.Value, tag) {
		return fmt.Errorf("%w: the state does not name entry %d as the latest %s:%s", ErrBadProof, e.Index, r.Repo, r.Tag)
	}
	if err := p.Tag.verify(root, tagItem(r.Repo, r.Tag)); err != nil {
		return err
	}
	if err := p.Repo.verify(root, itemRepo+r.Repo); err != nil {
		return err
	}
	switch o, err := decodeOwnership(p.Repo.Value); {
	case err != nil:
		return err
	case o.is == isTransferred:
		return fmt.Errorf("%w: %s went to %s in entry %d", ErrTransferred, r.Repo, o.other, o.index)
	}
	if err := p.Digest.unrevoked(root, itemRevokedDigest+string(r.Image.Digest), e.Index, false); err != nil {
		return err
	}
	if err := p.TagRevoked.unrevoked(root, itemRevokedTag+r.Repo+":"+r.Tag, e.Index, true); err != nil {
		return err
	}
	return p.verifySigners(root, e, keys)
}

// verifySigners wants enough of the keys that signed e not to be revoked.
func (p *Latest) verifySigners(root statemap.Hash, e *Entry, keys KeyState) error {
	signers := e.signers()
	if len(p.Signers) != len(signers) {
		return fmt.Errorf("%w: the state of %d keys, %d signed", ErrBadProof, len(p.Signers), len(signers))
	}
	good := 0
	for i, fingerprint := range signers {
		err := p.Signers[i].unrevoked(root, itemRevokedKey+fingerprint, e.Index, false)
		switch {
		case err == nil:
			good++
		case !errors.Is(err, ErrRevoked):
			return err
		}
	}
	if good < keys.Threshold {
		return fmt.Errorf("%w: of the keys that signed entry %d, %d are left, %d must be", ErrRevoked, e.Index, good, keys.Threshold)
	}
	return nil
}

func (s StateProof) verify(root statemap.Hash, key string) error {
	err := error(nil)
	if s.Value == nil {
		err = statemap.VerifyAbsent(root, []byte(key), s.Proof)
	} else {
		err = statemap.VerifyMember(root, []byte(key), s.Value, s.Proof)
	}
	if err != nil {
		return fmt.Errorf("%w: state of %s: %w", ErrBadProof, clip(key), err)
	}
	return nil
}

// unrevoked wants nothing to revoke what entry index says.
func (s StateProof) unrevoked(root statemap.Hash, key string, index uint64, isTag bool) error {
	if err := s.verify(root, key); err != nil || s.Value == nil {
		return err
	}
	v, err := decodeRevocation(s.Value)
	if err != nil {
		return err
	}
	if v.hits(index, isTag) {
		return fmt.Errorf("%w: %s, in entry %d", ErrRevoked, clip(key), v.index)
	}
	return nil
}

// Encode returns JSON in the spelling of the package:
//
//	{"last":{…proved…},"release":{"entry":{…},"index":1,"proof":[…]},
//	 "tag":{"value":"{…}","proof":"<base64>"},"repo":{…},"digest":{…},"tagRevoked":{…},"signers":[{…}]}
//
// where release is left out when it is the last entry, and the value of what is
// not there.
func (p *Latest) Encode() []byte {
	b := append([]byte(`{"last":`), p.Last.Encode()...)
	if len(p.Release.Entry) > 0 {
		b = append(b, `,"release":{`...)
		b = append(appendLogged(b, p.Release.Entry, p.Release.Index), `,"proof":`...)
		b = append(appendHashes(b, p.Release.Proof), '}')
	}
	for _, m := range p.proofs() {
		b = append(append(append(b, `,"`...), m.name...), `":`...)
		b = m.proof.append(b)
	}
	b = append(b, `,"signers":`...)
	b = appendList(b, p.Signers, func(b []byte, s StateProof) []byte { return s.append(b) })
	return append(b, '}')
}

type namedProof struct {
	name  string
	proof *StateProof
}

func (p *Latest) proofs() []namedProof {
	return []namedProof{{"tag", &p.Tag}, {"repo", &p.Repo}, {"digest", &p.Digest}, {"tagRevoked", &p.TagRevoked}}
}

func (s StateProof) append(b []byte) []byte {
	b = append(b, '{')
	if s.Value != nil {
		b = appendString(append(b, `"value":`...), string(s.Value))
		b = append(b, ',')
	}
	b = append(b, `"proof":`...)
	return append(appendBase64(b, s.Proof.Encode()), '}')
}

// DecodeLatest reads what Encode wrote; it verifies nothing.
func DecodeLatest(b []byte) (*Latest, error) {
	if len(b) > MaxLatest {
		return nil, fmt.Errorf("%w: proof of %d bytes, %d are allowed", ErrTooLarge, len(b), MaxLatest)
	}
	p := &Latest{}
	r := &reader{all: b}
	r.lit(`{"last":`)
	p.Last = r.proved()
	if r.opt(`,"release":{`) {
		p.Release.Entry, p.Release.Index = r.logged()
		r.lit(`,"proof":`)
		p.Release.Proof = r.hashes()
		r.lit("}")
	}
	for _, m := range p.proofs() {
		r.lit(`,"` + m.name + `":`)
		*m.proof = r.stateProof()
	}
	r.lit(`,"signers":`)
	r.list(MaxKeys, func(int) { p.Signers = append(p.Signers, r.stateProof()) })
	r.lit("}")
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("%w: proof of a latest release: %w", ErrBadEntry, err)
	}
	return p, nil
}

func (r *reader) stateProof() StateProof {
	var s StateProof
	r.lit("{")
	if r.opt(`"value":`) {
		s.Value = []byte(r.nonEmpty(maxShown))
		r.lit(",")
	}
	r.lit(`"proof":`)
	raw := r.base64(statemap.MaxProof)
	if r.err != nil {
		return s
	}
	var err error
	if s.Proof, err = statemap.DecodeProof(raw); err != nil {
		r.fail("%v", err)
	}
	r.lit("}")
	return s
}

// maxShown bounds the values that are shown here: of tags, repositories and
// revocations.
const maxShown = 512
