package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dockchains/dockchain/node/exchange"
)

type fakeCatalogue struct {
	found []exchange.Found
	err   error
	asked exchange.SearchRequest
}

func (f *fakeCatalogue) Search(_ context.Context, req exchange.SearchRequest) ([]exchange.Found, int, error) {
	f.asked = req
	return f.found, len(f.found), f.err
}

type searchAnswer struct {
	Query   string            `json:"query"`
	Num     int               `json:"num_results"`
	Results []foundRepository `json:"results"`
}

func TestSearch(t *testing.T) {
	t.Parallel()
	catalogue := &fakeCatalogue{found: []exchange.Found{
		{Ref: "alice/debian:12", Description: "bookworm"}, {Ref: "alice/debian:11", Description: "bullseye"},
		{Ref: "bafkreix/org/app:1@sha256:ab", Title: "An app"}, {Ref: "me/x:1"},
	}}
	stars := func(_ context.Context, name string) int { return len(name) }
	for _, c := range []struct {
		name, query string
		err         error
		status      int
		want        []foundRepository
	}{
		{"docker's", "q=debian&n=25", nil, 200, []foundRepository{
			{Name: "alice/debian", Description: "bookworm", Stars: 12}, {Name: "bafkreix/org/app", Description: "An app", Stars: 16}, {Name: "me/x", Stars: 4},
		}},
		{"bounded", "q=debian&n=1", nil, 200, []foundRepository{{Name: "alice/debian", Description: "bookworm", Stars: 12}}},
		{"an author that nobody knows", "q=nobody/x", exchange.ErrNoAlias, 200, []foundRepository{}},
		{"CVE-2023-2253 an endless page", "q=x&n=1000000000", nil, 400, nil},
		{"no number", "q=x&n=x", nil, 400, nil},
		{"too long", "q=" + strings.Repeat("x", maxTerm+1), nil, 400, nil},
		{"not a query", "q=%22", exchange.ErrBadRequest, 400, nil},
		{"broken", "q=x", errors.New("the index is gone"), 500, nil},
	} {
		f := &fakeCatalogue{found: catalogue.found, err: c.err}
		if c.err != nil {
			f.found = nil
		}
		w := httptest.NewRecorder()
		SearchHandler(f, stars, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/v1/search?"+c.query, nil))
		if w.Code != c.status || strings.Contains(w.Body.String(), "index is gone") {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			continue
		}
		if c.status != 200 {
			continue
		}
		var got searchAnswer
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, got.Results); d != "" || got.Num != len(c.want) {
			t.Errorf("%s: %d results: %s", c.name, got.Num, d)
		}
	}
}

func TestSearchPing(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	SearchHandler(&fakeCatalogue{}, nil, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/v1/_ping", nil))
	if w.Code != 200 || w.Body.String() != `{"standalone":true}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What an author writes does not move the cursor of who searches (CVE-2022-46165,
// CVE-2020-26283), however long it is.
func TestSearchIsHarmlessCVE202246165CVE202026283(t *testing.T) {
	t.Parallel()
	f := &fakeCatalogue{found: []exchange.Found{{Ref: "a/b:1", Description: "evil\x1b[31m\x07\u009b2J\u202egnp\xff\n<script>" + strings.Repeat("x", 100_000)}}}
	w := httptest.NewRecorder()
	SearchHandler(f, nil, slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/v1/search?q="+url.QueryEscape("\x1b[2J"), nil))
	var got searchAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Results[0].Description, "evil [31m 2J gnp <script>x") || utf8.RuneCountInString(got.Results[0].Description) > maxDescription+1 {
		t.Errorf("description %q", got.Results[0].Description)
	}
	if strings.Contains(w.Body.String(), "<script>") {
		t.Errorf("the answer is a page: %.100s", w.Body)
	}
	for _, s := range []string{got.Query, got.Results[0].Description} {
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", s)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add("debian", "25", "alice/debian:12", "a text")
	f.Add("a\xff", "-1", "x@:", "\u202e")
	f.Fuzz(func(t *testing.T, q, n, ref, text string) {
		target := fmt.Sprintf("/v1/search?q=%s&n=%s", url.QueryEscape(q), url.QueryEscape(n))
		w := httptest.NewRecorder()
		h := SearchHandler(&fakeCatalogue{found: []exchange.Found{{Ref: ref, Description: text}}}, nil, slog.New(slog.DiscardHandler))
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
