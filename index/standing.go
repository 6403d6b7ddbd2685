package index

import (
	"fmt"

	"github.com/blevesearch/bleve/v2"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// Ledger tells what the logs say about their releases.
type Ledger interface {
	Standing(e *ledger.Entry) (ledger.Standing, error)
	Leaves(author ledger.AuthorID, from, to uint64) ([][]byte, error)
}

// consider puts into newest what a release makes of its tag: the latest release
// that the ledger has of it. Of a tag without one, and of a log that the ledger
// does not have, the release with the highest index counts.
func (x *Index) consider(newest map[string]Record, l Ledger, e *ledger.Entry) error {
	s, err := standing(l, e)
	if err != nil {
		return err
	}
	id := releaseID(RecordOf(e).Ref())
	if !s.Known || s.Latest == 0 {
		return x.considerNewest(newest, id, recordOf(e, s))
	}
	if s.Latest != e.Index {
		if other, ok := newest[id]; ok && other.Index == s.Latest {
			return nil
		}
		if e, err = entryAt(l, e.Author, s.Latest); err != nil {
			return err
		}
		if s, err = standing(l, e); err != nil {
			return err
		}
	}
	newest[id] = recordOf(e, s)
	return nil
}

func standing(l Ledger, e *ledger.Entry) (ledger.Standing, error) {
	if l == nil {
		return ledger.Standing{}, nil
	}
	return l.Standing(e)
}

func recordOf(e *ledger.Entry, s ledger.Standing) Record {
	r := RecordOf(e)
	r.Revoked = s.Revoked
	return r
}

func entryAt(l Ledger, author ledger.AuthorID, index uint64) (*ledger.Entry, error) {
	leaves, err := l.Leaves(author, index, index+1)
	if err != nil {
		return nil, err
	}
	e, err := ledger.DecodeEntry(author, index, leaves[0])
	if err != nil {
		return nil, err
	}
	if e.Release == nil {
		return nil, fmt.Errorf("%w: entry %d of %s is no release", ErrRebuild, index, author)
	}
	return e, nil
}

// reach is which releases of an author an entry may take back or give back.
type reach struct {
	ref    string        // one tag
	digest digest.Digest // one image
	all    bool
}

func reachOf(e *ledger.Entry) (reach, bool) {
	switch s := e.Statement.(type) {
	case *ledger.Recover:
		return reach{all: true}, true
	case *ledger.Revoke:
		switch {
		case s.Digest != "":
			return reach{digest: s.Digest}, true
		case s.Tag != "":
			return reach{ref: ref(e.Author, s.Repo, s.Tag)}, true
		}
		return reach{all: true}, true // what a key signed
	}
	return reach{}, false
}

// reconsider puts into newest what has changed for the releases within reach
// that are in the index.
func (x *Index) reconsider(newest map[string]Record, l Ledger, author ledger.AuthorID, in reach) error {
	var q query
	switch {
	case in.ref != "":
		q = bleve.NewDocIDQuery([]string{releaseID(in.ref)})
	case in.digest != "":
		q = every(exact(fieldAuthor, string(author)), exact(fieldDigest, in.digest.String()))
	default:
		q = exact(fieldAuthor, string(author))
	}
	return x.each(q, func(r Record) error {
		e, err := entryAt(l, author, r.Index)
		if err != nil {
			return err
		}
		return x.consider(newest, l, e)
	})
}

// each calls f with the records that match; the caller holds x.mu.
func (x *Index) each(q query, f func(Record) error) error {
	req := listing(q, maxBatch)
	for {
		var res *bleve.SearchResult
		err := guard(func() (err error) {
			res, err = x.idx.Search(req)
			return err
		})
		if err != nil {
			return err
		}
		for _, hit := range res.Hits {
			var r Record
			if err := rec(hit.Fields, &r); err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if len(res.Hits) < maxBatch {
			return nil
		}
		req.SearchAfter = []string{res.Hits[len(res.Hits)-1].ID}
	}
}

// reconsiderAll looks at each release within reach of some entries; what is all
// of an author's covers the rest.
func (x *Index) reconsiderAll(newest map[string]Record, l Ledger, reaches map[ledger.AuthorID]map[reach]bool) error {
	if l == nil {
		return nil
	}
	for author, ins := range reaches {
		if ins[reach{all: true}] {
			ins = map[reach]bool{{all: true}: true}
		}
		for in := range ins {
			if err := x.reconsider(newest, l, author, in); err != nil {
				return fmt.Errorf("releases of %s: %w", author, err)
			}
		}
	}
	return nil
}
