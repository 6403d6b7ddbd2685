package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakeStats gives what it was asked for back.
type fakeStats struct{ asked, starred string }

var statsTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func (f *fakeStats) Repositories(_ context.Context, req StatsRequest) (StatsPage, error) {
	f.asked = fmt.Sprintf("%+v", req)
	r := RepositoryStats{Name: "a/b", Pushes: 3, Pulls: 2, Stars: 1, FirstPush: statsTime, LastPush: statsTime.Add(time.Hour), Actors: 1}
	if req.Actors {
		r.ActorNames = []string{"alice"}
	}
	return StatsPage{Total: 7, Repositories: []RepositoryStats{r}, Next: "a/b"}, nil
}

func (f *fakeStats) Repository(_ context.Context, name string) (RepositoryDetail, error) {
	if name != "a/b" {
		return RepositoryDetail{}, ErrNotFound
	}
	return RepositoryDetail{
		RepositoryStats: RepositoryStats{Name: name, Pulls: 2, ActorNames: []string{"alice"}},
		History:         []StatsDay{{Day: "2026-11-20", Pulls: 2}}, ByTag: []StatsTag{{Tag: "1"}}, ByActor: []StatsActor{{Name: "alice"}},
	}, nil
}

func (f *fakeStats) Star(_ context.Context, name string, on bool) error {
	f.starred = fmt.Sprint(name, on)
	return nil
}

func (f *fakeStats) KeptEvents(_ context.Context, req KeptEventsRequest) (KeptEventsPage, error) {
	f.asked = fmt.Sprintf("%+v", req)
	if req.Kind != OddEvents && req.Kind != DeadEvents {
		return KeptEventsPage{}, ErrBadRequest
	}
	return KeptEventsPage{Next: "hook 2", Events: []KeptEvent{{ID: "hook 2", At: statsTime, Endpoint: "hook", Reason: "it answers 400", Event: json.RawMessage(`{"action":"push"}`)}}}, nil
}

func TestKeptEvents(t *testing.T) {
	t.Parallel()
	f := &fakeStats{}
	c := NewLocalClient(Handler(&fake{}, Options{Statistics: f}))
	req := KeptEventsRequest{Kind: DeadEvents, After: "hook 1", Limit: 7}
	page, err := c.KeptEvents(t.Context(), req)
	if want := fmt.Sprintf("%+v", req); err != nil || f.asked != want {
		t.Errorf("asked for %s, want %s: %v", f.asked, want, err)
	}
	if want, _ := f.KeptEvents(t.Context(), req); !cmp.Equal(page, want) {
		t.Errorf("%s", cmp.Diff(page, want))
	}
	if _, err := c.KeptEvents(t.Context(), KeptEventsRequest{Kind: "loud"}); !errors.Is(err, ErrBadRequest) {
		t.Errorf("of another kind: %v", err)
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	f := &fakeStats{}
	c := NewLocalClient(Handler(&fake{}, Options{Statistics: f}))
	req := StatsRequest{Sort: "pushes", Order: "asc", Limit: 5, Last: "x/y", Query: "a b", Actors: true}
	page, err := c.Repositories(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%+v", req); f.asked != want {
		t.Errorf("asked for %s, want %s", f.asked, want)
	}
	if want, _ := f.Repositories(t.Context(), req); !cmp.Equal(page, want) {
		t.Errorf("%+v", page)
	}
	got, err := c.Repository(t.Context(), "a/b")
	if want, _ := f.Repository(t.Context(), "a/b"); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Repository(t.Context(), "other"); !errors.Is(err, ErrNotFound) {
		t.Errorf("of what is not there: %v", err)
	}
	for _, on := range []bool{true, false} {
		if err := c.Star(t.Context(), "h:5000/a/b", on); err != nil || f.starred != fmt.Sprint("h:5000/a/b", on) {
			t.Errorf("starred %q: %v", f.starred, err)
		}
	}
	for _, name := range []string{"", "a//b", "../b", "/a"} {
		if err := c.Star(t.Context(), name, true); !errors.Is(err, ErrBadRequest) {
			t.Errorf("a star for %q: %v", name, err)
		}
	}
}

// The ancestor's names of fields, by the query and by the media type.
func TestStatisticsInTheAncestorsNames(t *testing.T) {
	t.Parallel()
	h := Handler(&fake{}, Options{Statistics: &fakeStats{}})
	get := func(path, accept string, status int) string {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/stats/repositories"+path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		return strings.TrimSpace(w.Body.String())
	}
	const list = `{"total":7,"repositories":[{"repositoryname":"a/b","firstpushed":"2026-11-20T12:00:00Z","lastpushed":"2026-11-20T13:00:00Z",` +
		`"numpulls":2,"numpushs":3,"numstars":1,"actors":["alice"]}],"next":"a/b"}`
	if got := get("?format=drec", "*/*", 200); got != list {
		t.Errorf("%s", got)
	}
	if got := get("", "text/html, "+DRECType, 200); got != list {
		t.Errorf("%s", got)
	}
	if got := get("/a/b?format=drec", "", 200); got != `{"repositoryname":"a/b","numpulls":2,"numpushs":0,"numstars":0,"actors":["alice"]}` {
		t.Errorf("%s", got)
	}
	var page StatsPage
	if err := json.Unmarshal([]byte(get("?format=json", DRECType, 200)), &page); err != nil || page.Repositories[0].Name != "a/b" {
		t.Errorf("%+v, %v", page, err)
	}
	for _, path := range []string{"?n=0", "?n=x", "?n=-1", "?format=xml"} {
		get(path, "", 400)
	}
	bare := httptest.NewRecorder()
	Handler(&fake{}, Options{}).ServeHTTP(bare, httptest.NewRequest(http.MethodGet, "/api/v1/stats/repositories", nil))
	if bare.Code != 400 {
		t.Errorf("without statistics: %d", bare.Code)
	}
}

// Registries post to the API's listener too, with its token, and more than other
// requests may have.
func TestEventsBehindTheGuards(t *testing.T) {
	t.Parallel()
	took := 0
	h := GuardTCP(Handler(&fake{}, Options{Events: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		took++
	})}), "secret")
	for name, tt := range map[string]struct {
		token, host, origin string
		status, length      int
	}{
		"token":        {"secret", "localhost", "", 200, 10},
		"large":        {"secret", "localhost", "", 200, 2 << 20},
		"no token":     {"", "localhost", "", 401, 10},
		"wrong token":  {"x", "localhost", "", 401, 10},
		"another host": {"secret", "evil.example", "", 403, 10},
		"a page":       {"secret", "localhost", "http://evil.example", 403, 10},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://"+tt.host+"/events", strings.NewReader(strings.Repeat(" ", tt.length)))
		r.Header.Set("Authorization", "Bearer "+tt.token)
		r.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v1+json")
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if took != 2 {
		t.Errorf("%d envelopes came through, want 2", took)
	}
}
