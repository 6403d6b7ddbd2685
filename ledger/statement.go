package ledger

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger/statemap"
)

// Predicate types of this version: typePrefix, the type, typeSuffix.
const (
	typePrefix = "https://github.com/dockchains/dockchain/"
	typeSuffix = "/v1"

	typeInception = typePrefix + TypeInception + typeSuffix
	typeRelease   = typePrefix + TypeRelease + typeSuffix
)

const (
	maxPredicateType = 256
	maxDepth         = 16 // of values in predicates of unknown types
)

// Statement is what an author says in an entry: *Release, *Rotate, *Recover,
// *Retire, *Revoke, *Endorse, *Attest, *Transfer, *Accept or *Vouch.
type Statement interface {
	// Type is one of the Type constants.
	Type() string
	// Check says what is outside of its limits.
	Check() error

	subject(author AuthorID) []byte
	appendFields(b []byte) []byte // members of the predicate, each after a comma
	readFields(r *reader)
}

// newStatement returns an empty statement of a type, or nil.
func newStatement(kind string) Statement {
	switch kind {
	case TypeRelease:
		return &Release{}
	case TypeRotate:
		return &Rotate{}
	case TypeRecover:
		return &Recover{}
	case TypeRetire:
		return &Retire{}
	case TypeRevoke:
		return &Revoke{}
	case TypeEndorse:
		return &Endorse{}
	case TypeAttest:
		return &Attest{}
	case TypeTransfer:
		return &Transfer{}
	case TypeAccept:
		return &Accept{}
	case TypeVouch:
		return &Vouch{}
	default:
		return nil
	}
}

// Place is where an entry stands, and what holds after it.
type Place struct {
	Author AuthorID
	Index  uint64
	State  statemap.Hash // root of the author's state after the entry
}

// Encode returns the leaf of a statement for a place in a log, signed by keys.
// In a release, Created is cut to seconds, and Seq is that of the place.
func Encode(at Place, s Statement, keys ...Key) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return signEnvelope(statement(s.subject(at.Author), typePrefix+s.Type()+typeSuffix, predicate(at, s)), keys...)
}

func predicate(at Place, s Statement) []byte {
	b := append(make([]byte, 0, 1024), `{"author":`...)
	b = appendString(b, string(at.Author))
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, at.Index, 10)
	b = append(b, `,"state":`...)
	b = appendBase64(b, at.State[:])
	b = s.appendFields(b)
	return append(b, '}')
}

// statement returns an in-toto Statement v1.
func statement(subject []byte, predicateType string, predicate []byte) []byte {
	b := make([]byte, 0, 256+len(subject)+len(predicate))
	b = append(b, `{"_type":"https://in-toto.io/Statement/v1","subject":`...)
	b = append(b, subject...)
	b = append(b, `,"predicateType":`...)
	b = appendString(b, predicateType)
	b = append(b, `,"predicate":`...)
	b = append(b, predicate...)
	return append(b, '}')
}

// subjectOf is the subject of a statement about one thing.
func subjectOf(name string, d digest.Digest) []byte {
	algorithm, hex, _ := strings.Cut(string(d), ":")
	b := append(make([]byte, 0, 64+len(name)+len(d)), `[{"name":`...)
	b = appendString(b, name)
	b = append(b, `,"digest":{"`...)
	b = append(b, algorithm...)
	b = append(b, `":"`...)
	b = append(b, hex...)
	return append(b, `"}}]`...)
}

// subjectAuthor is the subject of a statement about an author: its digest is
// that of the inception, which the id is made of.
func subjectAuthor(name string, author AuthorID) []byte {
	return subjectOf(name, digest.Digest("sha256:"+author.inceptionHash()))
}

// inceptionHash is hex(sha256(leaf 0)).
func (id AuthorID) inceptionHash() string {
	c, err := cid.Decode(string(id))
	if err != nil {
		return ""
	}
	mh := c.Hash()
	return hex.EncodeToString(mh[len(mh)-32:])
}

// statementHead is what comes before the predicate.
type statementHead struct {
	subject       []byte // as it is in the payload
	predicateType string
}

// statement returns the entry's type, and an empty statement to read it into if
// this version knows it.
func (h statementHead) statement() (string, Statement) {
	if kind, ok := strings.CutPrefix(h.predicateType, typePrefix); ok {
		if kind, ok = strings.CutSuffix(kind, typeSuffix); ok {
			if s := newStatement(kind); s != nil {
				return kind, s
			}
		}
	}
	return h.predicateType, nil
}

func (r *reader) statementHead() statementHead {
	var h statementHead
	r.lit(`{"_type":"https://in-toto.io/Statement/v1","subject":`)
	start := r.pos
	r.list(MaxLeaf, func(int) {
		if rest := r.rest(); len(rest) > 0 && rest[0] != '{' {
			r.fail("want an object")
		}
		r.any(maxDepth)
	})
	h.subject = r.all[start:r.pos]
	r.lit(`,"predicateType":`)
	h.predicateType = r.nonEmpty(maxPredicateType)
	r.lit(`,"predicate":`)
	return h
}

func appendList[T any](b []byte, items []T, item func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, it)
	}
	return append(b, ']')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendString(b, value)
}

func appendNumber(b []byte, name string, n uint64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendUint(b, n, 10)
}

func (r *reader) stateHash() statemap.Hash {
	raw := r.base64(len(statemap.Hash{}))
	if len(raw) != len(statemap.Hash{}) {
		r.fail("want a hash of %d bytes", len(statemap.Hash{}))
		return statemap.Hash{}
	}
	return statemap.Hash(raw)
}

func (r *reader) author() AuthorID {
	s := r.str(authorIDLen)
	if r.err != nil {
		return ""
	}
	id, err := ParseAuthorID(s)
	if err != nil {
		r.fail("%v", err)
	}
	return id
}

func checkAuthor(what string, id AuthorID) error {
	if _, err := ParseAuthorID(string(id)); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBadEntry, what, err)
	}
	return nil
}
