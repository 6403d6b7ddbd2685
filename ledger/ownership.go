package ledger

import (
	"errors"
	"fmt"
)

// Ownership is what an author's log says of a repository under its name.
type Ownership struct {
	Owned       bool     // the author may release into it and give it away
	Transferred AuthorID // to whom it went; "": it did not
	Accepted    AuthorID // from whom it came; "": it did not
	Transfer    uint64   // of Accepted: index of the Transfer in the log of the giver
	Index       uint64   // of the entry that made it so
}

// Ownership looks a repository up in the state of an author's log. Of a
// repository, or an author, that is not known here it is the zero value.
func (l *Ledger) Ownership(author AuthorID, repo string) (Ownership, error) {
	value, err := l.store.State(author, itemRepo+repo)
	if errors.Is(err, ErrNotFound) {
		return Ownership{}, nil
	}
	if err != nil {
		return Ownership{}, fmt.Errorf("looking up %s/%s: %w", author, repo, err)
	}
	o, err := decodeOwnership(value)
	if err != nil {
		return Ownership{}, fmt.Errorf("looking up %s/%s: %w", author, repo, err)
	}
	return o.public(), nil
}

func (o ownership) public() Ownership {
	p := Ownership{Owned: o.is == isOwned || o.is == isAccepted, Index: o.index}
	switch o.is {
	case isTransferred:
		p.Transferred = o.other
	case isAccepted:
		p.Accepted, p.Transfer = o.other, o.transfer
	}
	return p
}

// Accepted finds the entry by which an author took a repository over that entry
// transfer of another author's log gave to it, or ErrNotFound. What the author
// did with the repository later is not asked.
func (l *Ledger) Accepted(author AuthorID, repo string, from AuthorID, transfer uint64) (uint64, error) {
	o, err := l.Ownership(author, repo)
	if err != nil {
		return 0, err
	}
	if o.Accepted == from && o.Transfer == transfer {
		return o.Index, nil
	}
	if o.Transferred == "" { // whoever gave it on had it before
		return 0, fmt.Errorf("%w: %s did not accept %s from %s", ErrNotFound, author, repo, from)
	}
	return l.acceptedBefore(author, repo, from, transfer)
}

// acceptedBefore reads the log again for an acceptance that is not in the state
// any more.
func (l *Ledger) acceptedBefore(author AuthorID, repo string, from AuthorID, transfer uint64) (uint64, error) {
	head, err := l.store.Head(author)
	if err != nil {
		return 0, err
	}
	value, err := l.store.State(author, itemKeys)
	if err != nil {
		return 0, err
	}
	keys, err := decodeKeyLog(value)
	if err != nil {
		return 0, err
	}
	f, at := newFacts(), uint64(0)
	err = l.entries(author, 0, head.Size, func(e *Entry) error {
		switch s := e.Statement.(type) {
		case *Release:
			if s.Repo != repo {
				return nil
			}
		case *Transfer:
			if s.Repo != repo {
				return nil
			}
		case *Accept:
			if s.Repo != repo {
				return nil
			}
			if s.From == from && s.Transfer == transfer && f.repo(repo).is != isAccepted && !keys.isVoid(e.Index) && at == 0 {
				at = e.Index
			}
		default:
			return nil
		}
		if keys.isVoid(e.Index) {
			return nil
		}
		return f.apply(e.Index, e.Statement, nil)
	})
	if err != nil {
		return 0, fmt.Errorf("looking for the acceptance of %s by %s: %w", repo, author, err)
	}
	if at == 0 {
		return 0, fmt.Errorf("%w: %s did not accept %s from %s", ErrNotFound, author, repo, from)
	}
	return at, nil
}
