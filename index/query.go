package index

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// Bounds of a query.
const (
	MaxText   = 512  // bytes typed
	MaxWords  = 16   // words searched for
	MaxLabels = 16   // labels asked for
	MaxWindow = 1000 // Offset + Limit: further answers cannot be had

	defaultLimit = 25
	maxLabel     = ledger.MaxLabelKey + ledger.MaxLabelValue // bytes of key and value
)

// Query is what to search for. All that is set must hold. Text may hold more
// filters, as [Parse] reads them.
type Query struct {
	Text     string
	Author   string            // an author id; petnames are resolved by the caller
	Repo     string            // the exact repository
	Tag      string            // the exact tag
	Platform string            // os/arch[/variant]; without variant it finds every variant
	Labels   map[string]string // exact; an empty value asks only that the key is there
	Digest   string            // of the root document
	Infohash string            // of the image torrent, 40 lower-case hex characters
	Limit    int               // answers wanted; 0 for 25
	Offset   int               // answers to leave out
}

// Parse reads what a person types: words separated by spaces, of which
//
//	author:ID          is the author, an id or a petname (which the caller resolves)
//	platform:OS/ARCH   is the platform
//	label:KEY=VALUE    is a label; label:KEY asks that it has one
//	repo:NAME tag:TAG  are exact
//	NAME:TAG           is the word NAME and the exact tag
//	ID/NAME            with an author id is the author and the word NAME
//	sha256:… sha512:…  is the digest
//	magnet:?xt=urn:btih:…  or 40 hex characters is the infohash
//
// and all others are searched for. ErrBadQuery when it is longer than MaxText,
// is not UTF-8, has an empty filter or says two things of one.
func Parse(text string) (Query, error) {
	var q Query
	if len(text) > MaxText {
		return q, fmt.Errorf("%w: longer than %d bytes", ErrBadQuery, MaxText)
	}
	if !utf8.ValidString(text) {
		return q, fmt.Errorf("%w: not UTF-8", ErrBadQuery)
	}
	var rest []string
	for _, w := range strings.Fields(text) {
		word, err := q.take(w)
		if err != nil {
			return Query{}, err
		}
		if word != "" {
			rest = append(rest, word)
		}
	}
	q.Text = strings.Join(rest, " ")
	return q, nil
}

// tagGrammar is that of the OCI distribution specification.
var tagGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)

// take reads one word: it sets a filter, or gives back what is to be searched.
func (q *Query) take(w string) (rest string, err error) {
	if ih, ok := infohash(w); ok {
		return "", set(&q.Infohash, "infohash", ih)
	}
	if d, err := digest.Parse(w); err == nil {
		return "", set(&q.Digest, "digest", d.String())
	}
	if _, err := ledger.ParseAuthorID(w); err == nil {
		return "", set(&q.Author, "author", w)
	}
	if author, name, ok := strings.Cut(w, "/"); ok {
		if _, err := ledger.ParseAuthorID(author); err == nil {
			if err := set(&q.Author, "author", author); err != nil {
				return "", err
			}
			return q.take(name)
		}
	}
	key, value, ok := strings.Cut(w, ":")
	if !ok {
		return w, nil
	}
	switch key {
	case "author":
		return "", set(&q.Author, key, value)
	case "platform":
		return "", set(&q.Platform, key, strings.ToLower(value))
	case "repo":
		return "", set(&q.Repo, key, value)
	case "tag":
		return "", set(&q.Tag, key, value)
	case "label":
		return "", q.label(value)
	}
	if len(words(key)) > 0 && tagGrammar.MatchString(value) {
		return key, set(&q.Tag, "tag", value)
	}
	return w, nil
}

func (q *Query) label(s string) error {
	key, value, _ := strings.Cut(s, "=")
	if key == "" {
		return fmt.Errorf("%w: label: without a key", ErrBadQuery)
	}
	if was, ok := q.Labels[key]; ok && was != value {
		return fmt.Errorf("%w: two values of label %q", ErrBadQuery, key)
	}
	if q.Labels == nil {
		q.Labels = map[string]string{}
	}
	q.Labels[key] = value
	return nil
}

// set fills in a filter once.
func set(field *string, name, value string) error {
	switch {
	case value == "":
		return fmt.Errorf("%w: empty %s", ErrBadQuery, name)
	case *field != "" && *field != value:
		return fmt.Errorf("%w: two of %s: %q and %q", ErrBadQuery, name, *field, value)
	}
	*field = value
	return nil
}

// infohash finds one in a magnet link or in a word of 40 hex characters.
func infohash(w string) (string, bool) {
	if link, ok := strings.CutPrefix(w, "magnet:?"); ok {
		for part := range strings.SplitSeq(link, "&") {
			if ih, ok := strings.CutPrefix(part, "xt=urn:btih:"); ok {
				w = ih
			}
		}
	}
	w = strings.ToLower(w)
	return w, len(w) == 40 && strings.Trim(w, "0123456789abcdef") == ""
}

// read gives the query with the filters of its text, and the words to search.
func (q Query) read() (Query, []string, error) {
	typed, err := Parse(q.Text)
	if err != nil {
		return q, nil, err
	}
	q.Text = typed.Text
	for _, f := range []struct {
		name  string
		field *string
		typed string
	}{
		{"author", &q.Author, typed.Author}, {"repo", &q.Repo, typed.Repo}, {"tag", &q.Tag, typed.Tag},
		{"platform", &q.Platform, typed.Platform}, {"digest", &q.Digest, typed.Digest},
		{"infohash", &q.Infohash, typed.Infohash},
	} {
		if f.typed != "" {
			if err := set(f.field, f.name, f.typed); err != nil {
				return q, nil, err
			}
		}
	}
	q.Labels = maps.Clone(q.Labels)
	for k, v := range typed.Labels {
		if err := q.label(k + "=" + v); err != nil {
			return q, nil, err
		}
	}
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	ws := words(q.Text)
	return q, ws, q.check(ws)
}

func (q Query) check(ws []string) error {
	for _, s := range []string{q.Author, q.Repo, q.Tag, q.Platform, q.Digest, q.Infohash} {
		if len(s) > MaxText {
			return fmt.Errorf("%w: filter longer than %d bytes", ErrBadQuery, MaxText)
		}
	}
	for k, v := range q.Labels {
		if len(k)+len(v) > maxLabel {
			return fmt.Errorf("%w: label longer than %d bytes", ErrBadQuery, maxLabel)
		}
	}
	switch {
	case q.Limit < 0, q.Offset < 0:
		return fmt.Errorf("%w: negative limit or offset", ErrBadQuery)
	case q.Limit > MaxWindow || q.Offset > MaxWindow || q.Offset+q.Limit > MaxWindow:
		return fmt.Errorf("%w: only the first %d answers can be had", ErrBadQuery, MaxWindow)
	case len(q.Labels) > MaxLabels:
		return fmt.Errorf("%w: more than %d labels", ErrBadQuery, MaxLabels)
	case len(ws) > MaxWords:
		return fmt.Errorf("%w: more than %d words", ErrBadQuery, MaxWords)
	case len(ws) == 0 && q.Text != "":
		return fmt.Errorf("%w: no letter or digit in %q", ErrBadQuery, q.Text)
	}
	return nil
}
