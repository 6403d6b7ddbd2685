package index

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	id := string(author("alice"))
	digest := "sha256:" + strings.Repeat("ab", 32)
	for text, want := range map[string]Query{
		"":                         {},
		"  two \t words ":          {Text: "two words"},
		"author:alice app":         {Text: "app", Author: "alice"},
		id + "/lib/app:1":          {Text: "lib/app", Author: id, Tag: "1"},
		id:                         {Author: id},
		"nginx:1.25":               {Text: "nginx", Tag: "1.25"},
		"platform:Linux/ARM64":     {Platform: "linux/arm64"},
		"repo:a/b tag:1":           {Repo: "a/b", Tag: "1"},
		"label:a=b label:c":        {Labels: map[string]string{"a": "b", "c": ""}},
		"label:a=b=c:d":            {Labels: map[string]string{"a": "b=c:d"}},
		digest:                     {Digest: digest},
		strings.Repeat("AB", 20):   {Infohash: strings.Repeat("ab", 20)},
		"https://example.org/x":    {Text: "https://example.org/x"},
		"a: :b ::":                 {Text: "a: :b ::"},
		"x tag:1 tag:1 tag:1":      {Text: "x", Tag: "1"},
		"magnet:?dn=no-hash":       {Text: "magnet:?dn=no-hash"},
		"localhost:5000/alice/app": {Text: "localhost:5000/alice/app"},
	} {
		got, err := Parse(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Parse(%q), %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	x := openAt(t, "")
	many := map[string]string{}
	for i := range MaxLabels + 1 {
		many[strings.Repeat("x", i+1)] = ""
	}
	for name, q := range map[string]Query{
		"too long":         {Text: strings.Repeat("x", MaxText+1)},
		"not UTF-8":        {Text: "\xff"},
		"too many words":   {Text: strings.Repeat("a ", MaxWords+1)},
		"words in one":     {Text: strings.Repeat("a-", MaxWords+1)},
		"two authors":      {Text: "author:a author:b"},
		"two of tag":       {Text: "a:1 b:2"},
		"against a filter": {Text: "author:a", Author: "b"},
		"empty author":     {Text: "author:"},
		"empty label":      {Text: "label:=x"},
		"two label values": {Text: "label:a=1 label:a=2"},
		"only signs":       {Text: "?!"},
		"negative limit":   {Limit: -1},
		"negative offset":  {Offset: -1},
		"far window":       {Offset: MaxWindow, Limit: 1},
		"overflow":         {Offset: 1<<63 - 1, Limit: 1<<63 - 1},
		"many labels":      {Labels: many},
		"long filter":      {Author: strings.Repeat("x", MaxText+1)},
		"long label":       {Labels: map[string]string{strings.Repeat("x", 1<<20): "y"}},
	} {
		if _, _, err := x.Search(t.Context(), q); !errors.Is(err, ErrBadQuery) {
			t.Errorf("%s: error %v, want ErrBadQuery", name, err)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                            nil,
		"My-App_v2.1":                 {"my", "app", "v2", "1"},
		"Größe":                       {"größe"},
		"漢字kana":                      {"漢", "字", "kana"},
		strings.Repeat("a", 100):      {strings.Repeat("a", 64)},
		strings.Repeat("é", 100):      {strings.Repeat("é", 32)},
		"x" + strings.Repeat("é", 99): {"x" + strings.Repeat("é", 31)},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("words(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestBeginnings(t *testing.T) {
	t.Parallel()
	want := []string{"^ab", "^abc", "^abc ", "^abc d", "^x ", "^x a", "^x ab", "^x abc", "^x abc ", "^x abc d", "~ab", "~abc", "~d", "~x"}
	if diff := cmp.Diff(want, beginnings("x/abc-d", "abc-d")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := strings.Repeat("é", 180)
	if got := beginnings(long, long); len(got) != 2*(maxBeginning-minBeginning+1) {
		t.Errorf("%d beginnings: %q", len(got), got)
	}
}

func FuzzWords(f *testing.F) {
	f.Add("My-App 漢字\xff")
	f.Add(strings.Repeat("é", 100))
	f.Fuzz(func(t *testing.T, s string) {
		for _, w := range words(s) {
			if w == "" || len(w) > maxWord || utf8.ValidString(s) && !utf8.ValidString(w) {
				t.Fatalf("word %q of %q", w, s)
			}
			if strings.ContainsAny(w, " \t\n") {
				t.Fatalf("word %q would be split", w)
			}
		}
	})
}

// What a person types is parsed into a query that, said again, is the same;
// and searching for it ends, in order, whatever it is.
func FuzzSearch(f *testing.F) {
	x := openAt(f, "")
	apply(f, x, corpus(60)...)
	for _, text := range append(slices.Clone(corpusQueries), "author:x/y:z", "label:=", "label:a=b nginx:1 tag:1", "*?~^\"\\+-(nginx)",
		"magnet:?xt=urn:btih:"+strings.Repeat("a", 40), "sha256:"+strings.Repeat("0", 64), strings.Repeat("a-", 200), "\x00 \u2028", string(author("a"))+"/x/y:z@w") {
		f.Add(text, 10, 0)
	}
	f.Fuzz(func(t *testing.T, text string, limit, offset int) {
		q, err := Parse(text)
		if err == nil {
			again, err := Parse(q.Text)
			if err != nil || again.Text != q.Text && !maps.Equal(q.Labels, again.Labels) {
				t.Fatalf("Parse(%q) = %+v, and its text gives %+v, %v", text, q, again, err)
			}
		}
		hits, total, err := x.Search(t.Context(), Query{Text: text, Limit: limit, Offset: offset})
		if err != nil {
			if !errors.Is(err, ErrBadQuery) {
				t.Fatalf("searching %q: %v", text, err)
			}
			return
		}
		if total < len(hits) || len(hits) > max(limit, defaultLimit) {
			t.Fatalf("searching %q: %d of %d hits, limit %d", text, len(hits), total, limit)
		}
		for i := 1; i < len(hits); i++ {
			if hits[i].Score > hits[i-1].Score {
				t.Fatalf("searching %q: score %v after %v", text, hits[i].Score, hits[i-1].Score)
			}
		}
	})
}
