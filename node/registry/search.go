package registry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/dockchains/dockchain/node/exchange"
)

// Searcher is the catalogue, as docker search needs it.
type Searcher interface {
	Search(ctx context.Context, req exchange.SearchRequest) ([]exchange.Found, int, error)
}

// Bounds of a search.
const (
	maxTerm        = 256 // bytes
	maxDescription = 160 // characters
	defaultFound   = 25
	maxFound       = 100
)

// SearchHandler serves the part of Docker's first registry API that docker search
// asks, which has no other way to search a registry:
//
//	docker search localhost:5000/debian
//
//	GET /v1/_ping                    {"standalone":true}
//	GET /v1/search?q=debian&n=25     {"query":"debian","num_results":1,"results":[
//	                                   {"name":"alice/debian","description":"…","star_count":2,"is_official":false,"is_automated":false}]}
//
// A result is a repository of the catalogue, by its author's petname or id. The
// client prints what it gets, so nothing that moves a terminal's cursor is told.
// stars gives the stars of a repository by that name; nil is none.
func SearchHandler(x Searcher, stars func(ctx context.Context, name string) int, log *slog.Logger) http.Handler {
	if stars == nil {
		stars = func(context.Context, string) int { return 0 }
	}
	s := &search{x: x, stars: stars, log: log.With("component", "registry")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/_ping", s.ping)
	mux.HandleFunc("GET /v1/search", s.search)
	return mux
}

type search struct {
	x     Searcher
	stars func(context.Context, string) int
	log   *slog.Logger
}

func (s *search) ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Docker-Registry-Standalone", "true")
	answerSearch(w, http.StatusOK, map[string]bool{"standalone": true})
}

type foundRepository struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Stars       int    `json:"star_count"`
	IsOfficial  bool   `json:"is_official"`
	IsAutomated bool   `json:"is_automated"`
}

func (s *search) search(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	term, n := q.Get("q"), defaultFound
	if text := q.Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxFound {
			answerSearch(w, http.StatusBadRequest, map[string]string{"error": "n is a number from 1 to 100"})
			return
		}
	}
	if len(term) > maxTerm {
		answerSearch(w, http.StatusBadRequest, map[string]string{"error": "the term is too long"})
		return
	}
	// Several tags are one repository.
	found, _, err := s.x.Search(req.Context(), exchange.SearchRequest{Query: term, Limit: maxFound})
	switch {
	case errors.Is(err, exchange.ErrNoAlias), errors.Is(err, exchange.ErrNotFound):
		found = nil
	case errors.Is(err, exchange.ErrBadRequest):
		answerSearch(w, http.StatusBadRequest, map[string]string{"error": harmless(err.Error())})
		return
	case err != nil:
		s.log.Error("search failed", "err", err)
		answerSearch(w, http.StatusInternalServerError, map[string]string{"error": "the node could not answer; its log says why"})
		return
	}
	results := s.repositories(req.Context(), found, n)
	answerSearch(w, http.StatusOK, map[string]any{"query": harmless(term), "num_results": len(results), "results": results})
}

// repositories are those of the images found, each once, the best first.
func (s *search) repositories(ctx context.Context, found []exchange.Found, n int) []foundRepository {
	results := []foundRepository{}
	seen := map[string]bool{}
	for _, f := range found {
		name := repositoryIn(f.Ref)
		if seen[name] || len(results) == n {
			continue
		}
		seen[name] = true
		about := f.Title
		if f.Description != "" {
			about = f.Description
		}
		results = append(results, foundRepository{Name: harmless(name), Description: harmless(about), Stars: s.stars(ctx, name)})
	}
	return results
}

// repositoryIn cuts tag and digest from a reference of the catalogue.
func repositoryIn(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// harmless makes a line of a text: without control characters, marks that turn the
// direction of writing, and broken UTF-8.
func harmless(s string) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) || r == ' ' {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			n++
		}
		if n >= maxDescription {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
		n, space = n+1, false
	}
	return b.String()
}

func answerSearch(w http.ResponseWriter, status int, v any) {
	body, _ := json.Marshal(v) // texts and numbers always encode
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
