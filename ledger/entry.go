package ledger

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/ledger/statemap"
)

// Types of entries that this version understands. The Type of any other entry
// is its in-toto predicate type.
const (
	TypeInception = "inception"
	TypeRelease   = "release"
	TypeRotate    = "rotate"
	TypeRecover   = "recover"
	TypeRetire    = "retire"
	TypeRevoke    = "revoke"
	TypeEndorse   = "endorse"
	TypeAttest    = "attest"
	TypeTransfer  = "transfer"
	TypeAccept    = "accept"
	TypeVouch     = "vouch"
)

// Entry is a decoded leaf of an author's log.
type Entry struct {
	Author    AuthorID
	Index     uint64
	Leaf      []byte // the exact bytes that are logged
	Type      string
	State     statemap.Hash // root of the author's state after this entry, as it says
	Inception *Inception    // of entry 0
	Release   *Release      // the Statement, if it is one
	Statement Statement     // nil of entry 0 and of types of other versions

	envelope envelope
}

// DecodeEntry takes a leaf apart and checks everything but its signatures:
// form, limits, and that it was written for this place in this log.
func DecodeEntry(author AuthorID, index uint64, leaf []byte) (*Entry, error) {
	if index > maxLogSize {
		return nil, fmt.Errorf("%w: index %d", ErrTooLarge, index)
	}
	env, err := decodeEnvelope(leaf)
	if err != nil {
		return nil, err
	}
	e := &Entry{Author: author, Index: index, Leaf: leaf, envelope: env}
	r := &reader{all: env.payload, text: string(env.payload)}
	head := r.statementHead()
	if r.err == nil && (index == 0) != (head.predicateType == typeInception) {
		return nil, fmt.Errorf("%w: the inception must be entry 0 and nothing else, this is entry %d", ErrBadEntry, index)
	}
	if index == 0 {
		err = e.readInception(r, head)
	} else {
		err = e.readPredicate(r, head)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Entry) readInception(r *reader, head statementHead) error {
	in, state := r.inception()
	r.lit("}")
	if err := r.end(); err != nil {
		return fmt.Errorf("%w: inception: %w", ErrBadEntry, err)
	}
	if err := in.check(); err != nil {
		return err
	}
	if !bytes.Equal(head.subject, in.subject()) {
		return fmt.Errorf("%w: the subject of the inception is not its keys", ErrBadEntry)
	}
	if state != in.state() {
		return fmt.Errorf("%w: inception", ErrWrongState)
	}
	if AuthorIDOf(e.Leaf) != e.Author {
		return fmt.Errorf("%w: the author id is not the hash of this inception", ErrWrongAuthor)
	}
	e.Type, e.Inception, e.State = TypeInception, in, state
	return nil
}

func (e *Entry) readPredicate(r *reader, head statementHead) error {
	r.lit(`{"author":`)
	author := r.str(authorIDLen)
	r.lit(`,"seq":`)
	seq := r.num(maxLogSize)
	r.lit(`,"state":`)
	e.State = r.stateHash()
	if e.Type, e.Statement = head.statement(); e.Statement != nil {
		e.Statement.readFields(r)
		r.lit("}")
	} else if r.opt(",") {
		r.members(maxDepth, map[string]bool{"author": true, "seq": true, "state": true})
	} else {
		r.lit("}")
	}
	r.lit("}")
	if err := r.end(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadEntry, err)
	}
	if author != string(e.Author) {
		return fmt.Errorf("%w: it was written for another log", ErrWrongAuthor)
	}
	if seq != e.Index {
		return fmt.Errorf("%w: it was written as entry %d and stands at %d", ErrBadEntry, seq, e.Index)
	}
	if e.Statement == nil {
		return want(isText(e.Type, maxPredicateType) && strings.Contains(e.Type, "://"), "the predicate type is not a URI")
	}
	if err := e.Statement.Check(); err != nil {
		return err
	}
	if e.Release, _ = e.Statement.(*Release); e.Release != nil {
		e.Release.Seq = seq
	}
	return want(bytes.Equal(head.subject, e.Statement.subject(e.Author)), "the subject is not what the %s is about", e.Type)
}

// VerifySignatures wants enough distinct keys of the author to have signed, and
// nobody else; keys is who spoke for the author before the entry, and of an
// inception itself.
func (e *Entry) VerifySignatures(keys KeyState) error {
	return e.verifySignatures(keys, PublicKey.verify)
}

func (e *Entry) verifySignatures(keys KeyState, by verifier) error {
	var err error
	if k, ok := e.Statement.(keyEvent); ok {
		err = e.envelope.verifyKeyEvent(keys, k.keySet(), by)
	} else {
		err = e.envelope.verify(keys, by)
	}
	if err != nil {
		return fmt.Errorf("verifying entry %d of %s: %w", e.Index, e.Author, err)
	}
	return nil
}

// signers are the fingerprints of the keys that signed.
func (e *Entry) signers() []string {
	out := make([]string, len(e.envelope.signatures))
	for i, s := range e.envelope.signatures {
		out[i] = s.keyID
	}
	return out
}

// keySet is what a key event establishes; nil of other entries.
func (e *Entry) keySet() *KeySet {
	if e.Inception != nil {
		return e.Inception.keySet()
	}
	if k, ok := e.Statement.(keyEvent); ok {
		return k.keySet()
	}
	return nil
}
