package exchange

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

// target is what a fetch, verify or show is about: a magnet link or a name.
type target struct {
	text   string
	magnet *swarm.Magnet   // when it is a link
	ref    image.Ref       // when it is a name
	author ledger.AuthorID // of the name, or of the link where it says
	// passOver are authors whose release of the link is not wanted any more.
	passOver []ledger.AuthorID
	// moved are the steps by which the name's repository came to author, and owners
	// who had it, the present one first; see follow.
	moved  []Move
	owners []ledger.AuthorID
}

// infohash is the link's, or empty for a name.
func (t target) infohash() string {
	if t.magnet == nil {
		return ""
	}
	return t.magnet.Infohash.String()
}

// claim is that a release is what the target asks for.
func (t target) claim(p *ledger.Proved) ledger.Claim {
	return ledger.Claim{
		Proved: p, Infohash: t.infohash(), Digest: t.ref.Digest,
		Tagged: t.magnet == nil && t.ref.Digest == "",
	}
}

func (x *Exchange) parseTarget(s string) (target, error) {
	t := target{text: s}
	if strings.HasPrefix(strings.ToLower(s), "magnet:") {
		m, err := swarm.ParseMagnet(s)
		if err != nil {
			return t, fmt.Errorf("%w: %w", ErrBadRequest, err)
		}
		t.magnet = &m
		if m.Author != "" {
			if t.author, err = ledger.ParseAuthorID(m.Author); err != nil {
				return t, fmt.Errorf("%w: the link's author: %w", ErrBadRequest, err)
			}
		}
		return t, nil
	}
	ref, err := image.ParseRef(s)
	if err != nil {
		return t, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	t.ref = ref
	t.author, err = x.resolveAuthor(ref.Author)
	return t, err
}

// resolveAuthor finds the author that this user calls by a name: "me", a
// petname, or the id itself.
func (x *Exchange) resolveAuthor(name string) (ledger.AuthorID, error) {
	if name == SelfAuthor {
		return x.Me.ID, nil
	}
	if id, err := ledger.ParseAuthorID(name); err == nil {
		return id, nil
	}
	id, err := x.Store.Alias(name)
	if errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("%w: %s", ErrNoAlias, name)
	}
	return id, err
}

// refOf writes a reference as this user would: with "me" or the petname where
// the author has one.
func (x *Exchange) refOf(author ledger.AuthorID, repo, tag string) string {
	return image.Ref{Author: x.nameOf(author), Repo: repo, Tag: tag}.String()
}

// nameOf is what this user calls an author.
func (x *Exchange) nameOf(author ledger.AuthorID) string {
	if author == x.Me.ID {
		return SelfAuthor
	}
	if names, err := x.Store.NamesOf(author); err == nil && len(names) > 0 {
		return names[0]
	}
	return string(author)
}
