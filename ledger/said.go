package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
)

// Revoke takes back what was said of exactly one of Digest, Tag of Repo and
// Key, except in entries up to LastValid:
//
//   - a digest: releases of it, for good;
//   - a tag: its releases that came before the revocation; a later one counts;
//   - a key: what it signed, for good; entries that enough other keys signed
//     still count. A key in use stops speaking for the author. So many keys
//     that too few are left cannot be revoked: rotate or recover.
type Revoke struct {
	Digest    digest.Digest
	Repo, Tag string
	Key       string // fingerprint
	LastValid uint64 // index of the last entry that is still good
	Reason    string // at most MaxReason bytes on one line
}

// Endorse says that the author stands by an image that any author released.
type Endorse struct {
	Author  AuthorID
	Repo    string
	Digest  digest.Digest
	Role    string // as whom, optional: a lower-case word as of a repository, at most MaxRole bytes
	Comment string // optional, at most MaxReason bytes on one line
}

// Attest carries any in-toto predicate about some content: itself, when it is
// small, or the digest of it.
type Attest struct {
	Name          string        // of the subject, for people; at most MaxTitle bytes
	Subject       digest.Digest // what it is about
	PredicateType string        // a URI
	Predicate     []byte        // a JSON object without white space between its parts, at most MaxPredicate bytes when quoted
	Content       *Descriptor   // or where it is, when Predicate is empty
}

// Transfer gives a repository to another author, who must Accept it. From then
// on the name means nothing in this log, until it comes back by Accept.
type Transfer struct {
	Repo string
	To   AuthorID
}

// Accept takes a repository over under the same name. The first acceptance of
// a name counts.
type Accept struct {
	Repo     string
	From     AuthorID
	Transfer uint64 // index of the Transfer in the log of From
}

// Vouch speaks for another author until a time.
type Vouch struct {
	For     AuthorID
	Expires time.Time // to the second, in UTC
}

// Limits in bytes.
const (
	MaxReason    = 200
	MaxRole      = 32
	MaxPredicate = 44 << 10 // with a backslash before each quote and backslash
)

// Type implements Statement.
func (*Revoke) Type() string { return TypeRevoke }

