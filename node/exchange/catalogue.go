package exchange

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/index"
	"github.com/dockchains/dockchain/ledger"
	"github.com/dockchains/dockchain/node/store"
	"github.com/dockchains/dockchain/p2p/swarm"
)

const (
	defaultResults = 25
	maxResults     = 100
)

// Search asks the catalogue; it never waits for the network.
func (x *Exchange) Search(ctx context.Context, req SearchRequest) ([]Found, int, error) {
	q, err := index.Parse(req.Query)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	q.Offset, q.Limit = max(req.Offset, 0), defaultResults
	if req.Limit > 0 {
		q.Limit = min(req.Limit, maxResults)
	}
	if req.Platform != "" {
		q.Platform = req.Platform
	}
	if name := firstOf(req.Author, q.Author); name != "" {
		author, err := x.resolveAuthor(name)
		if err != nil {
			return nil, 0, err
		}
		q.Author = string(author)
	}
	hits, total, err := x.Index.Search(ctx, q)
	if errors.Is(err, index.ErrBadQuery) {
		return nil, 0, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err != nil {
		return nil, 0, err
	}
	if total == 0 {
		if err := x.whyNot(ledger.AuthorID(q.Author)); err != nil {
			return nil, 0, err
		}
	}
	found := make([]Found, len(hits))
	for i, h := range hits {
		found[i] = x.found(h.Record)
		found[i].Score = h.Score
		if found[i].Unwitnessed, err = x.unwitnessed(h.Record.Author, h.Record.Index); err != nil {
			return nil, 0, err
		}
	}
	return found, total, nil
}

// found writes a record of the catalogue as this user sees it.
func (x *Exchange) found(r index.Record) Found {
	f := Found{
		Ref: x.refOf(r.Author, r.Repo, r.Tag), Digest: r.Digest.String(), Author: string(r.Author),
		Title: r.Title, Description: r.Description, Labels: r.Labels, Platforms: r.Platforms,
		Size: r.Size, Created: r.Created,
	}
	if ih, err := swarm.ParseInfohash(r.Infohash); err == nil {
		_, f.Local = x.holdings.image(ih)
		f.Magnet = swarm.Magnet{Infohash: ih, Name: r.Repo + ":" + r.Tag, Size: r.Size, Author: string(r.Author)}.String()
	}
	return f
}

// recordsHere are the releases of a target that this node's ledger has, best
// first; none is no error. What the owners before released counts where those
// after released nothing.
func (x *Exchange) recordsHere(ctx context.Context, t target) ([]index.Record, error) {
	if len(t.owners) == 0 {
		return x.recordsOf(ctx, t)
	}
	for _, owner := range t.owners {
		t.author = owner
		if records, err := x.recordsOf(ctx, t); err != nil || len(records) > 0 {
			return records, err
		}
	}
	return nil, nil
}

// recordsOf are those of the target's author.
func (x *Exchange) recordsOf(ctx context.Context, t target) ([]index.Record, error) {
	if t.magnet == nil && t.ref.Digest == "" {
		rec, err := x.Index.Resolve(t.author, t.ref.Repo, t.ref.Tag)
		if notFound(err) {
			return nil, nil
		}
		return []index.Record{rec}, err
	}
	var places []store.ReleaseAt
	var err error
	if t.magnet != nil {
		places, err = x.Store.ReleasesOf(t.infohash())
	} else {
		places, err = x.Store.ReleasesOfDigest(t.ref.Digest)
	}
	if err != nil {
		return nil, err
	}
	var records []index.Record
	for _, at := range places {
		rec, err := x.recordAt(ctx, at)
		if err != nil {
			return nil, err
		}
		if x.isOf(rec, t) {
			records = append(records, rec)
		}
	}
	return records, nil
}

// isOf tells whether a release answers a target as far as names go.
func (x *Exchange) isOf(r index.Record, t target) bool {
	if t.author != "" && r.Author != t.author {
		return false
	}
	return t.magnet != nil || r.Repo == t.ref.Repo && (t.ref.Tag == "" || r.Tag == t.ref.Tag)
}

// recordAt reads a release out of the ledger as the catalogue would have it.
func (x *Exchange) recordAt(ctx context.Context, at store.ReleaseAt) (index.Record, error) {
	leaves, err := x.Ledger.Range(ctx, at.Author, at.Index, at.Index+1, maxPage)
	if err != nil {
		return index.Record{}, err
	}
	e, err := ledger.DecodeEntry(at.Author, at.Index, leaves[0])
	if err != nil {
		return index.Record{}, err
	}
	rec := index.RecordOf(e)
	standing, err := x.Ledger.Standing(e)
	rec.Revoked = standing.Revoked
	return rec, err
}

// Show describes one image whole, from what this node knows.
func (x *Exchange) Show(ctx context.Context, text string) (Shown, error) {
	t, err := x.movedTarget(text)
	if err != nil {
		return Shown{}, err
	}
	records, err := x.recordsHere(ctx, t)
	if err != nil {
		return Shown{}, err
	}
	if len(records) == 0 {
		if err := x.whyNot(t.author); err != nil {
			return Shown{}, err
		}
		return Shown{}, fmt.Errorf("%w: %s is not in this node's index", ErrNotFound, text)
	}
	rec := records[0]
	x.use(rec.Author, false)
	s := Shown{Found: x.found(rec), MediaType: rec.MediaType, Entry: rec.Index, Revoked: rec.Revoked, Moved: t.moved}
	head, err := x.Ledger.Head(rec.Author)
	if err != nil {
		return Shown{}, err
	}
	s.LogSize = head.Size
	if s.Opinions, err = x.opinionsOf(rec.Digest, rec.Author); err != nil {
		return Shown{}, err
	}
	if s.Unwitnessed, err = x.unwitnessed(rec.Author, rec.Index); err != nil {
		return Shown{}, err
	}
	ih, err := swarm.ParseInfohash(rec.Infohash)
	if err != nil {
		return Shown{}, err
	}
	if hold, ok := x.holdings.image(ih); ok {
		for _, b := range hold.Map.Blobs {
			s.Blobs = append(s.Blobs, x.shownBlob(b.Digest, b.Size, b.Infohash))
		}
	}
	return s, nil
}

func (x *Exchange) shownBlob(d digest.Digest, size int64, infohash string) ShownBlob {
	_, err := x.Blobs.Stat(d)
	return ShownBlob{Digest: d.String(), Size: size, Infohash: infohash, Local: err == nil}
}

// Aliases lists this user's petnames.
func (x *Exchange) Aliases(context.Context) ([]Alias, error) {
	all, err := x.Store.Aliases()
	if err != nil {
		return nil, err
	}
	out := make([]Alias, len(all))
	for i, a := range all {
		out[i] = Alias{Name: a.Name, Author: string(a.Author)}
	}
	return out, nil
}

// SetAlias gives an author a name of this user's own.
func (x *Exchange) SetAlias(ctx context.Context, a Alias) error {
	author, err := ledger.ParseAuthorID(a.Author)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	err = x.Store.SetAlias(a.Name, author)
	if errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrBadAlias) {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(x.learnNames(), x.learnVouches(ctx, author)); err != nil {
		return err
	}
	x.wantAgain(author)
	return nil
}

// RemoveAlias forgets a petname.
func (x *Exchange) RemoveAlias(_ context.Context, name string) error {
	err := x.Store.DeleteAlias(name)
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: %s", ErrNoAlias, name)
	}
	return errors.Join(err, x.learnNames())
}
