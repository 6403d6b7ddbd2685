package registry

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/exchange"
	"github.com/dockchains/dockchain/node/image"
)

// One grammar each, anchored; RE2 runs in linear time whatever comes.
var (
	nameGrammar   = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	authorGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	hostGrammar   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$`)
	tagGrammar    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

const maxName = 255 // as clients limit it

// owner says what a name means.
type owner int

const (
	ownLocal    owner = iota // a plain repository of this node
	ownMine                  // of this node's author
	ownAuthor                // of another author
	ownUpstream              // of a third-party registry
)

// repository is what a request is about.
type repository struct {
	name  string // as it is kept: "me/app", whatever the client called me
	asked string // as the client called it
	owner owner
}

// writable says whether clients may push here.
func (r repository) writable() bool { return r.owner == ownLocal || r.owner == ownMine }

// parseRepository finds out what a name means.
func (r *Registry) parseRepository(name string) (repository, error) {
	repo := repository{name: name, asked: name}
	if len(name) > maxName {
		return repo, badName("a name has at most 255 bytes")
	}
	first, rest, several := strings.Cut(name, "/")
	if !several {
		if !nameGrammar.MatchString(name) {
			return repo, badName("a name is lower-case words joined by . _ - or /")
		}
		return repo, nil
	}
	if authorGrammar.MatchString(first) {
		o, err := r.Exchange.OwnerOf(first)
		if err != nil {
			return repo, err
		}
		switch o {
		case exchange.OwnerMe:
			repo.owner, repo.name = ownMine, exchange.SelfAuthor+"/"+rest
		case exchange.OwnerAuthor:
			repo.owner = ownAuthor
		}
	}
	if repo.owner == ownLocal && isHost(first) {
		repo.owner = ownUpstream
	}
	grammatical := nameGrammar.MatchString(rest)
	switch repo.owner {
	case ownUpstream:
		grammatical = grammatical && hostGrammar.MatchString(first)
	case ownLocal:
		grammatical = nameGrammar.MatchString(name)
	}
	if !grammatical {
		return repo, badName("a name is lower-case words joined by . _ - or /")
	}
	return repo, nil
}

// isHost tells, as docker does, a registry from the first word of a name.
func isHost(first string) bool { return strings.ContainsAny(first, ".:") || first == "localhost" }

// reference is a tag or a digest.
type reference struct {
	tag    string
	digest digest.Digest
}

func (ref reference) String() string {
	if ref.tag != "" {
		return ref.tag
	}
	return ref.digest.String()
}

// parseReference reads what stands after /manifests/.
func parseReference(s string) (reference, error) {
	if strings.Contains(s, ":") {
		d, err := parseDigest(s)
		return reference{digest: d}, err
	}
	return reference{tag: s}, checkTag(s)
}

func checkTag(s string) error {
	if !tagGrammar.MatchString(s) {
		return refusal(http.StatusBadRequest, "TAG_INVALID", "a tag is letters, digits and ._- (at most 128)")
	}
	return nil
}

// parseDigest reads a digest before it can become a path (CVE-2024-3727).
func parseDigest(s string) (digest.Digest, error) {
	d := digest.Digest(s)
	if err := image.CheckDigest(d); err != nil {
		return "", badDigest("a digest is sha256: or sha512: and lower-case hex")
	}
	return d, nil
}
