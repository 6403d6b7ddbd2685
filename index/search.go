package index

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2"
	blevequery "github.com/blevesearch/bleve/v2/search/query"
)

// Hit is an answer.
type Hit struct {
	Record
	// Score falls from the first answer to the last: 1 for the very name, less
	// for what is further from it, 0 when the query had no words.
	Score float64
}

// Search answers a query, in this order:
//
//  1. the repository typed, letter by letter;
//  2. the same words, or a repository under some path that ends in them;
//  3. every word is in the name; then in name or title; then anywhere, which
//     adds description, labels, tag and platforms;
//  4. names that begin as typed or are one typing error away;
//  5. every word is or begins a word of the name, or is one error away from
//     one (four letters or more); then of the title too, or is found anywhere;
//  6. some words are in the name; then anywhere.
//
// Within 3 and 6 the best match comes first (tf-idf), where a word counts once
// however often it is repeated; elsewhere the shorter name. Ties are in the
// order of refs. Without words it lists what the filters leave, by ref. total
// counts all answers. ErrBadQuery when the query is out of bounds.
func (x *Index) Search(ctx context.Context, q Query) (hits []Hit, total int, err error) {
	q, ws, err := q.read()
	if err != nil {
		return nil, 0, err
	}
	filters := q.filters()
	s := search{x: x, filters: filters, want: q.Offset + q.Limit, seen: map[string]bool{}}
	for _, t := range tiers(q.Text, ws) {
		if len(s.found) >= s.want {
			break
		}
		if err := s.tier(ctx, t); err != nil {
			return nil, 0, fmt.Errorf("searching: %w", err)
		}
	}
	if total, err = s.total(ctx, ws); err != nil {
		return nil, 0, fmt.Errorf("searching: %w", err)
	}
	page := s.found[min(q.Offset, len(s.found)):min(s.want, len(s.found))]
	if hits, err = x.read(ctx, page); err != nil {
		return nil, 0, fmt.Errorf("searching: %w", err)
	}
	return hits, total, nil
}

// search is one search under way.
type search struct {
	x       *Index
	filters []query
	want    int             // answers, from the first
	found   []answer        // so far, in order
	seen    map[string]bool // their ids
}

type answer struct {
	id    string
	score float64
}

// tier is one of the steps of the order of answers.
type tier struct {
	q      query
	scored bool    // the best match first, else the shorter name
	lo, hi float64 // scores are between these
}

// tiers of a query with words; one that lists everything without.
func tiers(text string, ws []string) []tier {
	if len(ws) == 0 {
		return []tier{{q: nil}}
	}
	typed := strings.Join(ws, " ")
	return []tier{
		{q: exact(fieldRepo, text), lo: 1, hi: 1},
		{q: exact(fieldWords, typed), lo: 0.9, hi: 0.9},
		{q: all(ws, literalIn(inName)), scored: true, lo: 0.7, hi: 0.8},
		{q: all(ws, literalIn(inTitle)), scored: true, lo: 0.6, hi: 0.7},
		{q: all(ws, literalIn(anywhere)), scored: true, lo: 0.5, hi: 0.6},
		{q: nearName(typed), lo: 0.45, hi: 0.45},
		{q: all(ws, nearIn(inName)), lo: 0.4, hi: 0.4},
		{q: all(ws, nearIn(anywhere)), lo: 0.35, hi: 0.35},
		{q: some(ws, inName), scored: true, lo: 0.2, hi: 0.3},
		{q: some(ws, anywhere), scored: true, lo: 0.1, hi: 0.2},
	}
}

// tier adds the answers of one tier that were not found before.
func (s *search) tier(ctx context.Context, t tier) error {
	clauses := append([]query{exact(fieldKind, kindRelease)}, s.filters...)
	if t.q != nil {
		clauses = append(clauses, t.q)
	}
	req := bleve.NewSearchRequestOptions(every(clauses...), s.want+len(s.seen), 0, false)
	switch {
	case t.scored:
		req.SortBy([]string{"-_score", "_id"})
	case t.q == nil:
		req.Score = "none"
		req.SortBy([]string{"_id"})
	default:
		req.Score = "none"
		req.SortBy([]string{fieldOrder, "_id"})
	}
	res, err := s.x.run(ctx, req)
	if err != nil {
		return err
	}
	for _, hit := range res.Hits {
		if s.seen[hit.ID] || len(s.found) >= s.want {
			continue
		}
		s.seen[hit.ID] = true
		score := t.lo
		if t.scored && res.MaxScore > 0 {
			score += (t.hi - t.lo) * hit.Score / res.MaxScore
		}
		s.found = append(s.found, answer{hit.ID, score})
	}
	return nil
}

