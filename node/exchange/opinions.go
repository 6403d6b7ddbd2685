package exchange

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/store"
)

// maxOpinions bounds the endorsements, and the attestations, that are told of an
// image.
const maxOpinions = 100

// Opinions are what others say of an image. Each author endorses once, however
// often it says so; those that this user named come first.
type Opinions struct {
	Endorsements []Endorsement `json:"endorsements,omitempty"`
	Attestations []Attestation `json:"attestations,omitempty"`
}

// Endorsement says that an author stands by an image.
type Endorsement struct {
	Author  string `json:"author"`
	Name    string `json:"name"`    // as this user calls the author
	Trusted bool   `json:"trusted"` // this user gave it a name
	Entry   uint64 `json:"entry"`   // of its log
	Role    string `json:"role,omitempty"`
	Comment string `json:"comment,omitempty"`
}

// Attestation is an in-toto predicate about an image. What it says is in the entry.
type Attestation struct {
	Author        string           `json:"author"`
	Name          string           `json:"name"`
	Trusted       bool             `json:"trusted"`
	Entry         uint64           `json:"entry"`
	PredicateType string           `json:"predicate_type"`
	Size          int              `json:"size,omitempty"`    // bytes of the predicate, or
	Content       *AttestedContent `json:"content,omitempty"` // where it is
}

// Voucher says that an author speaks for another one until a time.
type Voucher struct {
	Author  string    `json:"author"` // who speaks, or for whom
	Name    string    `json:"name"`
	Trusted bool      `json:"trusted"`
	Entry   uint64    `json:"entry"` // of the log of who speaks
	Until   time.Time `json:"until"`
}

// entryAt reads an entry, and why it counts for nothing, if it does.
func (x *Exchange) entryAt(at store.EntryAt) (e *ledger.Entry, why string, err error) {
	leaves, err := x.Ledger.Leaves(at.Author, at.Index, at.Index+1)
	if err != nil {
		return nil, "", err
	}
	if e, err = ledger.DecodeEntry(at.Author, at.Index, leaves[0]); err != nil {
		return nil, "", err
	}
	why, err = x.Ledger.Stands(e)
	return e, why, err
}

// opinionsOf are what others than its publisher say of an image.
func (x *Exchange) opinionsOf(d digest.Digest, publisher ledger.AuthorID) (Opinions, error) {
	var o Opinions
	endorsed := map[ledger.AuthorID]Endorsement{}
	err := x.eachAbout(string(d), func(e *ledger.Entry, name string, trusted bool) {
		switch s := e.Statement.(type) {
		case *ledger.Endorse:
			if e.Author != publisher { // and the newest of each
				endorsed[e.Author] = Endorsement{string(e.Author), name, trusted, e.Index, s.Role, s.Comment}
			}
		case *ledger.Attest:
			a := Attestation{Author: string(e.Author), Name: name, Trusted: trusted, Entry: e.Index, PredicateType: s.PredicateType, Size: len(s.Predicate)}
			if s.Content != nil {
				a.Content = &AttestedContent{s.Content.MediaType, s.Content.Digest.String(), s.Content.Size}
			}
			o.Attestations = append(o.Attestations, a)
		}
	})
	if err != nil {
		return o, fmt.Errorf("reading what is said of %s: %w", d, err)
	}
	for _, e := range endorsed {
		o.Endorsements = append(o.Endorsements, e)
	}
	slices.SortFunc(o.Endorsements, func(a, b Endorsement) int {
		return cmp.Or(trustedFirst(a.Trusted, b.Trusted), cmp.Compare(a.Author, b.Author))
	})
	slices.SortStableFunc(o.Attestations, func(a, b Attestation) int {
		return cmp.Or(trustedFirst(a.Trusted, b.Trusted), cmp.Compare(a.Author, b.Author), cmp.Compare(a.Entry, b.Entry))
	})
	o.Endorsements = o.Endorsements[:min(len(o.Endorsements), maxOpinions)]
	o.Attestations = o.Attestations[:min(len(o.Attestations), maxOpinions)]
	return o, nil
}

func trustedFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// eachAbout calls f with the statements about a subject that count, in the order
// in which each author made them. However many strangers speak, those that this
// user named are heard.
func (x *Exchange) eachAbout(subject string, f func(e *ledger.Entry, name string, trusted bool)) error {
	names, err := x.namedAuthors()
	if err != nil {
		return err
	}
	places, err := x.Store.About(subject, "")
	if err != nil {
		return err
	}
	for author := range names {
		own, err := x.Store.About(subject, author)
		if err != nil {
			return err
		}
		places = slices.DeleteFunc(places, func(at store.EntryAt) bool { return at.Author == author })
		places = append(places, own...)
	}
	for _, at := range places {
		e, why, err := x.entryAt(at)
		if err != nil {
			return err
		}
		if why != "" {
			continue
		}
		name, trusted := nameIn(names, e.Author)
		f(e, name, trusted)
	}
	return nil
}

// namedAuthors are this user's own author and those that it gave a name, with the
// first of their names.
func (x *Exchange) namedAuthors() (map[ledger.AuthorID]string, error) {
	aliases, err := x.Store.Aliases()
	if err != nil {
		return nil, err
	}
	names := map[ledger.AuthorID]string{x.Me.ID: SelfAuthor}
	for _, a := range aliases {
		if _, ok := names[a.Author]; !ok {
			names[a.Author] = a.Name
		}
	}
	return names, nil
}

// nameIn is what to call an author, and whether that is a name that this user gave.
func nameIn(names map[ledger.AuthorID]string, author ledger.AuthorID) (name string, trusted bool) {
	if name, trusted = names[author]; !trusted {
		name = string(author)
	}
	return name, trusted
}

// vouchersFor are those who speak for an author now.
func (x *Exchange) vouchersFor(author ledger.AuthorID) ([]Voucher, error) {
	latest := map[ledger.AuthorID]Voucher{}
	err := x.eachAbout(string(author), func(e *ledger.Entry, name string, trusted bool) {
		if v, ok := e.Statement.(*ledger.Vouch); ok {
			latest[e.Author] = Voucher{string(e.Author), name, trusted, e.Index, v.Expires}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading who vouches for %s: %w", author, err)
	}
	var out []Voucher
	for _, v := range latest {
		if v.Until.After(x.now()) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b Voucher) int {
		return cmp.Or(trustedFirst(a.Trusted, b.Trusted), cmp.Compare(a.Author, b.Author))
	})
	return out[:min(len(out), maxOpinions)], nil
}
