package upstream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/node/image"
)

// ErrBadReference is a name of no image in a registry.
var ErrBadReference = errors.New("not an image in a registry")

// Ref is an image in a registry, or, without tag and digest, a repository.
type Ref struct {
	Host   string // host[:port], in lower case
	Repo   string
	Tag    string // not with Digest
	Digest digest.Digest
}

var (
	hostGrammar = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?$`)
	repoGrammar = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

// IsHost tells whether the first component of a name is a registry: it has a dot or
// a port, or is localhost.
func IsHost(component string) bool {
	return component == "localhost" || strings.ContainsAny(component, ".:")
}

// ParseRef reads HOST[:PORT]/REPO[:TAG][@DIGEST]. With both, the digest counts.
func ParseRef(s string) (Ref, error) {
	bad := func(why string) (Ref, error) { return Ref{}, fmt.Errorf("%w: %.300q: %s", ErrBadReference, s, why) }
	if len(s) > 600 {
		return bad("too long")
	}
	rest, dig, pinned := strings.Cut(s, "@")
	host, path, ok := strings.Cut(rest, "/")
	if !ok || !IsHost(host) || !hostGrammar.MatchString(host) {
		return bad("want HOST/REPO[:TAG]")
	}
	repo, tag, tagged := strings.Cut(path, ":")
	r := Ref{Host: host, Repo: repo, Tag: tag}
	switch {
	case len(repo) > 255 || !repoGrammar.MatchString(repo):
		return bad("a repository is lower-case words joined by . _ - or /")
	case tagged && !tagGrammar.MatchString(tag):
		return bad("a tag is up to 128 letters, digits and ._-")
	}
	if pinned {
		r.Tag, r.Digest = "", digest.Digest(dig)
		if err := image.CheckDigest(r.Digest); err != nil {
			return bad("not a sha256 or sha512 digest after @")
		}
	}
	return r, nil
}

// Name is HOST/REPO.
func (r Ref) Name() string { return r.Host + "/" + r.Repo }

// String is the reference as ParseRef reads it.
func (r Ref) String() string {
	switch {
	case r.Digest != "":
		return r.Name() + "@" + r.Digest.String()
	case r.Tag != "":
		return r.Name() + ":" + r.Tag
	}
	return r.Name()
}

func (r Ref) reference() string {
	if r.Digest != "" {
		return r.Digest.String()
	}
	if r.Tag == "" {
		return image.DefaultTag
	}
	return r.Tag
}

// api is the host that answers for a registry: Docker Hub's is not the one in names.
func (r Ref) api() string {
	if r.isHub() {
		return "registry-1.docker.io"
	}
	return r.Host
}

func (r Ref) isHub() bool { return r.Host == "docker.io" || r.Host == "index.docker.io" }

// path is the repository as the registry knows it: Docker Hub's own are in library/.
func (r Ref) path() string {
	if r.isHub() && !strings.Contains(r.Repo, "/") {
		return "library/" + r.Repo
	}
	return r.Repo
}

// isLoopback tells whether a host[:port] names this machine.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
