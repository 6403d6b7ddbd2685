package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/image"
)

// TransferRequest asks to give a repository of this author to another one.
type TransferRequest struct {
	Name string `json:"name"` // me/REPO
	To   string `json:"to"`   // petname or author id
	Way
}

// AcceptRequest asks to take a repository over that its author gave to this one.
type AcceptRequest struct {
	Name string `json:"name"` // AUTHOR/REPO
	Way
}

// Move is a step of a repository from one author to another.
type Move struct {
	Repo     string `json:"repo"`
	From     string `json:"from"`     // author
	To       string `json:"to"`       // author
	Transfer uint64 `json:"transfer"` // entry of the log of From
	// Accept is the entry of the log of To; 0: To has not accepted, as far as this
	// node knows, and the name means still what it meant before.
	Accept uint64 `json:"accept,omitempty"`
}

// maxMoves bounds the steps that a name is followed.
const maxMoves = 16

// Transfer gives a repository to another author, who has to accept it.
func (x *Exchange) Transfer(ctx context.Context, req TransferRequest) (Said, error) {
	author, repo, err := x.repoNamed(req.Name)
	if err != nil {
		return Said{}, err
	}
	if author != x.Me.ID {
		return Said{}, fmt.Errorf("%w: %s", ErrNotYours, req.Name)
	}
	to, err := x.resolveAuthor(req.To)
	if err != nil {
		return Said{}, err
	}
	if to == x.Me.ID {
		return Said{}, fmt.Errorf("%w: %s is yours already", ErrBadRequest, req.Name)
	}
	return x.say(ctx, &ledger.Transfer{Repo: repo, To: to}, req.Way, func() (uint64, bool, error) {
		o, err := x.Ledger.Ownership(x.Me.ID, repo)
		if err == nil && !o.Owned && o.Transferred == "" {
			err = fmt.Errorf("%w: you have released nothing as %s", ErrNotFound, req.Name)
		}
		return o.Index, o.Transferred == to, err
	})
}

// AcceptRepository takes over what another author's log gives to this one.
func (x *Exchange) AcceptRepository(ctx context.Context, req AcceptRequest) (Said, error) {
	from, repo, err := x.repoNamed(req.Name)
	if err != nil {
		return Said{}, err
	}
	if _, err := x.Ledger.Head(from); errors.Is(err, ledger.ErrUnknownAuthor) {
		x.bringLog(ctx, from)
	}
	given, err := x.Ledger.Ownership(from, repo)
	if err != nil {
		return Said{}, err
	}
	if given.Transferred != x.Me.ID {
		return Said{}, fmt.Errorf("%w: %s", ErrNotGiven, req.Name)
	}
	return x.say(ctx, &ledger.Accept{Repo: repo, From: from, Transfer: given.Index}, req.Way, func() (uint64, bool, error) {
		entry, err := x.Ledger.Accepted(x.Me.ID, repo, from, given.Index)
		if errors.Is(err, ledger.ErrNotFound) {
			return 0, false, nil
		}
		return entry, err == nil, err
	})
}

// repoNamed parses AUTHOR/REPO.
func (x *Exchange) repoNamed(name string) (ledger.AuthorID, string, error) {
	ref, err := image.ParseRef(name)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if name != ref.Name() {
		return "", "", fmt.Errorf("%w: a repository moves with all its tags; name it without one: %s", ErrBadRequest, ref.Name())
	}
	author, err := x.resolveAuthor(ref.Author)
	return author, ref.Repo, err
}

// moves are the steps that a repository took from this author, the last of which
// may not be accepted yet.
func (x *Exchange) moves(author ledger.AuthorID, repo string) ([]Move, error) {
	var out []Move
	for at := author; len(out) < maxMoves; {
		o, err := x.Ledger.Ownership(at, repo)
		if err != nil || o.Transferred == "" {
			return out, err
		}
		m := Move{Repo: repo, From: string(at), To: string(o.Transferred), Transfer: o.Index}
		m.Accept, err = x.Ledger.Accepted(o.Transferred, repo, at, o.Index)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return out, err
		}
		if out = append(out, m); m.Accept == 0 {
			return out, nil
		}
		at = o.Transferred
	}
	return nil, fmt.Errorf("%w: %s went from author to author more than %d times", ledger.ErrTransferred, repo, maxMoves)
}

