package api

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dockchains/dockchain/node/exchange"
)

// Wire types of the statistics.
type (
	StatsRequest     = exchange.StatsRequest
	StatsPage        = exchange.StatsPage
	RepositoryStats  = exchange.RepositoryStats
	RepositoryDetail = exchange.RepositoryDetail
	StatsDay         = exchange.StatsDay
	StatsTag         = exchange.StatsTag
	StatsActor       = exchange.StatsActor
)

// Statistics is what registries told of their repositories. A [Client] is one.
type Statistics interface {
	Repositories(context.Context, StatsRequest) (StatsPage, error)
	Repository(ctx context.Context, name string) (RepositoryDetail, error)
	Star(ctx context.Context, name string, on bool) error
	KeptEvents(context.Context, KeptEventsRequest) (KeptEventsPage, error)
}

// DRECType is the media type of statistics in the field names of the docker
// registry event collector, as ?format=drec gives them too.
const DRECType = "application/vnd.dockchain.stats.drec+json"

// DRECStats is the statistics of a repository under those names.
type DRECStats struct {
	RepositoryName string    `json:"repositoryname"`
	FirstPushed    time.Time `json:"firstpushed,omitzero"`
	LastPushed     time.Time `json:"lastpushed,omitzero"`
	FirstPulled    time.Time `json:"firstpulled,omitzero"`
	LastPulled     time.Time `json:"lastpulled,omitzero"`
	NumPulls       int64     `json:"numpulls"`
	NumPushs       int64     `json:"numpushs"`
	NumStars       int64     `json:"numstars"`
	Actors         []string  `json:"actors"`
}

// AsDREC names the fields so.
func AsDREC(r RepositoryStats) DRECStats {
	return DRECStats{
		RepositoryName: r.Name, FirstPushed: r.FirstPush, LastPushed: r.LastPush, FirstPulled: r.FirstPull, LastPulled: r.LastPull,
		NumPulls: r.Pulls, NumPushs: r.Pushes, NumStars: r.Stars, Actors: orEmpty(r.ActorNames),
	}
}

type drecPage struct {
	Total        int         `json:"total"`
	Repositories []DRECStats `json:"repositories"`
	Next         string      `json:"next,omitempty"`
}

// statistics adds the routes of the statistics.
func (s *server) statistics(mux *http.ServeMux) {
	if s.Statistics == nil {
		return
	}
	mux.HandleFunc("GET /api/v1/stats/repositories", s.statsRepositories)
	mux.HandleFunc("GET /api/v1/stats/repositories/{name...}", s.statsRepository)
	mux.HandleFunc("GET /api/v1/events/{kind}", s.keptEvents)
	mux.HandleFunc("PUT /api/v1/stats/stars/{name...}", func(w http.ResponseWriter, r *http.Request) {
		done(w, s.Statistics.Star(r.Context(), r.PathValue("name"), true))
	})
	mux.HandleFunc("DELETE /api/v1/stats/stars/{name...}", func(w http.ResponseWriter, r *http.Request) {
		done(w, s.Statistics.Star(r.Context(), r.PathValue("name"), false))
	})
}

func (s *server) statsRepositories(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (any, error) {
		req, drec, err := readStatsRequest(r)
		if err != nil {
			return nil, err
		}
		page, err := s.Statistics.Repositories(ctx, req)
		page.Repositories = orEmpty(page.Repositories)
		if err != nil || !drec {
			return page, err
		}
		old := drecPage{Total: page.Total, Repositories: []DRECStats{}, Next: page.Next}
		for _, r := range page.Repositories {
			old.Repositories = append(old.Repositories, AsDREC(r))
		}
		return old, nil
	})
}

func (s *server) statsRepository(w http.ResponseWriter, r *http.Request) {
	answer(w, r, func(ctx context.Context) (any, error) {
		_, drec, err := readStatsRequest(r)
		if err != nil {
			return nil, err
		}
		d, err := s.Statistics.Repository(ctx, r.PathValue("name"))
		if err != nil || !drec {
			return d, err
		}
		return AsDREC(d.RepositoryStats), nil
	})
}

// readStatsRequest reads the query, and which names of fields are wanted.
func readStatsRequest(r *http.Request) (req StatsRequest, drec bool, err error) {
	q := r.URL.Query()
	req = StatsRequest{Sort: q.Get("sort"), Order: q.Get("order"), Last: q.Get("last"), Query: q.Get("q")}
	if n := q.Get("n"); n != "" {
		if req.Limit, err = strconv.Atoi(n); err != nil || req.Limit < 1 {
			return req, false, fmt.Errorf("%w: n must be a number from 1: %q", ErrBadRequest, n)
		}
	}
	switch format := q.Get("format"); format {
	case "drec":
		drec = true
	case "":
		drec = slices.ContainsFunc(strings.Split(r.Header.Get("Accept"), ","), func(t string) bool {
			mediaType, _, err := mime.ParseMediaType(t)
			return err == nil && mediaType == DRECType
		})
	case "json":
	default:
		return req, false, fmt.Errorf("%w: format: json or drec is wanted, not %q", ErrBadRequest, format)
	}
	req.Actors = drec || q.Get("actors") == "true"
	return req, drec, nil
}

var _ Statistics = (*Client)(nil)

// Repositories gives a page of the statistics of repositories.
func (c *Client) Repositories(ctx context.Context, req StatsRequest) (StatsPage, error) {
	q := url.Values{}
	for name, value := range map[string]string{"sort": req.Sort, "order": req.Order, "last": req.Last, "q": req.Query} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if req.Limit > 0 {
		q.Set("n", strconv.Itoa(req.Limit))
	}
	if req.Actors {
		q.Set("actors", "true")
	}
	var page StatsPage
	err := c.call(ctx, http.MethodGet, "stats/repositories?"+q.Encode(), nil, &page)
	return page, err
}

// Repository gives all that is known of one.
func (c *Client) Repository(ctx context.Context, name string) (RepositoryDetail, error) {
	var d RepositoryDetail
	path, err := namePath(name)
	if err == nil {
		err = c.call(ctx, http.MethodGet, "stats/repositories/"+path, nil, &d)
	}
	return d, err
}

// Star gives a repository the star of the node's user, or takes it back.
func (c *Client) Star(ctx context.Context, name string, on bool) error {
	path, err := namePath(name)
	if err != nil {
		return err
	}
	method := http.MethodDelete
	if on {
		method = http.MethodPut
	}
	return c.call(ctx, method, "stats/stars/"+path, nil, nil)
}

// namePath escapes the name of a repository for a path. The handler would take one
// with empty components for another one.
func namePath(name string) (string, error) {
	for _, part := range strings.Split(name, "/") {
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("%w: %q is no repository", ErrBadRequest, name)
		}
	}
	return (&url.URL{Path: name}).EscapedPath(), nil
}
