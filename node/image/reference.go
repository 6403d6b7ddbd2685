package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// DefaultTag is the tag of a reference that gives neither tag nor digest.
const DefaultTag = "latest"

const (
	maxName      = 255                         // author/repo, as registries limit it
	maxReference = maxName + 1 + 128 + 1 + 135 // with tag and sha512 digest
)

// One grammar each, anchored; RE2 runs in linear time whatever comes.
var (
	authorGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	repoGrammar   = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// Ref is a parsed reference. Tag is empty only when Digest is set.
type Ref struct {
	Author string // me, a petname, or an author id
	Repo   string // may contain slashes
	Tag    string
	Digest digest.Digest // sha256 or sha512; what the reference must turn out to be
}

// ParseRef parses author/repo[:tag][@digest] and fills in [DefaultTag]. Its
// errors wrap [ErrBadReference].
func ParseRef(s string) (Ref, error) {
	if len(s) > maxReference {
		return Ref{}, fmt.Errorf("%w: longer than %d bytes", ErrBadReference, maxReference)
	}
	bad := func(why string) (Ref, error) {
		return Ref{}, fmt.Errorf("%w %q: %s", ErrBadReference, s, why)
	}
	var r Ref
	rest, dig, pinned := strings.Cut(s, "@")
	if pinned {
		r.Digest = digest.Digest(dig)
		if err := CheckDigest(r.Digest); err != nil {
			return bad("not a sha256 or sha512 digest after @")
		}
	}
	author, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return bad("no author; write me/NAME or AUTHOR/NAME")
	}
	repo, tag, tagged := strings.Cut(rest, ":")
	switch {
	case !authorGrammar.MatchString(author):
		return bad("an author is lower-case letters, digits and ._- (at most 64)")
	case !repoGrammar.MatchString(repo):
		return bad("a name is lower-case words joined by . _ - or /")
	case len(author)+1+len(repo) > maxName:
		return bad(fmt.Sprintf("author and name are longer than %d bytes", maxName))
	case tagged && !tagGrammar.MatchString(tag):
		return bad("a tag is letters, digits and ._- (at most 128)")
	case !tagged && !pinned:
		tag = DefaultTag
	}
	r.Author, r.Repo, r.Tag = author, repo, tag
	return r, nil
}

// Name returns author/repo.
func (r Ref) Name() string { return r.Author + "/" + r.Repo }

// String returns the reference as [ParseRef] reads it.
func (r Ref) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}