// follow makes a name one under the author that its repository went to, and
// remembers the steps. What the authors before released counts where those after
// released nothing under the tag.
func (x *Exchange) follow(t target) (target, error) {
	if t.magnet != nil {
		return t, nil
	}
	first := t.author
	if len(t.owners) > 0 {
		first = t.owners[len(t.owners)-1]
	}
	moves, err := x.moves(first, t.ref.Repo)
	if err != nil {
		return t, err
	}
	t.moved, t.author, t.owners = moves, first, []ledger.AuthorID{first}
	for _, m := range moves {
		if m.Accept > 0 {
			t.author = ledger.AuthorID(m.To)
			t.owners = append([]ledger.AuthorID{t.author}, t.owners...)
		}
	}
	return t, nil
}

// movedTarget parses and follows a target.
func (x *Exchange) movedTarget(text string) (target, error) {
	t, err := x.parseTarget(text)
	if err != nil {
		return t, err
	}
	return x.follow(t)
}

// followFar follows a name to authors whose logs are not here yet.
func (x *Exchange) followFar(ctx context.Context, t target) (target, error) {
	for range maxMoves {
		var err error
		if t, err = x.follow(t); err != nil || len(t.moved) == 0 {
			return t, err
		}
		last := t.moved[len(t.moved)-1]
		if last.Accept > 0 {
			return t, nil
		}
		if _, err := x.Ledger.Head(ledger.AuthorID(last.To)); !errors.Is(err, ledger.ErrUnknownAuthor) || x.Net == nil {
			return t, nil
		}
		if !x.bringLog(ctx, ledger.AuthorID(last.To)) {
			return t, nil
		}
	}
	return t, nil
}

// bringTimeout bounds the search for a log that nobody here has heard of.
const bringTimeout = 10 * time.Second

// bringLog asks peers for a log that is not here, and reports whether it is now.
func (x *Exchange) bringLog(ctx context.Context, author ledger.AuthorID) bool {
	if x.Net == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, bringTimeout)
	defer cancel()
	x.eachPeer(ctx, logKey(author), func(p peer.ID) {
		if err := x.CatchUp(ctx, author, p); err != nil {
			x.log.Debug("log not brought", "author", author, "peer", p, "err", err)
		}
		if _, err := x.Ledger.Head(author); err == nil {
			cancel()
		}
	}, nil)
	_, err := x.Ledger.Head(author)
	return err == nil
}

// errMoved ends a search: the name leads to another author, as was learnt on the
// way.
var errMoved = errors.New("the repository went to another author")

// orMoved turns the answer of a peer that knows no release under a name into
// errMoved, if the author's log, which is brought for that, gives the repository
// away.
func (x *Exchange) orMoved(ctx context.Context, t target, from peer.ID, err error) error {
	if t.magnet != nil || len(t.moved) > 0 {
		return err
	}
	if _, unknown := x.Ledger.Head(t.author); !errors.Is(unknown, ledger.ErrUnknownAuthor) || x.CatchUp(ctx, t.author, from) != nil {
		return err
	}
	if next, followed := x.follow(t); followed == nil && len(next.moved) > 0 {
		return errors.Join(errMoved, err)
	}
	return err
}

// movedOn follows a name further than before, where a search brought the log of
// its author.
func (x *Exchange) movedOn(ctx context.Context, t target, err error) (further target, far bool) {
	wasMoved := errors.Is(err, errMoved)
	if t.magnet != nil || err != nil && !wasMoved {
		return t, false
	}
	further, err = x.followFar(ctx, t)
	return further, err == nil && (wasMoved || further.author != t.author)
}

// isBy tells whether an author's release may answer the target.
func (t target) isBy(author ledger.AuthorID) bool {
	return t.author == "" || author == t.author || slices.Contains(t.owners, author)
}