// total counts what all tiers together find.
func (s *search) total(ctx context.Context, ws []string) (int, error) {
	clauses := append([]query{exact(fieldKind, kindRelease)}, s.filters...)
	if len(ws) > 0 {
		clauses = append(clauses, anyOf(nearName(strings.Join(ws, " ")), all(ws, nearIn(anywhere)), some(ws, anywhere)))
	}
	req := bleve.NewSearchRequestOptions(every(clauses...), 0, 0, false)
	req.Score = "none"
	res, err := s.x.run(ctx, req)
	if err != nil {
		return 0, err
	}
	return int(res.Total), nil
}

// read fetches the records of answers. One that went away meanwhile is left out.
func (x *Index) read(ctx context.Context, page []answer) ([]Hit, error) {
	hits := make([]Hit, 0, len(page))
	if len(page) == 0 {
		return hits, nil
	}
	ids := make([]string, len(page))
	for i, a := range page {
		ids[i] = a.id
	}
	res, err := x.run(ctx, listing(bleve.NewDocIDQuery(ids), len(ids)))
	if err != nil {
		return nil, err
	}
	records := make(map[string]Record, len(res.Hits))
	for _, hit := range res.Hits {
		var r Record
		if err := rec(hit.Fields, &r); err != nil {
			return nil, err
		}
		records[hit.ID] = r
	}
	for _, a := range page {
		if r, ok := records[a.id]; ok {
			hits = append(hits, Hit{r, a.score})
		}
	}
	return hits, nil
}

// filters are the clauses that must hold whatever the words.
func (q Query) filters() []query {
	var fs []query
	for field, value := range map[string]string{
		fieldAuthor: q.Author, fieldRepo: q.Repo, fieldTag: q.Tag, fieldPlatform: q.Platform,
		fieldDigest: q.Digest, fieldInfohash: q.Infohash,
	} {
		if value != "" {
			fs = append(fs, exact(field, value))
		}
	}
	for k, v := range q.Labels {
		if v == "" {
			fs = append(fs, exact(fieldLabel, k))
		} else {
			fs = append(fs, exact(fieldLabel, k+"="+v))
		}
	}
	return fs
}

type query = blevequery.Query

// exact matches one term and counts nothing for the score.
func exact(field, value string) query {
	return term(field, value, 0)
}

func term(field, value string, boost float64) query {
	t := bleve.NewTermQuery(value)
	t.SetField(field)
	t.SetBoost(boost)
	return t
}

func every(qs ...query) query { return bleve.NewConjunctionQuery(qs...) }
func anyOf(qs ...query) query { return bleve.NewDisjunctionQuery(qs...) }

// textField is a field of words, with what a word found there is worth.
type textField struct {
	name  string
	boost float64
}

// textFields, the most telling first; a search is in some of the first ones.
var (
	anywhere = []textField{{fieldName, 6}, {fieldTitle, 3}, {fieldText, 1}, {fieldMore, 1}}
	inTitle  = anywhere[:2]
	inName   = anywhere[:1]
)

// literalIn finds a word as it is.
func literalIn(fields []textField) func(w string) query {
	return func(w string) query {
		qs := make([]query, len(fields))
		for i, f := range fields {
			qs[i] = term(f.name, w, f.boost)
		}
		return anyOf(qs...)
	}
}

// fuzzyFrom is the length in characters from which a word may have an error.
const fuzzyFrom = 4

// nearIn finds a word as it is, as the beginning of a name's word, and, in name
// or title, with one letter wrong, missing, too many or swapped with its
// neighbour. Longer texts are left out: who fills them with every misspelling
// of a word would make each search for it go through all of them.
func nearIn(fields []textField) func(w string) query {
	return func(w string) query {
		qs := []query{literalIn(fields)(w), exact(fieldBegins, ofWord+w)}
		if utf8.RuneCountInString(w) >= fuzzyFrom {
			for _, f := range fields[:min(len(fields), len(inTitle))] {
				qs = append(qs, fuzzy(f.name, w))
			}
		}
		return anyOf(qs...)
	}
}

// nearName finds repositories, or their last components, that begin with what
// was typed or are one error away from it.
func nearName(typed string) query {
	begins := exact(fieldBegins, ofName+typed)
	if utf8.RuneCountInString(typed) < fuzzyFrom {
		return begins
	}
	return anyOf(begins, fuzzy(fieldWords, typed))
}

func fuzzy(field, s string) query {
	f := bleve.NewFuzzyQuery(s)
	f.SetField(field)
	f.SetFuzziness(1)
	return f
}

// all finds what one finds for every word.
func all(ws []string, one func(string) query) query {
	qs := make([]query, len(ws))
	for i, w := range ws {
		qs[i] = one(w)
	}
	return every(qs...)
}

// some finds what has at least one of the words.
func some(ws []string, fields []textField) query {
	qs := make([]query, len(ws))
	for i, w := range ws {
		qs[i] = literalIn(fields)(w)
	}
	return anyOf(qs...)
}
