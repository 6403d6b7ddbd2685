package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/blevesearch/bleve/v2"

	"github.com/dockchains/dockchain/ledger"
)

// logMark is how much of a log was applied: every entry under Next, and none
// from Top on. In between there may be gaps: an entry can be heard of, with
// its proof, before those that precede it.
type logMark struct {
	Next uint64 `json:"next"`
	Top  uint64 `json:"top"`
}

// maxBatch bounds the entries that go into one batch of Bleve.
const maxBatch = 1000

// Apply folds entries in. They must have been verified. Entries that were
// applied before change nothing, in whatever order they come. The ledger, which
// must have them, says which release of a tag is the latest and whether it was
// taken back; with nil, the one with the highest index counts.
//
// It does not wait for the disk. A crash leaves the index as it was some
// batches of up to 1,000 entries ago, and [Index.Applied] with it: whoever
// opens an index applies what the ledger has beyond that.
func (x *Index) Apply(l Ledger, entries ...*ledger.Entry) error {
	x.fold.Lock()
	defer x.fold.Unlock()
	for len(entries) > 0 {
		n := min(len(entries), maxBatch)
		if err := x.applyBatch(l, entries[:n]); err != nil {
			return fmt.Errorf("applying to index: %w", err)
		}
		entries = entries[n:]
	}
	return nil
}

func (x *Index) applyBatch(l Ledger, entries []*ledger.Entry) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	newest := map[string]Record{}          // by document id
	marks := map[ledger.AuthorID]logMark{} // that change
	reaches := map[ledger.AuthorID]map[reach]bool{}
	for _, e := range entries {
		mark, changed := marks[e.Author]
		if !changed {
			mark = x.logs[e.Author]
		}
		if e.Release != nil {
			if err := x.consider(newest, l, e); err != nil {
				return err
			}
		}
		if in, ok := reachOf(e); ok {
			if reaches[e.Author] == nil {
				reaches[e.Author] = map[reach]bool{}
			}
			reaches[e.Author][in] = true
		}
		if next := mark.after(e.Index); next != mark || changed {
			marks[e.Author] = next
		}
	}
	if err := x.reconsiderAll(newest, l, reaches); err != nil {
		return err
	}
	if len(newest) == 0 && len(marks) == 0 {
		return nil
	}
	return x.write(newest, marks)
}

// after is the mark when the entry at index is applied too.
func (m logMark) after(index uint64) logMark {
	if index == m.Next {
		m.Next++
	}
	m.Top = max(m.Top, index+1)
	return m
}

// considerNewest puts r among the newest unless a newer one is there or in the
// index. From the top mark on nothing of this log is in the index, which spares
// the look during a rebuild.
func (x *Index) considerNewest(newest map[string]Record, id string, r Record) error {
	if other, ok := newest[id]; ok {
		if other.Index <= r.Index {
			newest[id] = r
		}
		return nil
	}
	if r.Index < x.logs[r.Author].Top {
		other, err := x.record(r.Ref())
		switch {
		case err == nil && (other.Index > r.Index || other.Index == r.Index && other.Revoked == r.Revoked):
			return nil
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		}
	}
	newest[id] = r
	return nil
}

func (x *Index) write(newest map[string]Record, marks map[ledger.AuthorID]logMark) error {
	batch := x.idx.NewBatch()
	for id, r := range newest {
		doc, err := r.document()
		if err != nil {
			return err
		}
		if err := batch.Index(id, doc); err != nil {
			return err
		}
	}
	for author, mark := range marks {
		stored, err := json.Marshal(mark)
		if err != nil {
			return err
		}
		if err := batch.Index(logID(author), map[string]any{fieldKind: kindLog, fieldRec: string(stored)}); err != nil {
			return err
		}
	}
	if err := guard(func() error { return x.idx.Batch(batch) }); err != nil {
		return err
	}
	for author, mark := range marks {
		x.logs[author] = mark
	}
	return nil
}

func releaseID(ref string) string         { return "r/" + ref }
func logID(author ledger.AuthorID) string { return "l/" + string(author) }

// Applied says, for each author, how many entries from the start of the log
// are applied without a gap: fold the log from there on to catch up.
func (x *Index) Applied() map[ledger.AuthorID]uint64 {
	x.fold.Lock()
	defer x.fold.Unlock()
	out := make(map[ledger.AuthorID]uint64, len(x.logs))
	for author, mark := range x.logs {
		out[author] = mark.Next
	}
	return out
}

// loadLogs reads the marks back, in pages.
func (x *Index) loadLogs() (map[ledger.AuthorID]logMark, error) {
	logs := map[ledger.AuthorID]logMark{}
	req := listing(exact(fieldKind, kindLog), maxBatch)
	for {
		res, err := x.idx.SearchInContext(context.Background(), req)
		if err != nil {
			return nil, err
		}
		for _, hit := range res.Hits {
			var mark logMark
			if err := rec(hit.Fields, &mark); err != nil {
				return nil, err
			}
			logs[ledger.AuthorID(hit.ID[len("l/"):])] = mark
		}
		if len(res.Hits) < maxBatch {
			return logs, nil
		}
		req.SearchAfter = []string{res.Hits[len(res.Hits)-1].ID}
	}
}

// listing asks for the records of all documents that match, by id.
func listing(q query, size int) *bleve.SearchRequest {
	req := bleve.NewSearchRequestOptions(q, size, 0, false)
	req.Fields, req.Score = []string{fieldRec}, "none"
	req.SortBy([]string{"_id"})
	return req
}
