package index

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/custom"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/keyword"
	"github.com/blevesearch/bleve/v2/analysis/tokenizer/whitespace"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/opencontainers/go-digest"

	"github.com/dockchains/dockchain/ledger"
)

// Record is what the index knows of one author/repo:tag.
type Record struct {
	Author      ledger.AuthorID   `json:"author"`
	Repo        string            `json:"repo"`
	Tag         string            `json:"tag"`
	Index       uint64            `json:"index"` // of the release in its author's log
	Digest      digest.Digest     `json:"digest"`
	MediaType   string            `json:"media_type"`
	Infohash    string            `json:"infohash"`
	Size        int64             `json:"size"` // of the layout in bytes
	Layers      int               `json:"layers"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Platforms   []string          `json:"platforms,omitempty"`
	Created     time.Time         `json:"created"` // as its author says
	// Revoked is why the release does not count, as the end of a sentence; such
	// ones are resolved by name, so that one can tell why, and not found.
	Revoked string `json:"revoked,omitempty"`
}

// Ref is author/repo:tag, with the author's id.
func (r Record) Ref() string { return ref(r.Author, r.Repo, r.Tag) }

func ref(author ledger.AuthorID, repo, tag string) string {
	return string(author) + "/" + repo + ":" + tag
}

// RecordOf is the record of an entry that is a release.
func RecordOf(e *ledger.Entry) Record {
	r := e.Release
	return Record{
		Author: e.Author, Repo: r.Repo, Tag: r.Tag, Index: e.Index,
		Digest: r.Image.Digest, MediaType: r.Image.MediaType, Infohash: r.Infohash,
		Size: r.Size, Layers: r.Layers, Title: r.Title, Description: r.Description,
		Labels: r.Labels, Platforms: r.Platforms, Created: r.Created.UTC(),
	}
}

// The fields of documents.
const (
	fieldKind     = "kind"
	fieldRec      = "rec"
	fieldAuthor   = "author"
	fieldRepo     = "repo"
	fieldTag      = "tag"
	fieldBase     = "base"     // the last component of the repository
	fieldWords    = "words"    // the words of repo, and of base, as one term each
	fieldOrder    = "order"    // length of repo in three digits: the shorter of two names is nearer to what was typed
	fieldDigest   = "digest"   // of the root document
	fieldInfohash = "infohash" // of the image torrent
	fieldPlatform = "platform" // os/arch, and os/arch/variant
	fieldLabel    = "label"    // key, and key=value
	fieldBegins   = "begins"   // beginnings of words, and of the words of repo and base together
	fieldName     = "name"     // words of the repository
	fieldTitle    = "title"    // words
	fieldText     = "text"     // words of the description
	fieldMore     = "more"     // words of tag, labels and platforms

	kindRelease = "release"
	kindRevoked = "revoked" // a release that does not count
	kindLog     = "log"
)

const wordsAnalyzer = "words"

// newMapping: exact fields are one term each, texts are split at the spaces
// that words put there, nothing else is indexed.
func newMapping() mapping.IndexMapping {
	doc := bleve.NewDocumentStaticMapping()
	field := func(name, analyzer string, docValues bool) {
		f := bleve.NewTextFieldMapping()
		f.Analyzer, f.Store, f.IncludeInAll, f.IncludeTermVectors, f.DocValues = analyzer, false, false, false, docValues
		doc.AddFieldMappingsAt(name, f)
	}
	for _, name := range []string{fieldKind, fieldAuthor, fieldRepo, fieldTag, fieldBase, fieldWords,
		fieldDigest, fieldInfohash, fieldPlatform, fieldLabel, fieldBegins} {
		field(name, keyword.Name, false)
	}
	field(fieldOrder, keyword.Name, true)
	for _, name := range []string{fieldName, fieldTitle, fieldText, fieldMore} {
		field(name, wordsAnalyzer, false)
	}
	stored := bleve.NewTextFieldMapping()
	stored.Index, stored.Store, stored.IncludeInAll, stored.DocValues = false, true, false, false
	doc.AddFieldMappingsAt(fieldRec, stored)

	m := bleve.NewIndexMapping()
	m.DefaultMapping = doc
	if err := m.AddCustomAnalyzer(wordsAnalyzer, map[string]any{
		"type": custom.Name, "tokenizer": whitespace.Name,
	}); err != nil { // only for a tokenizer that is not linked in
		panic(fmt.Sprintf("index: %v", err))
	}
	return m
}

// document is a release as Bleve gets it.
func (r Record) document() (map[string]any, error) {
	stored, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", r.Ref(), err)
	}
	kind := kindRelease
	if r.Revoked != "" {
		kind = kindRevoked
	}
	base := r.Repo[strings.LastIndexByte(r.Repo, '/')+1:]
	more := append([]string{r.Tag}, r.Platforms...)
	for k, v := range r.Labels {
		more = append(more, k, v)
	}
	return map[string]any{
		fieldKind:     kind,
		fieldAuthor:   string(r.Author),
		fieldRepo:     r.Repo,
		fieldTag:      r.Tag,
		fieldBase:     base,
		fieldWords:    []string{joined(r.Repo), joined(base)},
		fieldOrder:    fmt.Sprintf("%03d", min(len(r.Repo), 999)),
		fieldDigest:   r.Digest.String(),
		fieldInfohash: r.Infohash,
		fieldPlatform: platformTerms(r.Platforms),
		fieldLabel:    labelTerms(r.Labels),
		fieldBegins:   beginnings(r.Repo, base),
		fieldName:     distinct(r.Repo),
		fieldTitle:    distinct(r.Title),
		fieldText:     distinct(r.Description),
		fieldMore:     distinct(more...),
		fieldRec:      string(stored),
	}, nil
}

// platformTerms lets linux/arm64 find linux/arm64/v8.
func platformTerms(platforms []string) []string {
	var terms []string
	for _, p := range platforms {
		parts := strings.Split(p, "/")
		for n := min(2, len(parts)); n <= len(parts); n++ {
			terms = append(terms, strings.Join(parts[:n], "/"))
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

func labelTerms(labels map[string]string) []string {
	var terms []string
	for k, v := range labels {
		terms = append(terms, k, k+"="+v)
	}
	slices.Sort(terms)
	return terms
}

// The beginnings that are indexed have this many characters. They are indexed,
// rather than looked for in the dictionary, so that a short beginning costs no
// more than a word, whoever fills the dictionary.
const (
	minBeginning = 2
	maxBeginning = 24
)

// beginning marks whether one of the whole name or one of a word is meant.
const (
	ofName = "^"
	ofWord = "~"
)

func beginnings(repo, base string) []string {
	var terms []string
	add := func(mark, s string) {
		n := 0
		for i := range s {
			if n >= minBeginning {
				terms = append(terms, mark+s[:i])
			}
			if n++; n > maxBeginning {
				return
			}
		}
		terms = append(terms, mark+s)
	}
	add(ofName, joined(repo))
	add(ofName, joined(base))
	for _, w := range words(repo) {
		add(ofWord, w)
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// maxWord bounds a word in bytes; what is longer is cut.
const maxWord = 64

// words splits text: see the package comment.
func words(s string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, cut(string(word)))
			word = word[:0]
		}
	}
	for _, r := range strings.ToLower(s) {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			flush()
			out = append(out, string(r))
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
			word = append(word, r)
		default:
			flush()
		}
	}
	flush()
	return out
}

// cut shortens a word to maxWord bytes of whole characters.
func cut(s string) string {
	if len(s) <= maxWord {
		return s
	}
	n := maxWord
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// joined is the words of a text as one term.
func joined(s string) string { return strings.Join(words(s), " ") }

// distinct is the words of texts, each once: repeating a word must not lift a
// release over others.
func distinct(texts ...string) string {
	var ws []string
	for _, s := range texts {
		ws = append(ws, words(s)...)
	}
	slices.Sort(ws)
	return strings.Join(slices.Compact(ws), " ")
}
