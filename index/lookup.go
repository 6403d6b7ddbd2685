package index

import (
	"context"
	"fmt"
	"strings"

	"github.com/blevesearch/bleve/v2"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// maxRecords bounds what a look-up gives.
const maxRecords = 1000

// Resolve gives what author/repo:tag stands for, or ErrNotFound. What was taken
// back comes with the reason.
func (x *Index) Resolve(author ledger.AuthorID, repo, tag string) (Record, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	r, err := x.record(ref(author, repo, tag))
	if err != nil {
		return Record{}, fmt.Errorf("resolving %s: %w", ref(author, repo, tag), err)
	}
	return r, nil
}

// record reads one record by ref; the caller holds x.mu.
func (x *Index) record(ref string) (Record, error) {
	var r Record
	err := guard(func() error {
		res, err := x.idx.Search(listing(bleve.NewDocIDQuery([]string{releaseID(ref)}), 1))
		if err != nil {
			return err
		}
		if len(res.Hits) == 0 {
			return ErrNotFound
		}
		return rec(res.Hits[0].Fields, &r)
	})
	return r, err
}

// ByInfohash gives the releases whose image torrent has this infohash, ordered
// by ref, at most 1,000; none is no error.
func (x *Index) ByInfohash(infohash string) ([]Record, error) {
	return x.list(exact(fieldInfohash, infohash))
}

// ByDigest gives the releases of the image with this root digest, ordered by
// ref, at most 1,000; none is no error.
func (x *Index) ByDigest(d digest.Digest) ([]Record, error) {
	return x.list(exact(fieldDigest, d.String()))
}

// Tags gives the releases of author/repo, ordered by tag, at most 1,000.
func (x *Index) Tags(author ledger.AuthorID, repo string) ([]Record, error) {
	return x.list(exact(fieldAuthor, string(author)), exact(fieldRepo, repo))
}

func (x *Index) list(all ...query) ([]Record, error) {
	all = append(all, exact(fieldKind, kindRelease))
	res, err := x.run(context.Background(), listing(every(all...), maxRecords))
	if err != nil {
		return nil, fmt.Errorf("looking up in index: %w", err)
	}
	records := make([]Record, len(res.Hits))
	for i, hit := range res.Hits {
		if err := rec(hit.Fields, &records[i]); err != nil {
			return nil, fmt.Errorf("looking up %s: %w", strings.TrimPrefix(hit.ID, "r/"), err)
		}
	}
	return records, nil
}

// Len is the number of releases that can be found.
func (x *Index) Len() (int, error) {
	req := bleve.NewSearchRequestOptions(exact(fieldKind, kindRelease), 0, 0, false)
	req.Score = "none"
	res, err := x.run(context.Background(), req)
	if err != nil {
		return 0, fmt.Errorf("counting releases: %w", err)
	}
	return int(res.Total), nil
}