// Check implements Statement.
func (s *Revoke) Check() error {
	n := 0
	for _, is := range []bool{s.Digest != "", s.Repo != "" || s.Tag != "", s.Key != ""} {
		if is {
			n++
		}
	}
	for _, err := range []error{
		want(n == 1, "want one of a digest, a tag and a key to revoke"),
		want(s.Digest == "" || isDigest(s.Digest), "revoked digest: want sha256 or sha512"),
		want(s.Repo == "" && s.Tag == "" || isRepo(s.Repo) && isTag(s.Tag), "revoked tag: want repo and tag"),
		want(s.Key == "" || isHex(s.Key, fingerprintLen), "revoked key: want a fingerprint"),
		want(s.LastValid <= maxLogSize, "last valid entry %d", s.LastValid),
		want(isText(s.Reason, MaxReason), "reason: want one line of at most %d bytes", MaxReason),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Revoke) subject(author AuthorID) []byte {
	switch {
	case s.Digest != "":
		return subjectOf(string(author), s.Digest)
	case s.Key != "":
		return subjectOf("key", digest.Digest("sha256:"+s.Key))
	default:
		name := string(author) + "/" + s.Repo + ":" + s.Tag
		return subjectOf(name, digest.FromString(name))
	}
}

func (s *Revoke) appendFields(b []byte) []byte {
	switch {
	case s.Digest != "":
		b = appendMember(b, "digest", string(s.Digest))
	case s.Key != "":
		b = appendMember(b, "key", s.Key)
	default:
		b = appendMember(appendMember(b, "repo", s.Repo), "tag", s.Tag)
	}
	b = appendNumber(b, "lastValid", s.LastValid)
	if s.Reason != "" {
		b = appendMember(b, "reason", s.Reason)
	}
	return b
}

func (s *Revoke) readFields(r *reader) {
	switch {
	case r.opt(`,"digest":`):
		s.Digest = digest.Digest(r.nonEmpty(maxDigest))
	case r.opt(`,"key":`):
		s.Key = r.nonEmpty(fingerprintLen)
	default:
		r.lit(`,"repo":`)
		s.Repo = r.nonEmpty(MaxRepo)
		r.lit(`,"tag":`)
		s.Tag = r.nonEmpty(MaxTag)
	}
	r.lit(`,"lastValid":`)
	s.LastValid = r.num(maxLogSize)
	if r.opt(`,"reason":`) {
		s.Reason = r.nonEmpty(MaxReason)
	}
}

// Type implements Statement.
func (*Endorse) Type() string { return TypeEndorse }

// Check implements Statement.
func (s *Endorse) Check() error {
	if err := checkAuthor("endorsed author", s.Author); err != nil {
		return err
	}
	for _, err := range []error{
		want(isRepo(s.Repo) && isDigest(s.Digest), "endorsed image: want a repository and a digest"),
		want(s.Role == "" || len(s.Role) <= MaxRole && isRepoComponent(s.Role), "role %q: want lower-case words joined by . _ or -, at most %d bytes", clip(s.Role), MaxRole),
		want(isText(s.Comment, MaxReason), "comment: want one line of at most %d bytes", MaxReason),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Endorse) subject(AuthorID) []byte {
	return subjectOf(string(s.Author)+"/"+s.Repo, s.Digest)
}

func (s *Endorse) appendFields(b []byte) []byte {
	b = appendMember(b, "of", string(s.Author))
	b = appendMember(b, "repo", s.Repo)
	b = appendMember(b, "digest", string(s.Digest))
	if s.Role != "" {
		b = appendMember(b, "role", s.Role)
	}
	if s.Comment != "" {
		b = appendMember(b, "comment", s.Comment)
	}
	return b
}

func (s *Endorse) readFields(r *reader) {
	r.lit(`,"of":`)
	s.Author = r.author()
	r.lit(`,"repo":`)
	s.Repo = r.str(MaxRepo)
	r.lit(`,"digest":`)
	s.Digest = digest.Digest(r.str(maxDigest))
	if r.opt(`,"role":`) {
		s.Role = r.nonEmpty(MaxRole)
	}
	if r.opt(`,"comment":`) {
		s.Comment = r.nonEmpty(MaxReason)
	}
}

// Type implements Statement.
func (*Attest) Type() string { return TypeAttest }

// Check implements Statement.
func (s *Attest) Check() error {
	for _, err := range []error{
		want(isText(s.Name, MaxTitle), "name: want one line of at most %d bytes", MaxTitle),
		want(isDigest(s.Subject), "attested content: want a digest"),
		want(isText(s.PredicateType, maxPredicateType) && strings.Contains(s.PredicateType, "://"), "the attested predicate type is not a URI"),
		want((len(s.Predicate) > 0) != (s.Content != nil), "want the predicate itself or its digest"),
		want(s.Content != nil || isCompactObject(s.Predicate), "predicate: want a JSON object of at most %d bytes when quoted, without white space", MaxPredicate),
	} {
		if err != nil {
			return err
		}
	}
	if s.Content == nil {
		return nil
	}
	return s.Content.check("predicate")
}

// isCompactObject: others read it as JSON, so any spelling of it is kept.
func isCompactObject(b []byte) bool {
	if len(b) == 0 || b[0] != '{' || hasRawControl(b) || !utf8.Valid(b) || len(appendString(nil, string(b))) > MaxPredicate {
		return false
	}
	var compact bytes.Buffer
	return json.Compact(&compact, b) == nil && bytes.Equal(compact.Bytes(), b)
}

func (s *Attest) subject(AuthorID) []byte { return subjectOf(s.Name, s.Subject) }

func (s *Attest) appendFields(b []byte) []byte {
	b = appendMember(b, "name", s.Name)
	b = appendMember(b, "subject", string(s.Subject))
	b = appendMember(b, "predicateType", s.PredicateType)
	if s.Content != nil {
		return s.Content.append(append(b, `,"content":`...))
	}
	return appendMember(b, "predicate", string(s.Predicate))
}

func (s *Attest) readFields(r *reader) {
	r.lit(`,"name":`)
	s.Name = r.str(MaxTitle)
	r.lit(`,"subject":`)
	s.Subject = digest.Digest(r.str(maxDigest))
	r.lit(`,"predicateType":`)
	s.PredicateType = r.str(maxPredicateType)
	if r.opt(`,"content":`) {
		d := r.descriptor()
		s.Content = &d
		return
	}
	r.lit(`,"predicate":`)
	s.Predicate = []byte(r.nonEmpty(MaxPredicate))
}

// Type implements Statement.
func (*Transfer) Type() string { return TypeTransfer }

// Check implements Statement.
func (s *Transfer) Check() error {
	if err := checkAuthor("receiver", s.To); err != nil {
		return err
	}
	return want(isRepo(s.Repo), "transferred repository %q", clip(s.Repo))
}

func (s *Transfer) subject(AuthorID) []byte {
	return subjectAuthor(string(s.To)+"/"+s.Repo, s.To)
}

func (s *Transfer) appendFields(b []byte) []byte {
	return appendMember(appendMember(b, "repo", s.Repo), "to", string(s.To))
}

func (s *Transfer) readFields(r *reader) {
	r.lit(`,"repo":`)
	s.Repo = r.str(MaxRepo)
	r.lit(`,"to":`)
	s.To = r.author()
}

// Type implements Statement.
func (*Accept) Type() string { return TypeAccept }

// Check implements Statement.
func (s *Accept) Check() error {
	if err := checkAuthor("giver", s.From); err != nil {
		return err
	}
	return want(isRepo(s.Repo) && s.Transfer >= 1 && s.Transfer <= maxLogSize, "accepted repository %q of entry %d", clip(s.Repo), s.Transfer)
}

func (s *Accept) subject(AuthorID) []byte {
	return subjectAuthor(string(s.From)+"/"+s.Repo, s.From)
}

func (s *Accept) appendFields(b []byte) []byte {
	b = appendMember(appendMember(b, "repo", s.Repo), "from", string(s.From))
	return appendNumber(b, "transfer", s.Transfer)
}

func (s *Accept) readFields(r *reader) {
	r.lit(`,"repo":`)
	s.Repo = r.str(MaxRepo)
	r.lit(`,"from":`)
	s.From = r.author()
	r.lit(`,"transfer":`)
	s.Transfer = r.num(maxLogSize)
}

// Type implements Statement.
func (*Vouch) Type() string { return TypeVouch }

// Check implements Statement.
func (s *Vouch) Check() error {
	if err := checkAuthor("vouched for", s.For); err != nil {
		return err
	}
	return checkYear("expires", s.Expires)
}

func checkYear(what string, t time.Time) error {
	if year := t.UTC().Year(); year < 1970 || year > 9999 {
		return want(false, "%s: year %d", what, year)
	}
	return nil
}

func (s *Vouch) subject(AuthorID) []byte { return subjectAuthor(string(s.For), s.For) }

func (s *Vouch) appendFields(b []byte) []byte {
	b = appendMember(b, "for", string(s.For))
	return appendMember(b, "expires", s.Expires.UTC().Format(timeLayout))
}

func (s *Vouch) readFields(r *reader) {
	r.lit(`,"for":`)
	s.For = r.author()
	r.lit(`,"expires":`)
	s.Expires = r.time("expires")
}

const timeLayout = "2006-01-02T15:04:05Z"

func (r *reader) time(what string) time.Time {
	s := r.str(len(timeLayout))
	t, err := time.Parse(timeLayout, s)
	if err != nil || t.Format(timeLayout) != s {
		r.fail("%s: want a time like %s", what, timeLayout)
	}
	return t
}

// String says what is revoked.
func (s *Revoke) String() string {
	switch {
	case s.Digest != "":
		return string(s.Digest)
	case s.Key != "":
		return "key " + s.Key
	default:
		return fmt.Sprintf("%s:%s", s.Repo, s.Tag)
	}
}
